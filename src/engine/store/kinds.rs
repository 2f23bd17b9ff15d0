//! The kinds of log entries: what a search compares, without the entries themselves (`log_kinds`).

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Row};

use crate::domain::audit::Entry;
use crate::domain::ids::WorkspaceId;
use crate::domain::money::Usd;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::sql::{self, Select, Value, values};

/// With so many kinds in a log, costs that are new share a kind with their neighbours: prices that follow pixels or
/// seconds would otherwise make a kind of each call. Small in tests, whose searches then meet such kinds too.
const PLENTY: i64 = if cfg!(test) { 20 } else { 1_000 };
/// Neighbours have the same first digits, below this number.
const FIRST: i64 = 100;
/// Kinds that are looked up at a time: few sizes, so that each is prepared once per connection.
const SIZES: [usize; 4] = [1, 4, 16, 64];

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind<'a> {
    workspace: &'a str,
    user_id: &'a str,
    tool: &'a str,
    model: &'a str,
    event: &'a str,
    cost: (i64, i64),
}

impl<'a> Kind<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            workspace: entry.workspace_id.as_str(),
            user_id: &entry.user_id,
            tool: entry.tool.as_deref().unwrap_or_default(),
            model: entry.model.as_deref().unwrap_or_default(),
            event: entry.event.as_deref().unwrap_or_default(),
            cost: (entry.cost_usd.micros(), entry.cost_usd.micros()),
        }
    }

    /// The same with the costs between two neighbours; a cost of two digits stands alone.
    fn with_neighbours(self) -> Self {
        Self { cost: cost_class(self.cost.0), ..self }
    }

    /// Follows from the rest, so that no node has to ask for it; above zero.
    fn id(&self) -> i64 {
        let mut sha = Sha256::new();
        for part in [self.workspace, self.user_id, self.tool, self.model, self.event] {
            sha.update(part.len().to_be_bytes());
            sha.update(part);
        }
        sha.update(self.cost.0.to_be_bytes());
        sha.update(self.cost.1.to_be_bytes());
        let digest: [u8; 32] = sha.finalize().into();
        let first = digest.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_be_bytes(first) & i64::MAX
    }

    fn row(&self) -> Vec<Value> {
        let (least, most) = self.cost;
        values![self.workspace, self.id(), self.user_id, self.tool, self.model, self.event, least, most]
    }
}

/// The costs that share a kind with `cost`: itself alone where it has two digits, otherwise all that lie between two
/// neighbours with two digits, both not included.
fn cost_class(cost: i64) -> (i64, i64) {
    let mut unit = 1;
    while cost / unit >= FIRST {
        unit *= 10;
    }
    let floor = cost - cost % unit;
    if cost == floor { (cost, cost) } else { (floor + 1, floor + unit - 1) }
}

/// Whether some kind can hold both a cost that is at least `limit` and one below it.
pub fn is_split(limit: Usd) -> bool {
    let begins = |cost: i64| cost <= 0 || cost_class(cost) == (cost, cost);
    !begins(limit.micros()) && !begins(limit.micros() - 1)
}

/// The kind of each entry; kinds that are new are kept.
///
/// # Errors
/// The database's own.
pub async fn of(on: &mut AnyConnection, entries: &[&Entry]) -> Result<Vec<i64>> {
    let mut logs: BTreeMap<&str, BTreeMap<i64, Kind<'_>>> = BTreeMap::new();
    for entry in entries {
        let kind = Kind::of(entry);
        logs.entry(entry.workspace_id.as_str()).or_default().insert(kind.id(), kind);
    }
    let mut places = BTreeMap::new();
    for (workspace, kinds) in logs {
        places.insert(workspace, settle(on, workspace, kinds).await?);
    }
    let place = |entry: &&Entry| {
        let exact = Kind::of(entry).id();
        places
            .get(entry.workspace_id.as_str())
            .and_then(|places| places.get(&exact))
            .copied()
            .unwrap_or(exact)
    };
    Ok(entries.iter().map(place).collect())
}

/// Where the exact kinds of one log go that are new and not kept as such: to those of their neighbours.
async fn settle(
    on: &mut AnyConnection,
    workspace: &str,
    mut kinds: BTreeMap<i64, Kind<'_>>,
) -> Result<BTreeMap<i64, i64>> {
    for known in known(on, workspace, kinds.keys().copied().collect()).await? {
        kinds.remove(&known);
    }
    let (mut moved, mut rows) = (BTreeMap::new(), Vec::new());
    if kinds.is_empty() {
        return Ok(moved);
    }
    let count = "SELECT COUNT(*) FROM log_kinds WHERE workspace_id = $1";
    let mut count: i64 = sqlx::query_scalar(count).bind(workspace).fetch_one(&mut *on).await?;
    for (exact, kind) in kinds {
        let kind = if count < PLENTY { kind } else { kind.with_neighbours() };
        count += 1;
        moved.insert(exact, kind.id());
        rows.push((kind.id(), kind.row()));
    }
    rows.sort_by_key(|(id, _)| *id);
    rows.dedup_by_key(|(id, _)| *id);
    let head = "INSERT INTO log_kinds (workspace_id, id, user_id, tool, model, event, cost_least, cost_most)";
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    sql::insert(on, head, rows, "ON CONFLICT (workspace_id, id) DO NOTHING").await?;
    Ok(moved)
}

async fn known(on: &mut AnyConnection, workspace: &str, ids: Vec<i64>) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    for chunk in ids.chunks(SIZES[SIZES.len() - 1]) {
        let size = SIZES.into_iter().find(|size| *size >= chunk.len()).unwrap_or(chunk.len());
        let last = chunk.last().copied().unwrap_or_default();
        let padded = chunk.iter().copied().chain(std::iter::repeat(last)).take(size);
        let mut select = Select::new("SELECT id FROM log_kinds WHERE workspace_id = $1", values![workspace]);
        let list: Vec<String> = padded.map(|id| select.bound(id)).collect();
        select.push(&format!(" AND id IN ({})", list.join(",")));
        for row in select.all(&mut *on).await? {
            found.push(row.try_get("id")?);
        }
    }
    Ok(found)
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
pub async fn words(db: &CellDb, workspace: &WorkspaceId) -> Result<LogWords> {
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
    fn costs_of_two_digits_stand_alone_and_others_share() {
        for exact in [0, 1, 42_000, 1_200_000, 99, 9_900_000_000, 50_000] {
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
