//! The invariants of design §4, asked of a real database while it serves.

use sqlx::Row;

use crate::domain::ids::WorkspaceId;
use crate::domain::proof::{Fault, Proof};
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::dump;
use crate::engine::store::log::{self, LogEnd};
use crate::engine::store::search::Between;
use crate::engine::store::sql::Select;

/// A question whose every answer row is a fault: what it means, and the SQL that selects an id.
struct Rule {
    fault: &'static str,
    text: &'static str,
}

/// Rules 1 to 4 of design §4, and those of the log. Each is one statement, so that it sees one moment of a database in use.
const RULES: [Rule; 11] = [
    Rule {
        fault: "the balance is below zero",
        text: "SELECT workspace_id AS id FROM accounts WHERE available < 0 OR reserved < 0",
    },
    Rule {
        fault: "available and reserved are not the sum of the ledger entries",
        text: "SELECT a.workspace_id AS id FROM accounts a WHERE a.available + a.reserved <> (SELECT \
               CAST(COALESCE(SUM(l.amount), 0) AS BIGINT) FROM ledger_entries l WHERE l.workspace_id = a.workspace_id)",
    },
    Rule {
        fault: "the reserved money is not the sum of the open reservations",
        text: "SELECT a.workspace_id AS id FROM accounts a WHERE a.reserved <> (SELECT \
               CAST(COALESCE(SUM(r.amount), 0) AS BIGINT) FROM reservations r \
               WHERE r.workspace_id = a.workspace_id AND r.state = 'held')",
    },
    Rule {
        fault: "the settled call has no ledger entry",
        text: "SELECT r.request_id AS id FROM reservations r WHERE r.state = 'settled' AND NOT EXISTS (SELECT 1 \
               FROM ledger_entries l WHERE l.request_id = r.request_id AND l.kind = 'charge')",
    },
    Rule {
        fault: "the charge has no settled reservation, or is above it",
        text: "SELECT l.request_id AS id FROM ledger_entries l WHERE l.kind = 'charge' AND NOT EXISTS (SELECT 1 \
               FROM reservations r WHERE r.request_id = l.request_id AND r.state = 'settled' AND r.amount >= -l.amount) \
               AND l.seq > (SELECT a.log_floor_seq FROM accounts a WHERE a.workspace_id = l.workspace_id)",
    },
    Rule {
        fault: "the charge has no log entry of its amount",
        // The plus keeps SQLite from the index on costs: calls of one price would all be read for each other.
        text: "SELECT l.request_id AS id FROM ledger_entries l WHERE l.kind = 'charge' AND (SELECT COUNT(*) \
               FROM log_entries e WHERE e.workspace_id = l.workspace_id AND e.request_id = l.request_id \
               AND +e.cost = -l.amount) <> 1 AND l.seq > (SELECT a.log_floor_seq FROM accounts a \
               WHERE a.workspace_id = l.workspace_id)",
    },
    Rule {
        fault: "the usage roll-up is not the sum of the charges",
        text: "SELECT a.workspace_id AS id FROM accounts a WHERE (SELECT CAST(COALESCE(SUM(u.cost), 0) AS BIGINT) \
               FROM usage_hours u WHERE u.workspace_id = a.workspace_id) <> (SELECT \
               CAST(COALESCE(SUM(-l.amount), 0) AS BIGINT) FROM ledger_entries l \
               WHERE l.workspace_id = a.workspace_id AND l.kind = 'charge')",
    },
    Rule {
        fault: "the roll-ups by hour and by day differ",
        text: "SELECT h.workspace_id AS id FROM (SELECT workspace_id, hour_us / 86400000000 AS day, SUM(calls) AS calls, \
               SUM(cost) AS cost FROM usage_hours GROUP BY workspace_id, hour_us / 86400000000) h WHERE NOT EXISTS \
               (SELECT 1 FROM usage_days d WHERE d.workspace_id = h.workspace_id AND d.day_us = h.day * 86400000000 \
               GROUP BY d.workspace_id HAVING SUM(d.calls) = h.calls AND SUM(d.cost) = h.cost)",
    },
    Rule {
        fault: "the roll-up does not count each logged call once",
        text: "SELECT a.workspace_id AS id FROM accounts a WHERE (SELECT CAST(COALESCE(SUM(u.calls), 0) AS BIGINT) \
               FROM usage_hours u WHERE u.workspace_id = a.workspace_id) <> a.log_floor_calls + (SELECT COUNT(*) \
               FROM log_entries e WHERE e.workspace_id = a.workspace_id AND e.event IS NULL)",
    },
    Rule {
        fault: "a search would not find the log entry: its kind is another's",
        text: "SELECT e.request_id AS id FROM log_entries e LEFT JOIN log_kinds k ON k.workspace_id = e.workspace_id \
               AND k.id = e.kind WHERE k.id IS NULL OR k.user_id <> e.user_id OR k.tool <> COALESCE(e.tool, '') \
               OR k.model <> COALESCE(e.model, '') OR k.event <> COALESCE(e.event, '') OR e.cost < k.cost_least \
               OR e.cost > k.cost_most",
    },
    Rule {
        fault: "the log does not hold what a checkpoint signed",
        text: "SELECT c.workspace_id AS id FROM log_checkpoints c JOIN accounts a ON a.workspace_id = c.workspace_id \
               WHERE c.last_seq > a.log_floor_seq AND NOT EXISTS (SELECT 1 FROM log_entries e \
               WHERE e.workspace_id = c.workspace_id AND e.seq = c.last_seq AND e.hash = c.head_hash)",
    },
];

/// Every fault of the money in a cell, a sentence each.
///
/// # Errors
/// The database's own.
pub async fn money(db: &CellDb) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for rule in RULES {
        for row in sqlx::query(rule.text).fetch_all(&db.read).await? {
            faults.push(format!("{}: {}", row.try_get::<String, _>("id")?, rule.fault));
        }
    }
    Ok(faults)
}

/// Rows of workspaces that have no account in this cell, in whichever table: nothing of a workspace is stored outside its
/// cell (invariant 6 of design §4).
///
/// # Errors
/// The database's own.
pub async fn foreign(db: &CellDb) -> Result<Vec<String>> {
    let mut on = dump::moment(db).await?;
    let mut faults = Vec::new();
    for table in dump::names(&mut on, db.dialect).await? {
        if !dump::columns(&mut on, db.dialect, &table).await?.contains_key("workspace_id") {
            continue;
        }
        let text = format!(
            "SELECT DISTINCT t.workspace_id FROM {table} t WHERE NOT EXISTS \
             (SELECT 1 FROM accounts a WHERE a.workspace_id = t.workspace_id)"
        );
        for row in Select::new(&text, Vec::new()).all(&mut *on).await? {
            let workspace: String = row.try_get("workspace_id")?;
            faults.push(format!("{workspace}: has rows in {table} of a cell where it has no account"));
        }
    }
    Ok(faults)
}

/// Open reservations whose deadline passed before `limit`: the sweeper should have ended them.
///
/// # Errors
/// The database's own.
pub async fn overdue(db: &CellDb, limit: Time) -> Result<Vec<String>> {
    let text = "SELECT request_id FROM reservations WHERE state = 'held' AND deadline_us < $1";
    let rows = sqlx::query(text).bind(limit.micros()).fetch_all(&db.read).await?;
    rows.iter()
        .map(|row| {
            Ok(format!("{}: the reservation is past its deadline", row.try_get::<String, _>("request_id")?))
        })
        .collect()
}

/// Rows that a log is read in at a time.
const PIECE: i64 = 2_000;

/// Verifies one log against its own chain, the account's record of its end, and what `proof` holds; the first fault, if
/// there is one.
///
/// # Errors
/// The database's own.
pub async fn chain(
    db: &CellDb,
    workspace: &WorkspaceId,
    end: &LogEnd,
    mut proof: Proof,
) -> Result<Option<Fault>> {
    let mut after = end.floor;
    while after < end.seq {
        let places = Between { after, before: (after + PIECE).min(end.seq) + 1 };
        let rows = log::rows(db, workspace, places).await?;
        for row in &rows {
            if let Err(fault) = proof.next(row) {
                return Ok(Some(fault));
            }
        }
        let Some(last) = rows.last() else { break };
        after = last.seq;
    }
    Ok(proof.end(Some((end.seq, &end.head))).err())
}

/// Every workspace that has an account in this cell, with its region.
///
/// # Errors
/// The database's own.
pub async fn workspaces(db: &CellDb) -> Result<Vec<(String, String)>> {
    let rows = sqlx::query("SELECT workspace_id, region FROM accounts ORDER BY workspace_id")
        .fetch_all(&db.read)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("workspace_id")?, row.try_get("region")?))).collect()
}
