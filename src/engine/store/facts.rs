//! Facts about a cell itself, such as which master key wraps its data keys.

use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::sql::{Statement, values};

/// Keeps a fact about a cell, unless there is one already; answers the one that counts.
///
/// # Errors
/// The database's own.
pub async fn first(db: &CellDb, name: &str, value: &str) -> Result<String> {
    let mut transaction = db.begin().await?;
    let text = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    Statement::new(text, values![name, value]).run(&mut transaction).await?;
    let text = "SELECT value FROM facts WHERE name = $1";
    let stored = sqlx::query_scalar(text).bind(name).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(stored)
}

/// Replaces a fact about a cell.
///
/// # Errors
/// The database's own.
pub async fn set(db: &CellDb, name: &str, value: &str) -> Result<()> {
    let mut transaction = db.begin().await?;
    Statement::new("UPDATE facts SET value = $1 WHERE name = $2", values![value, name])
        .run(&mut transaction)
        .await?;
    Ok(transaction.commit().await?)
}
