//! What was sent to webhook endpoints, what was put aside, and what is to be sent once more.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::ids::{DeliveryId, WebhookId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Select, Statement, Value, values};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its id.
    pub id: DeliveryId,
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// Where to.
    pub endpoint_id: WebhookId,
    /// `live`, `replay`, `probe` or `test`.
    pub lane: String,
    /// The first event's name.
    pub event: String,
    /// The first event's id.
    pub event_id: String,
    /// The first event's place.
    pub from_seq: i64,
    /// The last event's place.
    pub to_seq: i64,
    /// How many events.
    pub events: i64,
    /// Which try, from 1.
    pub attempt: i64,
    /// `delivered`, `retried`, `parked`, `split`, `paused` or `disabled`.
    pub outcome: String,
    /// The receiver's status.
    pub status: Option<i64>,
    /// Why there is none, or what followed.
    pub fault: Option<String>,
    /// The body that was sent, cut.
    pub request: String,
    /// The body that came back, cut.
    pub response: String,
    /// How long it took, in microseconds.
    pub duration: i64,
    /// When it was sent.
    pub at: Time,
}

/// Keeps a request.
pub fn insert(row: &DeliveryRow) -> Statement {
    let text = "INSERT INTO webhook_deliveries (id, workspace_id, endpoint_id, lane, event, event_id, from_seq, to_seq, events, \
                attempt, outcome, status, fault, request, response, duration_us, at_us) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    let values = values![
        row.id.as_str(),
        row.workspace_id.as_str(),
        row.endpoint_id.as_str(),
        row.lane.as_str(),
        row.event.as_str(),
        row.event_id.as_str(),
        row.from_seq,
        row.to_seq,
        row.events,
        row.attempt,
        row.outcome.as_str(),
        row.status,
        row.fault.clone(),
        row.request.as_str(),
        row.response.as_str(),
        row.duration,
        row.at.micros()
    ];
    Statement::new(text, values)
}

/// An endpoint's requests, the newest first; with `failed` only those that did not deliver.
///
/// # Errors
/// The database's own.
pub async fn page(
    db: &CellDb,
    endpoint: &WebhookId,
    failed: bool,
    last: Option<(i64, String)>,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    let select =
        Select::new("SELECT * FROM webhook_deliveries WHERE endpoint_id = $1", values![endpoint.as_str()]);
    let select = if failed { select.tail("AND outcome <> 'delivered'") } else { select };
    let select = select.after("at_us", "id", last).tail("ORDER BY at_us DESC, id DESC").limit(limit);
    select.all(&db.read).await?.iter().map(delivery).collect()
}

/// The requests that carried the log entry at `seq`: it was their first or last event, or one between for an endpoint of
/// those that are `wanting` it.
///
/// # Errors
/// The database's own.
pub async fn of_entry(
    db: &CellDb,
    workspace: &WorkspaceId,
    seq: i64,
    wanting: &[WebhookId],
) -> Result<Vec<DeliveryRow>> {
    let text = "SELECT * FROM webhook_deliveries WHERE workspace_id = $1 AND from_seq <= $2 AND from_seq > $2 - 5000 \
                AND to_seq >= $2 AND lane <> 'test' AND endpoint_id IN \
                (SELECT id FROM webhook_endpoints WHERE workspace_id = $1 AND state <> 'deleted')";
    let mut select = Select::new(text, values![workspace.as_str(), seq]);
    let list: String = wanting.iter().map(|id| format!(", {}", select.bound(id.as_str()))).collect();
    select.push(&format!(" AND (from_seq = $2 OR to_seq = $2 OR endpoint_id IN (NULL{list}))"));
    let rows = select.tail("ORDER BY at_us DESC LIMIT 20").all(&db.read).await?;
    rows.iter().map(delivery).collect()
}

/// An endpoint's requests since a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub requests: i64,
    /// Those that were delivered.
    pub delivered: i64,
    /// Those that failed; an event that was put aside and a batch that was split are neither.
    pub failed: i64,
}

/// Counts an endpoint's requests since a time.
///
/// # Errors
/// The database's own.
pub async fn counts(db: &CellDb, endpoint: &WebhookId, since: Time) -> Result<Counts> {
    let text = "SELECT outcome, COUNT(*) AS requests FROM webhook_deliveries WHERE endpoint_id = $1 AND at_us >= $2 \
                GROUP BY outcome";
    let mut counts = Counts::default();
    for row in Select::new(text, values![endpoint.as_str(), since.micros()]).all(&db.read).await? {
        let requests: i64 = row.try_get("requests")?;
        counts.requests += requests;
        match row.try_get::<&str, _>("outcome")? {
            "delivered" => counts.delivered += requests,
            "split" | "parked" => {}
            _ => counts.failed += requests,
        }
    }
    Ok(counts)
}

/// Rows removed at a time: SQLite's one writer is not held for longer.
pub const BATCH: u64 = 5_000;

/// Removes a batch of what was sent before a time; tells how many.
///
/// # Errors
/// The database's own.
pub async fn delete_before(db: &CellDb, time: Time) -> Result<u64> {
    let text = "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE at_us < $1 LIMIT $2)";
    remove(db, text, values![time.micros(), BATCH as i64]).await
}

/// Removes a batch of what was sent to an endpoint; tells how many.
///
/// # Errors
/// The database's own.
pub async fn delete_of(db: &CellDb, endpoint: &WebhookId) -> Result<u64> {
    let text = "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 LIMIT $2)";
    remove(db, text, values![endpoint.as_str(), BATCH as i64]).await
}

/// Removes a deleted endpoint's row, with what was put aside and what was to be sent once more.
pub fn delete_rest(endpoint: &WebhookId) -> Vec<Statement> {
    [
        "DELETE FROM webhook_endpoints WHERE id = $1 AND state = 'deleted'",
        "DELETE FROM webhook_parked WHERE endpoint_id = $1",
        "DELETE FROM webhook_replays WHERE endpoint_id = $1",
    ]
    .map(|text| Statement::new(text, values![endpoint.as_str()]))
    .into()
}

/// Removes what was put aside of the part of a log that retention took: it can be sent no more.
///
/// # Errors
/// The database's own.
pub async fn delete_cut(db: &CellDb) -> Result<u64> {
    let text = "DELETE FROM webhook_parked WHERE seq <= (SELECT a.log_floor_seq FROM accounts a \
                WHERE a.workspace_id = webhook_parked.workspace_id)";
    remove(db, text, Vec::new()).await
}

async fn remove(db: &CellDb, text: &'static str, values: Vec<Value>) -> Result<u64> {
    let mut connection = db.write.acquire().await?;
    Ok(Statement::new(text, values).run(&mut connection).await?)
}

fn delivery(row: &AnyRow) -> Result<DeliveryRow> {
    Ok(DeliveryRow {
        id: parse(row.try_get::<String, _>("id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        endpoint_id: parse(row.try_get::<String, _>("endpoint_id")?)?,
        lane: row.try_get("lane")?,
        event: row.try_get("event")?,
        event_id: row.try_get("event_id")?,
        from_seq: row.try_get("from_seq")?,
        to_seq: row.try_get("to_seq")?,
        events: row.try_get("events")?,
        attempt: row.try_get("attempt")?,
        outcome: row.try_get("outcome")?,
        status: row.try_get("status")?,
        fault: row.try_get("fault")?,
        request: row.try_get("request")?,
        response: row.try_get("response")?,
        duration: row.try_get("duration_us")?,
        at: Time(row.try_get("at_us")?),
    })
}

/// An event that was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedRow {
    /// Its place.
    pub seq: i64,
    /// Its name.
    pub event: String,
    /// Its id.
    pub event_id: String,
    /// What the receiver said.
    pub reason: String,
    /// When.
    pub at: Time,
}

/// Puts an event aside.
pub fn park(workspace: &WorkspaceId, endpoint: &WebhookId, row: &ParkedRow) -> Statement {
    let text = "INSERT INTO webhook_parked (endpoint_id, seq, workspace_id, event, event_id, reason, at_us) \
                VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (endpoint_id, seq) DO UPDATE SET reason = excluded.reason, \
                at_us = excluded.at_us";
    let values = values![
        endpoint.as_str(),
        row.seq,
        workspace.as_str(),
        row.event.as_str(),
        row.event_id.as_str(),
        row.reason.as_str(),
        row.at.micros()
    ];
    Statement::new(text, values)
}

/// Forgets that events of a range were put aside: they were delivered.
pub fn unpark(endpoint: &WebhookId, from: i64, to: i64) -> Statement {
    let text = "DELETE FROM webhook_parked WHERE endpoint_id = $1 AND seq BETWEEN $2 AND $3";
    Statement::new(text, values![endpoint.as_str(), from, to])
}

/// Events that were put aside since a time, in order, at most `limit`.
///
/// # Errors
/// The database's own.
pub async fn parked(db: &CellDb, endpoint: &WebhookId, since: Time, limit: i64) -> Result<Vec<ParkedRow>> {
    let text = "SELECT * FROM webhook_parked WHERE endpoint_id = $1 AND at_us >= $2 ORDER BY seq";
    let rows =
        Select::new(text, values![endpoint.as_str(), since.micros()]).limit(limit).all(&db.read).await?;
    let parked = |row: &AnyRow| {
        Ok(ParkedRow {
            seq: row.try_get("seq")?,
            event: row.try_get("event")?,
            event_id: row.try_get("event_id")?,
            reason: row.try_get("reason")?,
            at: Time(row.try_get("at_us")?),
        })
    };
    rows.iter().map(parked).collect()
}

/// A range of the log to be delivered once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayRow {
    /// Its id.
    pub id: String,
    /// The last row that is settled.
    pub cursor: i64,
    /// The last row of the range.
    pub to_seq: i64,
}

/// Asks for a range once more: the rows behind `cursor` up to `to_seq`.
pub fn replay(workspace: &WorkspaceId, endpoint: &WebhookId, row: &ReplayRow, now: Time) -> Statement {
    let text = "INSERT INTO webhook_replays (id, endpoint_id, workspace_id, cursor_seq, to_seq, made_us) \
                VALUES ($1, $2, $3, $4, $5, $6)";
    let values =
        values![row.id.as_str(), endpoint.as_str(), workspace.as_str(), row.cursor, row.to_seq, now.micros()];
    Statement::new(text, values)
}

/// Notes how far a replay has come; removes it at its end.
pub fn replayed(row: &ReplayRow) -> Statement {
    if row.cursor >= row.to_seq {
        return Statement::new("DELETE FROM webhook_replays WHERE id = $1", values![row.id.as_str()]);
    }
    Statement::new(
        "UPDATE webhook_replays SET cursor_seq = $1 WHERE id = $2",
        values![row.cursor, row.id.as_str()],
    )
}

/// The replays of an endpoint, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn replays(db: &CellDb, endpoint: &WebhookId) -> Result<Vec<ReplayRow>> {
    let text = "SELECT * FROM webhook_replays WHERE endpoint_id = $1 ORDER BY made_us, id LIMIT 100";
    let rows = Select::new(text, values![endpoint.as_str()]).all(&db.read).await?;
    let read = |row: &AnyRow| {
        Ok(ReplayRow {
            id: row.try_get("id")?,
            cursor: row.try_get("cursor_seq")?,
            to_seq: row.try_get("to_seq")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Runs statements in one transaction; false, and nothing done, where the first one changed nothing.
///
/// # Errors
/// The database's own.
pub async fn together(db: &CellDb, statements: Vec<Statement>) -> Result<bool> {
    let mut transaction = db.begin().await?;
    for (number, statement) in statements.into_iter().enumerate() {
        if statement.run(&mut transaction).await? == 0 && number == 0 {
            return Ok(false);
        }
    }
    transaction.commit().await?;
    Ok(true)
}
