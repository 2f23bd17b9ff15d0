//! Who accepted which text before reading the SOC 2 report; in the workspace's cell, beside its log.

use sqlx::Row;

use crate::domain::ids::{UserId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Statement, values};

/// One person's acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// Who.
    pub user_id: UserId,
    /// The SHA-256 of the text, in hex.
    pub text_sha256: String,
    /// When.
    pub accepted_at: Time,
}

/// Keeps an acceptance with its text.
pub fn insert(workspace: &WorkspaceId, made: &Acceptance, text: &str) -> Statement {
    let statement = "INSERT INTO nda_acceptances (workspace_id, user_id, text_sha256, text, accepted_us) \
                     VALUES ($1, $2, $3, $4, $5)";
    let values = values![
        workspace.as_str(),
        made.user_id.as_str(),
        made.text_sha256.as_str(),
        text,
        made.accepted_at.micros()
    ];
    Statement::new(statement, values)
}

/// Every acceptance of a workspace, the newest first.
///
/// # Errors
/// The database's own.
pub async fn list(db: &CellDb, workspace: &WorkspaceId) -> Result<Vec<Acceptance>> {
    let text = "SELECT user_id, text_sha256, accepted_us FROM nda_acceptances WHERE workspace_id = $1 \
                ORDER BY accepted_us DESC, user_id";
    let rows = sqlx::query(text).bind(workspace.as_str()).fetch_all(&db.read).await?;
    let acceptance = |row: &sqlx::any::AnyRow| {
        Ok(Acceptance {
            user_id: parse(row.try_get::<String, _>("user_id")?)?,
            text_sha256: row.try_get("text_sha256")?,
            accepted_at: Time(row.try_get("accepted_us")?),
        })
    };
    rows.iter().map(acceptance).collect()
}
