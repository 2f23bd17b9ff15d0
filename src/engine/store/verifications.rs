//! Runs that prove a log: the last one of each workspace.

use sqlx::Row;

use crate::domain::ids::{VerificationId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::sql::{Statement, values};

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Who started it.
    pub started_by: String,
    /// When.
    pub began_at: Time,
    /// When it last moved.
    pub seen_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The first row that it reads.
    pub first_seq: i64,
    /// The last row that held.
    pub done_seq: i64,
    /// The last row that it reads.
    pub last_seq: i64,
    /// How many signed checkpoints it compares with.
    pub checkpoints: i64,
    /// The first bad row's place.
    pub bad_seq: Option<i64>,
    /// What is wrong, or why it could not go on.
    pub fault: Option<String>,
}

/// Begins a run, unless one that moved since `stale` is at it: then false.
///
/// # Errors
/// The database's own.
pub async fn begin(
    db: &CellDb,
    workspace: &WorkspaceId,
    id: &VerificationId,
    run: &Verification,
    stale: Time,
) -> Result<bool> {
    let text = "INSERT INTO log_verifications (workspace_id, id, started_by, began_us, seen_us, first_seq, done_seq, \
                last_seq, checkpoints) VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8) ON CONFLICT (workspace_id) DO UPDATE SET \
                id = excluded.id, started_by = excluded.started_by, began_us = excluded.began_us, \
                seen_us = excluded.seen_us, ended_us = NULL, first_seq = excluded.first_seq, \
                done_seq = excluded.done_seq, last_seq = excluded.last_seq, checkpoints = excluded.checkpoints, \
                bad_seq = NULL, fault = NULL \
                WHERE log_verifications.ended_us IS NOT NULL OR log_verifications.seen_us < $9";
    let values = values![
        workspace.as_str(),
        id.as_str(),
        run.started_by.as_str(),
        run.began_at.micros(),
        run.first_seq,
        run.done_seq,
        run.last_seq,
        run.checkpoints,
        stale.micros()
    ];
    change(db, text, values).await
}

/// Notes how far the run `id` came; false where another run took its place.
///
/// # Errors
/// The database's own.
pub async fn note(db: &CellDb, id: &VerificationId, done_seq: i64, now: Time) -> Result<bool> {
    let text = "UPDATE log_verifications SET done_seq = $2, seen_us = $3 WHERE id = $1 AND ended_us IS NULL";
    change(db, text, values![id.as_str(), done_seq, now.micros()]).await
}

/// Ends the run `id`, with its fault where there is one.
///
/// # Errors
/// The database's own.
pub async fn end(
    db: &CellDb,
    id: &VerificationId,
    done_seq: i64,
    fault: Option<(Option<i64>, String)>,
    now: Time,
) -> Result<()> {
    let (bad_seq, fault) = fault.map_or((None, None), |(seq, fault)| (seq, Some(fault)));
    let text = "UPDATE log_verifications SET done_seq = $2, seen_us = $3, ended_us = $3, bad_seq = $4, fault = $5 \
                WHERE id = $1";
    change(db, text, values![id.as_str(), done_seq, now.micros(), bad_seq, fault]).await.map(drop)
}

/// The last run over a log.
///
/// # Errors
/// The database's own.
pub async fn last(db: &CellDb, workspace: &WorkspaceId) -> Result<Option<Verification>> {
    let text = "SELECT * FROM log_verifications WHERE workspace_id = $1";
    let row = sqlx::query(text).bind(workspace.as_str()).fetch_optional(&db.read).await?;
    row.map(|row| {
        Ok(Verification {
            started_by: row.try_get("started_by")?,
            began_at: Time(row.try_get("began_us")?),
            seen_at: Time(row.try_get("seen_us")?),
            ended_at: row.try_get::<Option<i64>, _>("ended_us")?.map(Time),
            first_seq: row.try_get("first_seq")?,
            done_seq: row.try_get("done_seq")?,
            last_seq: row.try_get("last_seq")?,
            checkpoints: row.try_get("checkpoints")?,
            bad_seq: row.try_get("bad_seq")?,
            fault: row.try_get("fault")?,
        })
    })
    .transpose()
}

async fn change(
    db: &CellDb,
    text: &'static str,
    values: Vec<crate::engine::store::sql::Value>,
) -> Result<bool> {
    let mut transaction = db.begin().await?;
    let changed = Statement::new(text, values).run(&mut transaction).await?;
    transaction.commit().await?;
    Ok(changed > 0)
}
