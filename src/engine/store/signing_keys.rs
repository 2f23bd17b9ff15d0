//! Public keys of signatures, in the control database.

use sqlx::Row;
use sqlx::any::AnyRow;

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

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: String,
    /// 32 bytes in base64url.
    pub public_key: String,
    /// Since when it signs.
    pub made_at: Time,
    /// JSON of this key, signed by one that came after it.
    pub endorsement: Option<String>,
}

/// Keeps what a later key signed over this one.
///
/// # Errors
/// The database's own.
pub async fn endorse(db: &ControlDb, id: &str, endorsement: &str) -> Result<()> {
    let text = "UPDATE signing_keys SET endorsement = $1 WHERE id = $2";
    let mut transaction = db.begin().await?;
    Statement::new(text, values![endorsement, id]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Every key that is written down, whether or not it is to be believed. The newest first.
///
/// # Errors
/// The database's own.
pub async fn all(db: &ControlDb) -> Result<Vec<KeyRow>> {
    let rows =
        sqlx::query("SELECT * FROM signing_keys ORDER BY created_us DESC, id").fetch_all(&db.read).await?;
    let read = |row: &AnyRow| {
        Ok(KeyRow {
            id: row.try_get("id")?,
            public_key: row.try_get("public_key")?,
            made_at: Time(row.try_get("created_us")?),
            endorsement: row.try_get("endorsement")?,
        })
    };
    rows.iter().map(read).collect()
}
