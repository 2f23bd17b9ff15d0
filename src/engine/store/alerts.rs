//! Alerts: their settings, which were told, and what is to be looked at.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::alerts::{Alert, AlertSettings, DIGEST};
use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Select, Statement, values};

/// The key's id and the sealed Slack URL.
pub type SealedSlack = (String, Vec<u8>);

/// A workspace's settings and its Slack URL.
///
/// # Errors
/// The database's own.
pub async fn settings(db: &CellDb, workspace: &WorkspaceId) -> Result<(AlertSettings, Option<SealedSlack>)> {
    let text = "SELECT * FROM alert_settings WHERE workspace_id = $1";
    let rows = Select::new(text, values![workspace.as_str()]).all(&db.read).await?;
    let Some(row) = rows.first() else { return Ok(Default::default()) };
    let settings = serde_json::from_str(row.try_get("settings")?).unwrap_or_default();
    let key: Option<String> = row.try_get("key_id")?;
    let slack: Option<Vec<u8>> = row.try_get("slack")?;
    Ok((settings, key.zip(slack)))
}

/// Changes them.
pub fn set(workspace: &WorkspaceId, settings: &AlertSettings, slack: Option<SealedSlack>) -> Statement {
    let text = "INSERT INTO alert_settings (workspace_id, settings, key_id, slack) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (workspace_id) DO UPDATE SET settings = excluded.settings, key_id = excluded.key_id, \
                slack = excluded.slack";
    let (key, slack) = slack.unzip();
    let settings = serde_json::to_string(settings).unwrap_or_default();
    Statement::new(
        text,
        vec![
            workspace.as_str().into(),
            settings.into(),
            key.into(),
            crate::engine::store::sql::Value::MaybeBlob(slack),
        ],
    )
}

/// Workspaces of a cell whose recipients include one of these addresses.
///
/// # Errors
/// The database's own.
pub async fn told_by_mail(db: &CellDb, addresses: &[String]) -> Result<Vec<WorkspaceId>> {
    let text = "SELECT workspace_id, settings FROM alert_settings WHERE settings LIKE '%@%'";
    let mut found = Vec::new();
    for row in Select::new(text, Vec::new()).all(&db.read).await? {
        let settings: AlertSettings = serde_json::from_str(row.try_get("settings")?).unwrap_or_default();
        if settings.recipients.iter().any(|recipient| addresses.contains(recipient)) {
            found.push(parse(row.try_get::<String, _>("workspace_id")?)?);
        }
    }
    Ok(found)
}

/// Keeps an alert; changes nothing where its key was told before.
pub fn fire(workspace: &WorkspaceId, alert: &Alert, now: Time) -> Statement {
    let text = "INSERT INTO alerts (workspace_id, key, event, message, fired_us) VALUES ($1, $2, $3, $4, $5) \
                ON CONFLICT (workspace_id, key) DO NOTHING";
    let values =
        values![workspace.as_str(), alert.key.as_str(), alert.event, alert.text.as_str(), now.micros()];
    Statement::new(text, values)
}

/// An alert that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// What and in which period.
    pub key: String,
    /// The event.
    pub event: String,
    /// The sentence.
    pub message: String,
    /// When.
    pub fired_at: Time,
    /// When it was told.
    pub told_at: Option<Time>,
    /// By which ways.
    pub channels: Option<String>,
    /// How often it was tried before.
    pub tries: i64,
    /// Fingerprints of those who were reached, while the others are tried again.
    pub reached: Vec<String>,
}

/// The keys of a workspace that fired since a time.
///
/// # Errors
/// The database's own.
pub async fn fired(db: &CellDb, workspace: &WorkspaceId) -> Result<std::collections::HashSet<String>> {
    let text = "SELECT key FROM alerts WHERE workspace_id = $1";
    let rows = Select::new(text, values![workspace.as_str()]).all(&db.read).await?;
    rows.iter().map(|row| Ok(row.try_get("key")?)).collect()
}

/// A workspace's alerts, the newest first; digests are none.
///
/// # Errors
/// The database's own.
pub async fn list(db: &CellDb, workspace: &WorkspaceId, limit: i64) -> Result<Vec<AlertRow>> {
    let text = "SELECT * FROM alerts WHERE workspace_id = $1 AND event <> $2 ORDER BY fired_us DESC, key";
    let rows = Select::new(text, values![workspace.as_str(), DIGEST]).limit(limit).all(&db.read).await?;
    rows.iter().map(alert).collect()
}

/// Keeps an alert that belongs to no act; changes nothing where its key was told before.
///
/// # Errors
/// The database's own.
pub async fn keep(db: &CellDb, workspace: &WorkspaceId, alert: &Alert, now: Time) -> Result<()> {
    let mut connection = db.write.acquire().await?;
    fire(workspace, alert, now).run(&mut connection).await?;
    Ok(())
}

/// Alerts of which somebody is still to be told now.
///
/// # Errors
/// The database's own.
pub async fn untold(db: &CellDb, now: Time, limit: i64) -> Result<Vec<AlertRow>> {
    let text = "SELECT * FROM alerts WHERE told_us IS NULL AND next_us <= $1 ORDER BY fired_us";
    let select = Select::new(text, values![now.micros()]);
    select.limit(limit).all(&db.read).await?.iter().map(alert).collect()
}

/// Takes an alert to tell it until `until`; false where another node was first.
///
/// # Errors
/// The database's own.
pub async fn claim(db: &CellDb, row: &AlertRow, now: Time, until: Time) -> Result<bool> {
    let text = "UPDATE alerts SET next_us = $1, tries = tries + 1 WHERE workspace_id = $2 AND key = $3 \
                AND told_us IS NULL AND next_us <= $4";
    let values = values![until.micros(), row.workspace_id.as_str(), row.key.as_str(), now.micros()];
    let mut connection = db.write.acquire().await?;
    Ok(Statement::new(text, values).run(&mut connection).await? == 1)
}

/// What became of telling an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How people read it, such as `2 mails; Slack`.
    pub channels: String,
    /// When it was done; `None` where some are to be tried again …
    pub at: Option<Time>,
    /// … from this time on …
    pub next_at: Time,
    /// … but for those with these fingerprints.
    pub reached: Vec<String>,
}

/// Notes what became of telling an alert.
///
/// # Errors
/// The database's own.
pub async fn told(db: &CellDb, row: &AlertRow, told: Told) -> Result<()> {
    let text = "UPDATE alerts SET told_us = $1, channels = $2, next_us = $3, reached = $4 \
                WHERE workspace_id = $5 AND key = $6";
    let reached = told.at.is_none().then(|| serde_json::to_string(&told.reached).unwrap_or_default());
    let values = values![
        told.at.map(Time::micros),
        told.channels,
        told.next_at.micros(),
        reached,
        row.workspace_id.as_str(),
        row.key.as_str()
    ];
    let mut connection = db.write.acquire().await?;
    Statement::new(text, values).run(&mut connection).await?;
    Ok(())
}

fn alert(row: &AnyRow) -> Result<AlertRow> {
    Ok(AlertRow {
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        key: row.try_get("key")?,
        event: row.try_get("event")?,
        message: row.try_get("message")?,
        fired_at: Time(row.try_get("fired_us")?),
        told_at: row.try_get::<Option<i64>, _>("told_us")?.map(Time),
        channels: row.try_get("channels")?,
        tries: row.try_get("tries")?,
        reached: row
            .try_get::<Option<String>, _>("reached")?
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_default(),
    })
}

/// A workspace to look at: its log's end, and the last month whose digest was sent.
pub type Watched = (WorkspaceId, i64, Option<String>);

/// Workspaces in which something happened since they were looked at, or that were not looked at since `stale`.
///
/// # Errors
/// The database's own.
pub async fn to_look_at(db: &CellDb, stale: Time) -> Result<Vec<Watched>> {
    let text = "SELECT a.workspace_id, a.log_seq, w.digest FROM accounts a \
                LEFT JOIN alert_watch w ON w.workspace_id = a.workspace_id \
                WHERE a.suspended = 0 AND (w.seen_seq IS NULL OR w.seen_seq < a.log_seq OR w.looked_us <= $1) LIMIT 1000";
    let rows = Select::new(text, values![stale.micros()]).all(&db.read).await?;
    let read = |row: &AnyRow| {
        Ok((
            parse(row.try_get::<String, _>("workspace_id")?)?,
            row.try_get("log_seq")?,
            row.try_get("digest")?,
        ))
    };
    rows.iter().map(read).collect()
}

/// Notes that a workspace was looked at.
///
/// # Errors
/// The database's own.
pub async fn looked(db: &CellDb, workspace: &WorkspaceId, seq: i64, now: Time, digest: &str) -> Result<()> {
    let text = "INSERT INTO alert_watch (workspace_id, seen_seq, looked_us, digest) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (workspace_id) DO UPDATE SET seen_seq = excluded.seen_seq, looked_us = excluded.looked_us, \
                digest = excluded.digest";
    let mut connection = db.write.acquire().await?;
    Statement::new(text, values![workspace.as_str(), seq, now.micros(), digest]).run(&mut connection).await?;
    Ok(())
}

/// The place of the last top-up: names what ends with the next one.
///
/// # Errors
/// The database's own.
pub async fn funding(db: &CellDb, workspace: &WorkspaceId) -> Result<i64> {
    let text = "SELECT seq FROM ledger_entries WHERE workspace_id = $1 AND kind <> 'charge' ORDER BY seq DESC LIMIT 1";
    let rows = Select::new(text, values![workspace.as_str()]).all(&db.read).await?;
    rows.first().map_or(Ok(0), |row| Ok(row.try_get("seq")?))
}

/// Codes that make no loop: the agent is stopped already, or nothing was asked for that could cost.
pub const NO_LOOP: [&str; 2] = ["agent_paused", "invalid_argument"];

/// How often one agent went on with one tool and prompt since a time, although it was refused or had failed, and since it
/// was last resumed.
///
/// # Errors
/// The database's own.
pub async fn repeats(
    db: &CellDb,
    workspace: &WorkspaceId,
    [user, tool, prompt]: [&str; 3],
    since: Time,
) -> Result<i64> {
    let text = "SELECT CAST(COALESCE(SUM(t.series), 0) AS BIGINT) AS repeats FROM attempts t JOIN agents g \
                ON g.workspace_id = t.workspace_id AND g.name = t.user_id WHERE t.workspace_id = $1 AND t.user_id = $2 \
                AND t.last_us >= $3 AND t.tool = $4 AND t.prompt_hash = $5 AND t.counted_us > g.resumed_us \
                AND t.code NOT IN ($6, $7)";
    let [paused, wrong] = NO_LOOP;
    let values = values![workspace.as_str(), user, since.micros(), tool, prompt, paused, wrong];
    let rows = Select::new(text, values).all(&db.read).await?;
    rows.first().map_or(Ok(0), |row| Ok(row.try_get("repeats")?))
}

/// What an agent was charged after `since`, in micro-dollars.
///
/// # Errors
/// The database's own.
pub async fn spent_since(db: &CellDb, workspace: &WorkspaceId, agent: &str, since: Time) -> Result<i64> {
    let text = "SELECT CAST(COALESCE(SUM(-amount), 0) AS BIGINT) AS spent FROM ledger_entries \
                WHERE workspace_id = $1 AND ts_us > $2 AND actor = $3 AND kind = 'charge'";
    let rows = Select::new(text, values![workspace.as_str(), since.micros(), agent]).all(&db.read).await?;
    rows.first().map_or(Ok(0), |row| Ok(row.try_get("spent")?))
}

/// What each agent spent in the hour of `hour`, and its spend and its hours with spend in the time from `since` to it.
///
/// # Errors
/// The database's own.
pub async fn hours(
    db: &CellDb,
    workspace: &WorkspaceId,
    since: Time,
    hour: Time,
) -> Result<Vec<(String, i64, i64, i64)>> {
    let text = "SELECT n.user_id, n.spent, CAST(COALESCE(p.spent, 0) AS BIGINT) AS before, CAST(COALESCE(p.hours, 0) AS BIGINT) AS hours \
                FROM (SELECT user_id, CAST(SUM(cost) AS BIGINT) AS spent FROM usage_hours WHERE workspace_id = $1 AND hour_us = $2 \
                GROUP BY user_id) n LEFT JOIN (SELECT user_id, SUM(cost) AS spent, COUNT(DISTINCT hour_us) AS hours FROM usage_hours \
                WHERE workspace_id = $1 AND hour_us >= $3 AND hour_us < $2 AND cost > 0 GROUP BY user_id) p ON p.user_id = n.user_id \
                WHERE n.spent > 0";
    let rows =
        Select::new(text, values![workspace.as_str(), hour.micros(), since.micros()]).all(&db.read).await?;
    let read = |row: &AnyRow| {
        Ok((row.try_get("user_id")?, row.try_get("spent")?, row.try_get("before")?, row.try_get("hours")?))
    };
    rows.iter().map(read).collect()
}
