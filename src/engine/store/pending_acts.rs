//! Notes of acts that are on their way from the directory into a workspace's log.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::audit::Entry;
use crate::domain::time::Time;
use crate::engine::error::{Error, Result, internal};
use crate::engine::store::ControlDb;
use crate::engine::store::sql::{Select, Statement, values};

/// An act of which the directory's part is done with this note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingAct {
    /// Its own id: one request may do several acts.
    pub id: String,
    /// What the log will say.
    pub entry: Entry,
    /// When it was noted.
    pub made_at: Time,
}

/// Notes an act in the transaction of its change.
///
/// # Errors
/// The database's own.
pub async fn insert(on: &mut AnyConnection, act: &PendingAct) -> Result<()> {
    let entry = serde_json::to_string(&act.entry).map_err(|error| internal("pending act", error))?;
    let text = "INSERT INTO pending_acts (id, workspace_id, entry, made_us) VALUES ($1, $2, $3, $4)";
    let values = values![act.id.as_str(), act.entry.workspace_id.as_str(), entry, act.made_at.micros()];
    Statement::new(text, values).run(on).await?;
    Ok(())
}

/// Removes the note of an act that is in the log.
///
/// # Errors
/// The database's own.
pub async fn remove(db: &ControlDb, id: &str) -> Result<()> {
    let mut connection = db.write.acquire().await?;
    Statement::new("DELETE FROM pending_acts WHERE id = $1", values![id]).run(&mut connection).await?;
    Ok(())
}

/// Acts that were noted before `before`, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn noted_before(db: &ControlDb, before: Time) -> Result<Vec<PendingAct>> {
    let text = "SELECT id, entry, made_us FROM pending_acts WHERE made_us < $1 ORDER BY made_us, id";
    Select::new(text, values![before.micros()]).all(&db.read).await?.iter().map(act).collect()
}

fn act(row: &AnyRow) -> Result<PendingAct> {
    let entry =
        serde_json::from_str(row.try_get("entry")?).map_err(|error| internal("pending act", error))?;
    Ok::<_, Error>(PendingAct { id: row.try_get("id")?, entry, made_at: Time(row.try_get("made_us")?) })
}
