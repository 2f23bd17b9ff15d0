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

/// A fact about a cell, where there is one.
///
/// # Errors
/// The database's own.
pub async fn get(db: &CellDb, name: &str) -> Result<Option<String>> {
    let text = "SELECT value FROM facts WHERE name = $1";
    Ok(sqlx::query_scalar(text).bind(name).fetch_optional(&db.read).await?)
}

/// Keeps a fact about a cell, whether there is one or not.
pub fn note(name: &str, value: &str) -> Statement {
    let text = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    Statement::new(text, values![name, value])
}

/// Forgets a fact about a cell.
///
/// # Errors
/// The database's own.
pub async fn remove(db: &CellDb, name: &str) -> Result<()> {
    let mut transaction = db.begin().await?;
    Statement::new("DELETE FROM facts WHERE name = $1", values![name]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}
