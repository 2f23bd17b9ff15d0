//! The ledger writer's loads and saves: a batch of commands in a handful of statements.

use std::collections::{BTreeSet, HashMap};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::ids::{AgentId, RequestId, WorkspaceId};
use crate::domain::ledger::{Account, Asked, Books, Hold, HoldState, Period, Standing, Tally, UsedKey};
use crate::domain::money::Usd;
use crate::domain::time::{DAY, Time};
use crate::engine::error::{Result, internal};
use crate::engine::store::Dialect;
use crate::engine::store::sql::{self, Value, values};

/// The end of a workspace's log, behind which the next entry goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// The last entry's place; 0 where there is none.
    pub seq: i64,
    /// The last entry's hash.
    pub head: String,
    /// The last entry's time.
    pub ts: Time,
}

/// What the writer holds of one workspace during a batch.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Money.
    pub books: Books,
    /// Where the log ends.
    pub log: LogEnd,
    /// How many days results and prompts are kept.
    pub media_days: u32,
}

impl Ledger {
    /// When a result of this moment goes: at once where the workspace was deleted while its call ran.
    pub fn end_of_media(&self, made_at: Time) -> Time {
        match self.books.account.standing {
            Standing::Active => made_at.plus(i64::from(self.media_days) * DAY),
            Standing::Suspended => made_at,
        }
    }
}

/// Which rows a batch needs.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Accounts; locked in this order, which is the same in every process.
    pub workspaces: BTreeSet<WorkspaceId>,
    /// Reservations that end.
    pub holds: BTreeSet<RequestId>,
    /// Idempotency keys, with their workspace.
    pub keys: BTreeSet<(WorkspaceId, String)>,
    /// Agents that reserve, with the time that says in which day and month.
    pub spenders: BTreeSet<(WorkspaceId, AgentId, Time)>,
}

/// The id of a tally: `workspace/agent/period`.
pub fn tally_id(workspace: &WorkspaceId, period: &Period) -> String {
    format!("{workspace}/{}/{}", period.agent.as_ref().map_or("", AgentId::as_str), period.key)
}

/// The id of an idempotency key: `workspace/key`.
pub fn key_id(workspace: &WorkspaceId, key: &str) -> String {
    format!("{workspace}/{key}")
}

/// Locks the accounts and loads what `wanted` names. A workspace without an account is not in the answer.
///
/// # Errors
/// The database's own.
pub async fn load(
    on: &mut AnyConnection,
    dialect: Dialect,
    wanted: &Wanted,
) -> Result<HashMap<WorkspaceId, Ledger>> {
    let mut ledgers = load_accounts(on, dialect, wanted).await?;
    load_holds(on, &mut ledgers, wanted).await?;
    load_tallies(on, &mut ledgers, wanted).await?;
    load_keys(on, &mut ledgers, wanted).await?;
    Ok(ledgers)
}

async fn load_accounts(
    on: &mut AnyConnection,
    dialect: Dialect,
    wanted: &Wanted,
) -> Result<HashMap<WorkspaceId, Ledger>> {
    let ids: Vec<String> = wanted.workspaces.iter().map(ToString::to_string).collect();
    let head = "SELECT workspace_id, available, reserved, suspended, caps, media_retention_days, log_seq, log_head, \
                log_ts_us FROM accounts WHERE workspace_id IN";
    let tail = format!(" ORDER BY workspace_id{}", dialect.for_update());
    let mut ledgers = HashMap::new();
    for row in sql::select_in(on, head, &ids, &tail).await? {
        ledgers.insert(parse(row.try_get::<String, _>("workspace_id")?)?, ledger(&row)?);
    }
    Ok(ledgers)
}

fn ledger(row: &AnyRow) -> Result<Ledger> {
    let suspended = row.try_get::<i64, _>("suspended")? != 0;
    let account = Account {
        available: Usd::from_micros(row.try_get("available")?),
        reserved: Usd::from_micros(row.try_get("reserved")?),
        caps: serde_json::from_str(row.try_get("caps")?).map_err(|error| internal("stored caps", error))?,
        standing: if suspended { Standing::Suspended } else { Standing::Active },
    };
    let log = LogEnd {
        seq: row.try_get("log_seq")?,
        head: row.try_get("log_head")?,
        ts: Time(row.try_get("log_ts_us")?),
    };
    let books = Books { account, tallies: HashMap::new(), holds: HashMap::new(), keys: HashMap::new() };
    let media_days = row.try_get::<i64, _>("media_retention_days")?.unsigned_abs() as u32;
    Ok(Ledger { books, log, media_days })
}

async fn load_holds(
    on: &mut AnyConnection,
    ledgers: &mut HashMap<WorkspaceId, Ledger>,
    wanted: &Wanted,
) -> Result<()> {
    let ids: Vec<String> = wanted.holds.iter().map(ToString::to_string).collect();
    let head = "SELECT request_id, workspace_id, agent_id, amount, state, idempotency_key, made_us, deadline_us, tool, model, \
                prompt_hash FROM reservations WHERE request_id IN";
    for row in sql::select_in(on, head, &ids, "").await? {
        let (workspace, hold) = hold(&row)?;
        if let Some(ledger) = ledgers.get_mut(&workspace) {
            ledger.books.holds.insert(hold.request_id.clone(), hold);
        }
    }
    Ok(())
}

/// A reservation and its workspace.
pub(super) fn hold(row: &AnyRow) -> Result<(WorkspaceId, Hold)> {
    let state = match row.try_get::<&str, _>("state")? {
        "held" => HoldState::Held,
        "settled" => HoldState::Settled,
        _ => HoldState::Released,
    };
    let hold = Hold {
        request_id: parse(row.try_get::<String, _>("request_id")?)?,
        agent_id: parse(row.try_get::<String, _>("agent_id")?)?,
        amount: Usd::from_micros(row.try_get("amount")?),
        made_at: Time(row.try_get("made_us")?),
        deadline: Time(row.try_get("deadline_us")?),
        state,
        key: row.try_get("idempotency_key")?,
        asked: Asked {
            tool: row.try_get("tool")?,
            model: row.try_get("model")?,
            prompt_hash: row.try_get("prompt_hash")?,
        },
    };
    Ok((parse(row.try_get::<String, _>("workspace_id")?)?, hold))
}

async fn load_tallies(
    on: &mut AnyConnection,
    ledgers: &mut HashMap<WorkspaceId, Ledger>,
    wanted: &Wanted,
) -> Result<()> {
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for (workspace, agent, at) in &wanted.spenders {
        ids.extend(periods(agent, *at).iter().map(|period| tally_id(workspace, period)));
    }
    for (workspace, ledger) in ledgers.iter() {
        let held = ledger.books.holds.values();
        ids.extend(held.flat_map(Hold::periods).map(|period| tally_id(workspace, &period)));
    }
    let ids: Vec<String> = ids.into_iter().collect();
    let head = "SELECT workspace_id, agent_id, period, spent, reserved FROM tallies WHERE id IN";
    for row in sql::select_in(on, head, &ids, "").await? {
        let agent =
            Some(row.try_get::<String, _>("agent_id")?).filter(|id| !id.is_empty()).map(parse).transpose()?;
        let period = Period { agent, key: row.try_get("period")? };
        let tally = Tally {
            spent: Usd::from_micros(row.try_get("spent")?),
            reserved: Usd::from_micros(row.try_get("reserved")?),
        };
        if let Some(ledger) = ledgers.get_mut(&parse(row.try_get::<String, _>("workspace_id")?)?) {
            ledger.books.tallies.insert(period, tally);
        }
    }
    Ok(())
}

fn periods(agent: &AgentId, at: Time) -> [Period; 3] {
    [
        Period { agent: Some(agent.clone()), key: at.day_key() },
        Period { agent: Some(agent.clone()), key: at.month_key() },
        Period { agent: None, key: at.month_key() },
    ]
}

async fn load_keys(
    on: &mut AnyConnection,
    ledgers: &mut HashMap<WorkspaceId, Ledger>,
    wanted: &Wanted,
) -> Result<()> {
    let mut ids: BTreeSet<String> =
        wanted.keys.iter().map(|(workspace, key)| key_id(workspace, key)).collect();
    for (workspace, ledger) in ledgers.iter() {
        ids.extend(
            ledger.books.holds.values().filter_map(|hold| Some(key_id(workspace, hold.key.as_ref()?))),
        );
    }
    let ids: Vec<String> = ids.into_iter().collect();
    let head =
        "SELECT id, workspace_id, arguments, request_id, used_us, answer FROM idempotency_keys WHERE id IN";
    for row in sql::select_in(on, head, &ids, "").await? {
        let (id, workspace) = (row.try_get::<String, _>("id")?, row.try_get::<String, _>("workspace_id")?);
        let used = UsedKey {
            arguments: row.try_get("arguments")?,
            request_id: parse(row.try_get::<String, _>("request_id")?)?,
            used_at: Time(row.try_get("used_us")?),
            answer: row.try_get("answer")?,
        };
        if let Some(ledger) = ledgers.get_mut(&parse(workspace.clone())?) {
            ledger.books.keys.insert(id[workspace.len() + 1..].to_owned(), used);
        }
    }
    Ok(())
}

/// Reads an id that the database holds.
///
/// # Errors
/// [`crate::engine::error::Error::Internal`] when it is not one.
pub(super) fn parse<I: TryFrom<String, Error = crate::domain::field::FieldError>>(id: String) -> Result<I> {
    I::try_from(id).map_err(|error| internal("stored id", error))
}

/// What a batch changed, ready to be written.
#[derive(Debug, Default)]
pub struct Changes {
    /// New reservations with their workspace.
    pub reserved: Vec<(WorkspaceId, Hold)>,
    /// Reservations that ended: settled, released.
    pub ended: HashMap<&'static str, Vec<String>>,
    /// Periods whose tallies changed.
    pub periods: BTreeSet<(WorkspaceId, Period)>,
    /// Keys that were taken or answered.
    pub keys: BTreeSet<(WorkspaceId, String)>,
    /// Keys that are free again.
    pub freed_keys: Vec<String>,
    /// Workspaces whose account or log moved.
    pub touched: BTreeSet<WorkspaceId>,
}

/// Writes `changes` from the state in `ledgers`.
///
/// # Errors
/// The database's own.
pub async fn save(
    on: &mut AnyConnection,
    ledgers: &HashMap<WorkspaceId, Ledger>,
    changes: Changes,
    now: Time,
) -> Result<()> {
    insert_holds(on, &changes.reserved).await?;
    for (state, ids) in &changes.ended {
        let head = "UPDATE reservations SET state = $1, ended_us = $2 WHERE request_id IN";
        sql::change_in(on, head, values![*state, now.micros()], ids).await?;
    }
    save_tallies(on, ledgers, &changes.periods).await?;
    save_keys(on, ledgers, &changes.keys).await?;
    if !changes.freed_keys.is_empty() {
        sql::change_in(on, "DELETE FROM idempotency_keys WHERE id IN", Vec::new(), &changes.freed_keys)
            .await?;
    }
    save_accounts(on, ledgers, &changes.touched).await
}

async fn insert_holds(on: &mut AnyConnection, holds: &[(WorkspaceId, Hold)]) -> Result<()> {
    let rows = holds.iter().map(|(workspace, hold)| {
        values![
            hold.request_id.as_str(),
            workspace.as_str(),
            hold.agent_id.as_str(),
            hold.amount.micros(),
            hold.state.as_str(),
            hold.key.clone(),
            hold.made_at.micros(),
            hold.deadline.micros(),
            hold.asked.tool.as_str(),
            hold.asked.model.as_str(),
            hold.asked.prompt_hash.as_str()
        ]
    });
    let head = "INSERT INTO reservations \
                (request_id, workspace_id, agent_id, amount, state, idempotency_key, made_us, deadline_us, tool, model, prompt_hash)";
    sql::insert(on, head, rows.collect(), "").await
}

async fn save_tallies(
    on: &mut AnyConnection,
    ledgers: &HashMap<WorkspaceId, Ledger>,
    periods: &BTreeSet<(WorkspaceId, Period)>,
) -> Result<()> {
    let rows = periods.iter().filter_map(|(workspace, period)| {
        let tally = ledgers.get(workspace)?.books.tallies.get(period)?;
        Some(values![
            tally_id(workspace, period),
            workspace.as_str(),
            period.agent.as_ref().map_or("", AgentId::as_str),
            period.key.as_str(),
            tally.spent.micros(),
            tally.reserved.micros()
        ])
    });
    let head = "INSERT INTO tallies (id, workspace_id, agent_id, period, spent, reserved)";
    let tail = "ON CONFLICT (id) DO UPDATE SET spent = excluded.spent, reserved = excluded.reserved";
    sql::insert(on, head, rows.collect(), tail).await
}

async fn save_keys(
    on: &mut AnyConnection,
    ledgers: &HashMap<WorkspaceId, Ledger>,
    keys: &BTreeSet<(WorkspaceId, String)>,
) -> Result<()> {
    let rows = keys.iter().filter_map(|(workspace, key)| {
        let used = ledgers.get(workspace)?.books.keys.get(key)?;
        Some(values![
            key_id(workspace, key),
            workspace.as_str(),
            used.arguments.as_str(),
            used.request_id.as_str(),
            used.used_at.micros(),
            used.answer.clone()
        ])
    });
    let head = "INSERT INTO idempotency_keys (id, workspace_id, arguments, request_id, used_us, answer)";
    let tail = "ON CONFLICT (id) DO UPDATE SET arguments = excluded.arguments, request_id = excluded.request_id, \
                used_us = excluded.used_us, answer = excluded.answer";
    sql::insert(on, head, rows.collect(), tail).await
}

async fn save_accounts(
    on: &mut AnyConnection,
    ledgers: &HashMap<WorkspaceId, Ledger>,
    touched: &BTreeSet<WorkspaceId>,
) -> Result<()> {
    for workspace in touched {
        let Some(Ledger { books, log, .. }) = ledgers.get(workspace) else { continue };
        let values: Vec<Value> = values![
            books.account.available.micros(),
            books.account.reserved.micros(),
            log.seq,
            log.head.as_str(),
            log.ts.micros(),
            workspace.as_str()
        ];
        let text = "UPDATE accounts SET available = $1, reserved = $2, log_seq = $3, log_head = $4, log_ts_us = $5 \
                    WHERE workspace_id = $6";
        sql::Statement::new(text, values).run(on).await?;
    }
    Ok(())
}

/// How many reservations of a workspace are open.
///
/// # Errors
/// The database's own.
pub async fn open_holds(db: &crate::engine::store::CellDb, workspace: &WorkspaceId) -> Result<i64> {
    let text = "SELECT COUNT(*) FROM reservations WHERE workspace_id = $1 AND state = 'held'";
    Ok(sqlx::query_scalar(text).bind(workspace.as_str()).fetch_one(&db.read).await?)
}

/// Open reservations whose deadline has passed, with their workspace, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn expired(
    db: &crate::engine::store::CellDb,
    now: Time,
    limit: i64,
) -> Result<Vec<(WorkspaceId, Hold)>> {
    let text =
        "SELECT * FROM reservations WHERE state = 'held' AND deadline_us <= $1 ORDER BY deadline_us LIMIT $2";
    let rows = sqlx::query(text).bind(now.micros()).bind(limit).fetch_all(&db.read).await?;
    rows.iter().map(hold).collect()
}

/// Removes idempotency keys that no longer count.
///
/// # Errors
/// The database's own.
pub async fn delete_old_keys(db: &crate::engine::store::CellDb, before: Time) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "DELETE FROM idempotency_keys WHERE used_us < $1";
    sql::Statement::new(text, values![before.micros()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// One reservation of a workspace, and when it ended.
///
/// # Errors
/// The database's own.
pub async fn reservation(
    db: &crate::engine::store::CellDb,
    workspace: &WorkspaceId,
    request: &RequestId,
) -> Result<Option<(Hold, Option<Time>)>> {
    let text = "SELECT * FROM reservations WHERE workspace_id = $1 AND request_id = $2";
    let row =
        sqlx::query(text).bind(workspace.as_str()).bind(request.as_str()).fetch_optional(&db.read).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((hold(&row)?.1, row.try_get::<Option<i64>, _>("ended_us")?.map(Time))))
}
