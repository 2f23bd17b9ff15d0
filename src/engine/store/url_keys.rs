//! The secret parts of workspaces' MCP URLs: how one is replaced, and those before it while they work.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::pending_acts::{self, PendingAct};
use crate::engine::store::sql::{Statement, values};
use crate::engine::store::{ControlDb, TELL_NODES};

/// A URL key that was replaced and still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerKey {
    /// The key.
    pub key: String,
    /// Until when it works.
    pub ends_at: Time,
}

impl FormerKey {
    /// Its last four letters, by which a person knows it.
    pub fn last4(&self) -> &str {
        self.key.get(self.key.len().saturating_sub(4)..).unwrap_or_default()
    }
}

/// A workspace's former keys that work at `now`, the first to end first.
///
/// # Errors
/// The database's own.
pub async fn former(db: &ControlDb, workspace: &WorkspaceId, now: Time) -> Result<Vec<FormerKey>> {
    let text = "SELECT url_key, ends_us FROM former_url_keys WHERE workspace_id = $1 AND ends_us > $2 \
                ORDER BY ends_us, url_key";
    let query = sqlx::query(text).bind(workspace.as_str()).bind(now.micros());
    let former =
        |row: &AnyRow| Ok(FormerKey { key: row.try_get("url_key")?, ends_at: Time(row.try_get("ends_us")?) });
    query.fetch_all(&db.read).await?.iter().map(former).collect()
}

/// Gives a workspace another URL key. The one before works until `ends_at` and those before that one until their own ends;
/// with `None` all of them end at once.
///
/// # Errors
/// The database's own.
pub async fn rotate(db: &ControlDb, key: &str, ends_at: Option<Time>, act: &PendingAct) -> Result<()> {
    let (id, mut transaction) = (act.entry.workspace_id.as_str(), db.begin().await?);
    // Two rotations wait for one another: the second keeps the key that the first made.
    let lock = Statement::new("UPDATE workspaces SET name = name WHERE id = $1", values![id]);
    let forget = match ends_at {
        Some(_) => Statement::new(
            "DELETE FROM former_url_keys WHERE workspace_id = $1 AND ends_us <= $2",
            values![id, act.made_at.micros()],
        ),
        None => Statement::new("DELETE FROM former_url_keys WHERE workspace_id = $1", values![id]),
    };
    let keep = ends_at.map(|end| keep_present(id, end));
    let replace = Statement::new("UPDATE workspaces SET url_key = $2 WHERE id = $1", values![id, key]);
    let tell = Statement::new(TELL_NODES, Vec::new());
    for statement in [lock, forget].into_iter().chain(keep).chain([replace, tell]) {
        statement.run(&mut transaction).await?;
    }
    pending_acts::insert(&mut transaction, act).await?;
    Ok(transaction.commit().await?)
}

fn keep_present(workspace: &str, ends_at: Time) -> Statement {
    let text = "INSERT INTO former_url_keys (workspace_id, url_key, ends_us) \
                SELECT id, url_key, CAST($2 AS BIGINT) FROM workspaces WHERE id = $1";
    Statement::new(text, values![workspace, ends_at.micros()])
}
