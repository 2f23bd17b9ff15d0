//! Searches that people keep.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::ids::{SavedSearchId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Select, Statement, values};

/// A kept search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSearch {
    /// Its id.
    pub id: SavedSearchId,
    /// Its name.
    pub name: String,
    /// The tab that it looks at: `calls`, `admin` or `refused`.
    pub tab: String,
    /// The search.
    pub query: String,
    /// Who made it.
    pub owner: String,
    /// Whether everybody in the workspace sees it.
    pub shared: bool,
    /// When it was made.
    pub created_at: Time,
}

/// Keeps a search.
pub fn insert(workspace: &WorkspaceId, saved: &SavedSearch) -> Statement {
    let text = "INSERT INTO saved_searches (id, workspace_id, name, tab, query, owner, shared, created_us) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = values![
        saved.id.as_str(),
        workspace.as_str(),
        saved.name.as_str(),
        saved.tab.as_str(),
        saved.query.as_str(),
        saved.owner.as_str(),
        i64::from(saved.shared),
        saved.created_at.micros()
    ];
    Statement::new(text, values)
}

/// Forgets a search.
pub fn delete(workspace: &WorkspaceId, id: &SavedSearchId) -> Statement {
    let text = "DELETE FROM saved_searches WHERE workspace_id = $1 AND id = $2";
    Statement::new(text, values![workspace.as_str(), id.as_str()])
}

/// The searches that `owner` sees: shared ones and own ones, by name.
///
/// # Errors
/// The database's own.
pub async fn visible(db: &CellDb, workspace: &WorkspaceId, owner: &str) -> Result<Vec<SavedSearch>> {
    let text = "SELECT * FROM saved_searches WHERE workspace_id = $1 AND (shared = 1 OR owner = $2) ORDER BY name, id";
    let rows = Select::new(text, values![workspace.as_str(), owner]).all(&db.read).await?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<SavedSearch> {
    Ok(SavedSearch {
        id: parse(row.try_get::<String, _>("id")?)?,
        name: row.try_get("name")?,
        tab: row.try_get("tab")?,
        query: row.try_get("query")?,
        owner: row.try_get("owner")?,
        shared: row.try_get::<i64, _>("shared")? != 0,
        created_at: Time(row.try_get("created_us")?),
    })
}
