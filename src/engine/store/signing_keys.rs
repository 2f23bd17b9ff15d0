//! Public keys of signatures, in the control database.

use sqlx::Row;

use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::ControlDb;
use crate::engine::store::sql::{Statement, values};

/// Keeps a public key, once.
///
/// # Errors
/// The database's own.
pub async fn insert(db: &ControlDb, id: &str, public_key: &str, now: Time) -> Result<()> {
    let text = "INSERT INTO signing_keys (id, public_key, created_us) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
    let mut transaction = db.begin().await?;
    Statement::new(text, values![id, public_key, now.micros()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Every key that ever signed: its id, its public key, since when. The newest first.
///
/// # Errors
/// The database's own.
pub async fn all(db: &ControlDb) -> Result<Vec<(String, String, Time)>> {
    let rows =
        sqlx::query("SELECT * FROM signing_keys ORDER BY created_us DESC, id").fetch_all(&db.read).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("id")?, row.try_get("public_key")?, Time(row.try_get("created_us")?))))
        .collect()
}
