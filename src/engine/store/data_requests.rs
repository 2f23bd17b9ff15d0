//! Requests of data subjects, and the calls that one that runs is about.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::data_requests::{Kind, State};
use crate::domain::ids::{DataRequestId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::books::parse;
use crate::engine::store::generations::{self, NewGeneration};
use crate::engine::store::holds::KEEPS_ATTEMPT;
use crate::engine::store::sql::{self, Select, Statement, values};
use crate::engine::store::{CellDb, erasure};

/// How much a request is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Matches {
    /// Prompts.
    pub prompts: i64,
    /// Generations whose files are there.
    pub media: i64,
    /// Log rows of calls; they stay, without content.
    pub rows: i64,
}

/// A request as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Its id.
    pub id: DataRequestId,
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// What is asked.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// JSON of what it is about, with hashes for names and prompts.
    pub criteria: String,
    /// The key of `sealed`.
    pub key_id: String,
    /// Names, notes and reasons.
    pub sealed: Vec<u8>,
    /// The day of receipt.
    pub received_on: String,
    /// The day by which it has to be answered.
    pub due_on: String,
    /// Whether that day was extended.
    pub extended: bool,
    /// Who filed it.
    pub filed_by: String,
    /// The person behind that.
    pub filed_person: String,
    /// Who was Admin then.
    pub admins: Vec<String>,
    /// When.
    pub filed_at: Time,
    /// Who approved or rejected it.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Time>,
    /// Whether two people stood behind it.
    pub four_eyes: bool,
    /// When a node began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// What it was about when it was filed.
    pub matches: Matches,
    /// JSON of what the run did so far.
    pub progress: Option<String>,
    /// JSON of the signed certificate.
    pub certificate: Option<String>,
    /// Until when the archive can be fetched.
    pub archive_until: Option<Time>,
}

/// Files a request.
pub fn insert(row: &RequestRow) -> Statement {
    let text = "INSERT INTO data_requests (id, workspace_id, kind, state, criteria, key_id, sealed, received_on, due_on, \
                extended, filed_by, filed_person, filed_us, four_eyes, prompts, media, log_rows, admins) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";
    let values = values![
        row.id.as_str(),
        row.workspace_id.as_str(),
        row.kind.as_str(),
        row.state.as_str(),
        row.criteria.as_str(),
        row.key_id.as_str(),
        row.sealed.clone(),
        row.received_on.as_str(),
        row.due_on.as_str(),
        i64::from(row.extended),
        row.filed_by.as_str(),
        row.filed_person.as_str(),
        row.filed_at.micros(),
        i64::from(row.four_eyes),
        row.matches.prompts,
        row.matches.media,
        row.matches.rows,
        serde_json::to_string(&row.admins).unwrap_or_default()
    ];
    Statement::new(text, values)
}

/// Keeps what changed of a request, if it still is in the state `from`: of two who decide at once, one does.
pub fn update(row: &RequestRow, from: State) -> Statement {
    let text = "UPDATE data_requests SET state = $3, criteria = $4, sealed = $5, due_on = $6, extended = $7, \
                decided_by = $8, decided_us = $9, four_eyes = $10, started_us = $11, ended_us = $12, progress = $13, \
                certificate = $14, archive_until_us = $15, key_id = $16 WHERE id = $1 AND state = $2";
    let values = values![
        row.id.as_str(),
        from.as_str(),
        row.state.as_str(),
        row.criteria.as_str(),
        row.sealed.clone(),
        row.due_on.as_str(),
        i64::from(row.extended),
        row.decided_by.clone(),
        row.decided_at.map(Time::micros),
        i64::from(row.four_eyes),
        row.started_at.map(Time::micros),
        row.ended_at.map(Time::micros),
        row.progress.clone(),
        row.certificate.clone(),
        row.archive_until.map(Time::micros),
        row.key_id.as_str()
    ];
    Statement::new(text, values)
}

/// Puts what is private of a request under another key.
///
/// # Errors
/// The database's own.
pub async fn reseal(db: &CellDb, row: &RequestRow) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "UPDATE data_requests SET key_id = $1, sealed = $2 WHERE id = $3";
    let values = values![row.key_id.as_str(), row.sealed.clone(), row.id.as_str()];
    Statement::new(text, values).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Notes how far a run is, while it runs: one that was cancelled or has ended keeps what it says.
///
/// # Errors
/// The database's own.
pub async fn set_progress(db: &CellDb, id: &DataRequestId, progress: &str) -> Result<()> {
    let mut transaction = db.begin().await?;
    keep_progress(id, progress).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// As [`set_progress`], inside somebody's transaction.
pub fn keep_progress(id: &DataRequestId, progress: &str) -> Statement {
    let text = "UPDATE data_requests SET progress = $1 WHERE id = $2 AND state IN ('approved', 'running')";
    Statement::new(text, values![progress, id.as_str()])
}

/// A request of a workspace.
///
/// # Errors
/// The database's own.
pub async fn get(db: &CellDb, workspace: &WorkspaceId, id: &DataRequestId) -> Result<Option<RequestRow>> {
    let text = "SELECT * FROM data_requests WHERE workspace_id = $1 AND id = $2";
    let row = sqlx::query(text).bind(workspace.as_str()).bind(id.as_str()).fetch_optional(&db.read).await?;
    row.as_ref().map(request).transpose()
}

/// Requests of a workspace, the newest first, after the one at `last`.
///
/// # Errors
/// The database's own.
pub async fn page(
    db: &CellDb,
    workspace: &WorkspaceId,
    last: Option<(i64, String)>,
    limit: i64,
) -> Result<Vec<RequestRow>> {
    let select =
        Select::new("SELECT * FROM data_requests WHERE workspace_id = $1", values![workspace.as_str()])
            .after("filed_us", "id", last)
            .tail("ORDER BY filed_us DESC, id DESC")
            .limit(limit);
    select.all(&db.read).await?.iter().map(request).collect()
}

/// Requests that are approved or were begun, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn to_execute(db: &CellDb) -> Result<Vec<RequestRow>> {
    let text = "SELECT * FROM data_requests WHERE state IN ('approved', 'running') ORDER BY decided_us, id";
    sqlx::query(text).fetch_all(&db.read).await?.iter().map(request).collect()
}

/// Removes requests that ended before `cut`, but for those of a workspace that a hold keeps as a whole; their keys seal
/// nothing then, and go as such.
///
/// # Errors
/// The database's own.
pub async fn remove_ended(db: &CellDb, cut: Time) -> Result<()> {
    const ENDED: &str = "ended_us < $1 AND NOT EXISTS (SELECT 1 FROM legal_holds h WHERE h.kind = 'workspace' \
                         AND h.workspace_id = data_requests.workspace_id AND h.lifted_us IS NULL)";
    let mut transaction = db.begin().await?;
    // A hold is placed under its account's lock.
    let lock = format!(
        "SELECT workspace_id FROM accounts WHERE workspace_id IN (SELECT workspace_id FROM data_requests \
         WHERE ended_us < $1) ORDER BY workspace_id{}",
        db.dialect.for_update()
    );
    Select::new(&lock, values![cut.micros()]).all(&mut *transaction).await?;
    for text in [
        format!(
            "DELETE FROM data_request_items WHERE data_request_id IN (SELECT id FROM data_requests WHERE {ENDED})"
        ),
        format!("DELETE FROM data_requests WHERE {ENDED}"),
    ] {
        sql::run_text(&mut transaction, text, values![cut.micros()]).await?;
    }
    Ok(transaction.commit().await?)
}

/// Notes the calls that a request is about in this state, those that are noted too.
///
/// # Errors
/// The database's own.
pub async fn add_items(
    on: &mut AnyConnection,
    id: &DataRequestId,
    requests: &[String],
    state: &str,
) -> Result<()> {
    let rows = requests.iter().map(|request| values![id.as_str(), request.as_str(), state]).collect();
    let head = "INSERT INTO data_request_items (data_request_id, request_id, state)";
    let tail = "ON CONFLICT (data_request_id, request_id) DO UPDATE SET state = excluded.state";
    sql::insert(on, head, rows, tail).await
}

/// Forgets the calls of a request, so that a retry finds them anew.
pub fn clear_items(id: &DataRequestId) -> Statement {
    let text = "DELETE FROM data_request_items WHERE data_request_id = $1";
    Statement::new(text, values![id.as_str()]).or_nothing()
}

/// Calls of a request in this state, after the call `after`, in the order of ids.
///
/// # Errors
/// The database's own.
pub async fn items(
    db: &CellDb,
    id: &DataRequestId,
    state: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>> {
    let text = "SELECT request_id FROM data_request_items WHERE data_request_id = $1 AND state = $2 \
                AND request_id > $3 ORDER BY request_id LIMIT $4";
    let query = sqlx::query_scalar(text).bind(id.as_str()).bind(state).bind(after).bind(limit);
    Ok(query.fetch_all(&db.read).await?)
}

/// How many calls of a request are in this state.
///
/// # Errors
/// The database's own.
pub async fn count_items(db: &CellDb, id: &DataRequestId, state: &str) -> Result<i64> {
    let text = "SELECT COUNT(*) FROM data_request_items WHERE data_request_id = $1 AND state = $2";
    Ok(sqlx::query_scalar(text).bind(id.as_str()).bind(state).fetch_one(&db.read).await?)
}

/// The generations of calls.
///
/// # Errors
/// The database's own.
pub async fn generations(db: &CellDb, requests: &[String]) -> Result<Vec<NewGeneration>> {
    let mut connection = db.read.acquire().await?;
    let rows = sql::select_in(&mut connection, "SELECT * FROM generations WHERE request_id IN", requests, "");
    rows.await?.iter().map(generations::generation).collect()
}

/// Removes everything that was derived from the prompts of these calls and notes them as done, all at once: with
/// `progress`, which is told the number of derived rows, so that a kill right after loses no count.
///
/// # Errors
/// The database's own.
pub async fn erase(
    db: &CellDb,
    workspace: &WorkspaceId,
    id: &DataRequestId,
    requests: &[String],
    gone: &[NewGeneration],
    now: Time,
    progress: impl FnOnce(u64) -> String,
) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let ids: Vec<String> = gone.iter().map(|made| made.id.to_string()).collect();
    let head = "UPDATE generations SET deleted_us = $1 WHERE deleted_us IS NULL AND id IN";
    sql::change_in(&mut transaction, head, values![now.micros()], &ids).await?;
    // Their keys are destroyed last, or by another request.
    erasure::note_keys(&mut transaction, requests).await?;
    sql::count_changed_in(&mut transaction, "DELETE FROM prompts WHERE request_id IN", requests).await?;
    let mut derived = remove_attempts(&mut transaction, workspace, requests).await?;
    let head = "DELETE FROM idempotency_keys WHERE request_id IN";
    derived += sql::count_changed_in(&mut transaction, head, requests).await?;
    let head = "UPDATE data_request_items SET state = 'done' WHERE data_request_id = $1 AND request_id IN";
    sql::change_in(&mut transaction, head, values![id.as_str()], requests).await?;
    keep_progress(id, &progress(derived)).run(&mut transaction).await?;
    transaction.commit().await?;
    Ok(derived)
}

/// Removes refused and failed calls with the same prompts, but for those that a hold keeps.
pub(super) async fn remove_attempts(
    on: &mut AnyConnection,
    workspace: &WorkspaceId,
    requests: &[String],
) -> Result<u64> {
    let head = "SELECT DISTINCT prompt_hash FROM log_entries WHERE prompt_hash IS NOT NULL AND workspace_id = $1 AND request_id IN";
    let rows = sql::select_in_after(on, head, values![workspace.as_str()], requests).await?;
    let hashes: Vec<String> =
        rows.iter().map(|row| Ok(row.try_get("prompt_hash")?)).collect::<Result<_>>()?;
    let mut removed = 0;
    for hash in hashes {
        let text = format!(
            "DELETE FROM attempts WHERE workspace_id = $1 AND prompt_hash = $2 AND NOT {KEEPS_ATTEMPT}"
        );
        removed += sql::run_text(on, text, values![workspace.as_str(), hash]).await?;
    }
    Ok(removed)
}

/// Notes calls as kept by a hold.
///
/// # Errors
/// The database's own.
pub async fn hold_items(db: &CellDb, id: &DataRequestId, requests: &[String]) -> Result<()> {
    let mut transaction = db.begin().await?;
    let head = "UPDATE data_request_items SET state = 'held' WHERE data_request_id = $1 AND request_id IN";
    sql::change_in(&mut transaction, head, values![id.as_str()], requests).await?;
    Ok(transaction.commit().await?)
}

fn request(row: &AnyRow) -> Result<RequestRow> {
    let time = |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.map(Time));
    Ok(RequestRow {
        id: parse(row.try_get::<String, _>("id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        kind: row.try_get::<&str, _>("kind")?.parse().map_err(|error| internal("stored kind", error))?,
        state: row.try_get::<&str, _>("state")?.parse().map_err(|error| internal("stored state", error))?,
        criteria: row.try_get("criteria")?,
        key_id: row.try_get("key_id")?,
        sealed: row.try_get("sealed")?,
        received_on: row.try_get("received_on")?,
        due_on: row.try_get("due_on")?,
        extended: row.try_get::<i64, _>("extended")? != 0,
        filed_by: row.try_get("filed_by")?,
        filed_person: row.try_get("filed_person")?,
        admins: serde_json::from_str(row.try_get("admins")?).unwrap_or_default(),
        filed_at: Time(row.try_get("filed_us")?),
        decided_by: row.try_get("decided_by")?,
        decided_at: time("decided_us")?,
        four_eyes: row.try_get::<i64, _>("four_eyes")? != 0,
        started_at: time("started_us")?,
        ended_at: time("ended_us")?,
        matches: Matches {
            prompts: row.try_get("prompts")?,
            media: row.try_get("media")?,
            rows: row.try_get("log_rows")?,
        },
        progress: row.try_get("progress")?,
        certificate: row.try_get("certificate")?,
        archive_until: time("archive_until_us")?,
    })
}
