//! The kinds of log entries: what a search compares, without the entries themselves (`log_kinds`).

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Row};

use super::super::error::Result;
use super::Db;
use super::sql::{self, Value, values};
use crate::domain::audit::Entry;
use crate::domain::ids::WorkspaceId;
use crate::domain::money::Usd;

/// Costs of up to so many digits are a kind of their own.
const EXACT: i64 = 10_000;
/// Other costs share a kind with those that have the same first digits, up to this number.
const FIRST: i64 = 100;

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind<'a> {
    user_id: &'a str,
    tool: &'a str,
    model: &'a str,
    event: &'a str,
    cost: (i64, i64),
}

impl<'a> Kind<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            user_id: &entry.user_id,
            tool: entry.tool.as_deref().unwrap_or_default(),
            model: entry.model.as_deref().unwrap_or_default(),
            event: entry.event.as_deref().unwrap_or_default(),
            cost: cost_class(entry.cost_usd.micros()),
        }
    }

    /// Follows from the rest, so that no node has to ask for it; above zero.
    fn id(&self) -> i64 {
        let mut sha = Sha256::new();
        for part in [self.user_id, self.tool, self.model, self.event] {
            sha.update(part.len().to_be_bytes());
            sha.update(part);
        }
        sha.update(self.cost.0.to_be_bytes());
        let digest: [u8; 32] = sha.finalize().into();
        let first = digest.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_be_bytes(first) & i64::MAX
    }

    fn row(&self, workspace: &str) -> Vec<Value> {
        let (least, most) = self.cost;
        values![workspace, self.id(), self.user_id, self.tool, self.model, self.event, least, most]
    }
}

/// The costs that share a kind with `cost`: itself alone where it has few digits, as prices have; otherwise what lies
/// between two neighbours with two digits, both not included.
fn cost_class(cost: i64) -> (i64, i64) {
    let mut unit = 1;
    while cost / unit >= EXACT {
        unit *= 10;
    }
    if cost % unit == 0 {
        return (cost, cost);
    }
    while cost / unit >= FIRST {
        unit *= 10;
    }
    let floor = cost - cost % unit;
    (floor + 1, floor + unit - 1)
}

/// Whether some kind can hold both a cost that is at least `limit` and one below it.
pub fn is_split(limit: Usd) -> bool {
    let begins = |cost: i64| cost <= 0 || has_two_digits(cost);
    !begins(limit.micros()) && !begins(limit.micros() - 1)
}

fn has_two_digits(mut cost: i64) -> bool {
    while cost >= FIRST && cost % 10 == 0 {
        cost /= 10;
    }
    cost < FIRST
}

/// The id of an entry's kind.
pub fn id_of(entry: &Entry) -> i64 {
    Kind::of(entry).id()
}

/// Keeps the kinds of `entries` that are new.
///
/// # Errors
/// The database's own.
pub async fn insert(on: &mut AnyConnection, entries: impl Iterator<Item = &Entry>) -> Result<()> {
    let kinds: BTreeMap<(&str, i64), Kind<'_>> = entries
        .map(|entry| (Kind::of(entry), entry.workspace_id.as_str()))
        .map(|(kind, workspace)| ((workspace, kind.id()), kind))
        .collect();
    let rows = kinds.iter().map(|((workspace, _), kind)| kind.row(workspace)).collect();
    let head = "INSERT INTO log_kinds (workspace_id, id, user_id, tool, model, event, cost_least, cost_most)";
    sql::insert(on, head, rows, "ON CONFLICT (workspace_id, id) DO NOTHING").await
}

/// What the kinds of a log name, each once and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogWords {
    /// Whoever acted: `agent.NAME`, or an id.
    pub users: BTreeSet<String>,
    /// Tools.
    pub tools: BTreeSet<String>,
    /// Models.
    pub models: BTreeSet<String>,
    /// Administrative acts.
    pub events: BTreeSet<String>,
}

/// What the kinds of a log name.
///
/// # Errors
/// The database's own.
pub async fn words(db: &Db, workspace: &WorkspaceId) -> Result<LogWords> {
    let text =
        "SELECT DISTINCT user_id, tool, model, event FROM log_kinds WHERE workspace_id = $1 LIMIT 5000";
    let mut words = LogWords::default();
    for row in sqlx::query(text).bind(workspace.as_str()).fetch_all(&db.read).await? {
        let columns = [
            ("user_id", &mut words.users),
            ("tool", &mut words.tools),
            ("model", &mut words.models),
            ("event", &mut words.events),
        ];
        for (column, set) in columns {
            set.insert(row.try_get(column)?);
        }
    }
    for set in [&mut words.tools, &mut words.models, &mut words.events] {
        set.remove("");
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    #[test]
    fn prices_stand_alone_and_odd_costs_share() {
        for exact in [0, 1, 42_000, 126_000, 1_250_000, 9_999_000_000, 50_000] {
            assert_eq!(cost_class(exact), (exact, exact));
        }
        assert_eq!(cost_class(41_943), (41_001, 41_999));
        assert_eq!(cost_class(1_234_567), (1_200_001, 1_299_999));
    }

    #[test]
    fn amounts_that_people_ask_for_split_no_kind() {
        for limit in [0, 1, 500_000, 500_001, 1_000_000, 1_000_001, 42_000, 42_001] {
            assert!(!is_split(Usd::from_micros(limit)), "{limit}");
        }
        assert!(is_split(Usd::from_micros(41_500)));
    }

    proptest! {
        #[test]
        fn a_cost_is_in_its_class_and_only_split_limits_part_it(cost in 0i64..2_000_000, limit in 0i64..2_000_000) {
            let (least, most) = cost_class(cost);
            prop_assert!(least <= cost && cost <= most);
            let parts = least < limit && limit <= most;
            prop_assert!(!parts || is_split(Usd::from_micros(limit)), "{} in {}..{}", limit, least, most);
        }
    }
}
