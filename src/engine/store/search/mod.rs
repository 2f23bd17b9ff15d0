//! Searches of the log and of attempts, each fast whatever it combines or excludes.
//!
//! A search of the log is narrowed in three steps. Times become places, for both only rise. What a kind can tell (actor,
//! tool, model, event, status, cost) selects kinds. One look at the index of each tells where its newest entry is; the
//! newest entries of all are then in the kinds whose own are newest, so that a page is merged from at most as many kinds
//! as it has rows. A prompt's entries have such an index too, by kind. Requests have one of their own.

mod attempts;
mod terms;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use sqlx::Row;

use self::terms::{always, given, like, list, parts_a_kind, status, with_prefix, within};
use crate::domain::audit::Linked;
use crate::domain::ids::WorkspaceId;
use crate::domain::region::Region;
use crate::domain::search::{Condition, Field, Search, Term};
use crate::domain::time::Time;
use crate::domain::webhooks::event::GENERATION_FAILED;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::log::{COLUMNS, linked};
use crate::engine::store::sql::{Select, values};

pub use self::attempts::attempts;

/// Numbers of kinds that a merge may have: few, so that each is prepared once per connection.
const SIZES: [usize; 5] = [1, 4, 16, 64, 256];

/// Calls or administrative acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Successful calls.
    Calls,
    /// Administrative acts: events that are not the end of a call.
    Administration,
}

/// Which entries of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Calls or acts only.
    pub kind: Option<EntryKind>,
    /// What they must be.
    pub search: Search,
}

impl AuditFilter {
    /// Successful calls.
    pub fn calls() -> Self {
        Self { kind: Some(EntryKind::Calls), ..Self::default() }
    }

    /// Entries of which `field` is `value`.
    pub fn of(field: Field, value: impl Into<String>) -> Self {
        Self { kind: None, search: Search::one(field, value) }
    }

    const fn is_everything(&self) -> bool {
        self.kind.is_none() && self.search.is_empty()
    }
}

/// A search of one log, seen from one moment.
#[derive(Debug, Clone)]
pub struct LogSearch {
    workspace: WorkspaceId,
    region: Region,
    filter: AuditFilter,
    now: Time,
}

/// Places between two, neither included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between {
    /// After this place.
    pub after: i64,
    /// Before this one.
    pub before: i64,
}

impl Between {
    /// All places.
    pub const ALL: Self = Self { after: 0, before: i64::MAX };

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { after: self.after.max(other.after), before: self.before.min(other.before) }
    }

    /// The same, but after `place`.
    #[must_use]
    pub fn after(self, place: i64) -> Self {
        self.and(Self { after: place, ..Self::ALL })
    }

    /// The same, but before `place`.
    #[must_use]
    pub fn before(self, place: i64) -> Self {
        self.and(Self { before: place, ..Self::ALL })
    }

    /// Whether no place is between.
    pub const fn is_empty(self) -> bool {
        self.after >= self.before - 1
    }
}

impl LogSearch {
    /// `filter` on the log of a workspace in `region`; times ago are counted from `now`.
    pub const fn new(workspace: WorkspaceId, region: Region, filter: AuditFilter, now: Time) -> Self {
        Self { workspace, region, filter, now }
    }

    /// The places that the search's times allow.
    ///
    /// # Errors
    /// The database's own.
    pub async fn places(&self, db: &CellDb) -> Result<Between> {
        let mut between = Between::ALL;
        for term in self.filter.search.terms() {
            let (time, is_after) = match &term.condition {
                Condition::After(moment) => (moment.seen_from(self.now), !term.negated),
                Condition::Before(moment) => (moment.seen_from(self.now), term.negated),
                _ => continue,
            };
            // The first place that is not before the time.
            let first = self.first_since(db, time).await?;
            between = if is_after { between.after(first - 1) } else { between.before(first) };
        }
        Ok(between)
    }

    async fn first_since(&self, db: &CellDb, time: Time) -> Result<i64> {
        let text =
            "SELECT seq FROM log_entries WHERE workspace_id = $1 AND ts_us >= $2 ORDER BY ts_us, seq LIMIT 1";
        let found = sqlx::query_scalar(text).bind(self.workspace.as_str()).bind(time.micros());
        Ok(found.fetch_optional(&db.read).await?.unwrap_or(i64::MAX))
    }

    /// Matching entries, the newest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn newest(&self, db: &CellDb, between: Between, limit: i64) -> Result<Vec<Linked>> {
        if between.is_empty() {
            return Ok(Vec::new());
        }
        if self.filter.is_everything() {
            return self.rows(db, self.all(between).tail("ORDER BY e.seq DESC").limit(limit)).await;
        }
        if self.filter.search.demanded(Field::Request).next().is_some() {
            return self
                .rows(db, self.requests(COLUMNS, between).tail("ORDER BY +e.seq DESC").limit(limit))
                .await;
        }
        let parts = self.newest_parts(db, between, limit).await?;
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        // With as many parts as rows, nothing before the last part's newest entry can be on the page.
        let last = usize::try_from(limit).ok().and_then(|limit| parts.get(limit - 1));
        let between = last.map_or(between, |part| between.after(part.head - 1));
        self.rows(db, self.merge(&parts, between, limit)).await
    }

    /// Matching entries between two places, the oldest first. Reads all entries between, so they should be few.
    ///
    /// # Errors
    /// The database's own.
    pub async fn oldest(&self, db: &CellDb, between: Between) -> Result<Vec<Linked>> {
        let select = if self.filter.is_everything() { self.all(between) } else { self.scan(between) };
        self.rows(db, select.tail("ORDER BY e.seq")).await
    }

    /// The first place with an entry that may match; none where nothing is left.
    ///
    /// # Errors
    /// The database's own.
    pub async fn next_place(&self, db: &CellDb, between: Between) -> Result<Option<i64>> {
        if self.filter.is_everything() {
            let mut select = Select::new(
                "SELECT e.seq AS head FROM log_entries e WHERE e.workspace_id = $1",
                values![self.workspace.as_str()],
            );
            places(&mut select, between);
            return first_place(db, select.tail("ORDER BY e.seq").limit(1)).await;
        }
        if self.filter.search.demanded(Field::Request).next().is_some() {
            let select = self.requests("e.seq AS head", between).tail("ORDER BY +e.seq").limit(1);
            return first_place(db, select).await;
        }
        let mut first = None;
        for prompt in self.prompts() {
            let select = self.each_kind("MIN", prompt.as_deref(), between).tail("ORDER BY head NULLS LAST");
            first = first.into_iter().chain(first_place(db, select.limit(1)).await?).min();
        }
        Ok(first)
    }

    fn all(&self, between: Between) -> Select {
        let text = format!("SELECT {COLUMNS} FROM log_entries e WHERE e.workspace_id = $1");
        let mut select = Select::new(&text, values![self.workspace.as_str()]);
        places(&mut select, between);
        select
    }

    async fn rows(&self, db: &CellDb, select: Select) -> Result<Vec<Linked>> {
        select.all(&db.read).await?.iter().map(|row| linked(&self.workspace, row)).collect()
    }

    /// Every entry between that matches. The plus keeps both planners from the index of kinds, which gives no order.
    fn scan(&self, between: Between) -> Select {
        let mut select = self.all(between);
        let text = self.named(&mut select) + &self.rest(&mut select) + &self.of_kinds(&mut select);
        select.push(&text);
        select
    }

    /// The entries of demanded requests. They are few: the plus keeps SQLite from walking the log for their order.
    fn requests(&self, columns: &str, between: Between) -> Select {
        let text = format!("SELECT {columns} FROM log_entries e WHERE e.workspace_id = $1");
        let mut select = Select::new(&text, values![self.workspace.as_str()]);
        let (after, before) = (select.bound(between.after), select.bound(between.before));
        let text = self.named(&mut select) + &self.rest(&mut select) + &self.of_kinds(&mut select);
        select.push(&format!(" AND +e.seq > {after} AND +e.seq < {before}{text}"));
        select
    }

    /// The condition that an entry's kind matches.
    fn of_kinds(&self, select: &mut Select) -> String {
        let workspace = select.bound(self.workspace.as_str());
        let kinds = self.kinds(select);
        format!(" AND +e.kind IN (SELECT k.id FROM log_kinds k WHERE k.workspace_id = {workspace}{kinds})")
    }

    /// The prompts that the search demands, by hash: those that stand in each of its demands. `None` alone where it has none.
    fn prompts(&self) -> Vec<Option<String>> {
        let sets =
            self.filter.search.demanded(Field::Hash).map(|hashes| hashes.iter().collect::<BTreeSet<_>>());
        let Some(all) = sets.reduce(|one, other| &one & &other) else { return vec![None] };
        all.into_iter().cloned().map(Some).collect()
    }

    /// Each matching kind with the first or last place between two of its entries, or of those of one prompt.
    fn each_kind(&self, first_or_last: &str, prompt: Option<&str>, between: Between) -> Select {
        let text = format!(
            "SELECT k.id AS kind, (SELECT {first_or_last}(e.seq) FROM log_entries e \
             WHERE e.kind = k.id"
        );
        let mut select = Select::new(&text, values![self.workspace.as_str()]);
        let of_prompt = of_prompt(&mut select, prompt);
        select.push(&of_prompt);
        places(&mut select, between);
        let (rest, kinds) = (self.rest(&mut select), self.kinds(&mut select));
        select.push(&format!("{rest}) AS head FROM log_kinds k WHERE k.workspace_id = $1{kinds}"));
        select
    }

    /// The parts with the newest entries, the newest first.
    async fn newest_parts(&self, db: &CellDb, between: Between, limit: i64) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for prompt in self.prompts() {
            let select = self.each_kind("MAX", prompt.as_deref(), between);
            let select = select.tail("ORDER BY head DESC NULLS LAST").limit(limit);
            for row in select.all(&db.read).await? {
                if let Some(head) = row.try_get::<Option<i64>, _>("head")? {
                    parts.push(Part { kind: row.try_get("kind")?, prompt: prompt.clone(), head });
                }
            }
        }
        parts.sort_by_key(|part| Reverse(part.head));
        parts.truncate(usize::try_from(limit).unwrap_or_default());
        Ok(parts)
    }

    /// The newest entries of several parts. The sum keeps SQLite from merging the parts two by two, which costs ten times
    /// what sorting them does. No part names the workspace: a kind has but one, and only its own index is left as a way.
    fn merge(&self, parts: &[Part], between: Between, limit: i64) -> Select {
        let text = format!(
            "SELECT {COLUMNS} FROM log_entries e WHERE e.workspace_id = $1 AND e.seq IN (SELECT seq FROM ("
        );
        let mut select = Select::new(&text, values![self.workspace.as_str()]);
        let of = conditions(&mut select, parts);
        let (first, last, rows) =
            (select.bound(between.after), select.bound(between.before), select.bound(limit));
        let rest = self.rest(&mut select);
        let parts = of.iter().enumerate().map(|(index, of)| {
            format!(
                "SELECT seq FROM (SELECT e.seq FROM log_entries e WHERE {of} AND e.seq > {first} AND e.seq < {last}{rest} \
                 ORDER BY e.seq DESC LIMIT {rows}) AS part_{index}"
            )
        });
        let parts = parts.collect::<Vec<_>>().join(" UNION ALL ");
        select.push(&format!("{parts}) AS parts ORDER BY seq + 0 DESC LIMIT {rows}) ORDER BY e.seq DESC"));
        select
    }

    /// The demanded requests and hashes.
    fn named(&self, select: &mut Select) -> String {
        let terms = self.filter.search.terms().iter().filter(|term| !term.negated);
        let texts = terms.filter_map(|term| match &term.condition {
            Condition::OneOf(Field::Request, values) => Some(("e.request_id", values)),
            Condition::OneOf(Field::Hash, values) => Some(("e.prompt_hash", values)),
            _ => None,
        });
        texts.map(|(column, values)| format!(" AND {column} IN ({})", list(select, values))).collect()
    }

    /// What no kind can tell: excluded requests and hashes, and costs that part a kind.
    fn rest(&self, select: &mut Select) -> String {
        let texts = self.filter.search.terms().iter().map(|Term { negated, condition }| match condition {
            Condition::OneOf(Field::Request, values) if *negated => {
                format!(" AND e.request_id NOT IN ({})", list(select, values))
            }
            Condition::OneOf(Field::Hash, values) if *negated => {
                format!(" AND (e.prompt_hash IS NULL OR e.prompt_hash NOT IN ({}))", list(select, values))
            }
            Condition::Cost(least, most) if parts_a_kind(*least, *most) => {
                let not = if *negated { "NOT " } else { "" };
                format!(" AND {not}({})", within(select, "e.cost", "e.cost", *least, *most))
            }
            _ => String::new(),
        });
        texts.collect()
    }

    /// The kinds `k` that may hold a match.
    fn kinds(&self, select: &mut Select) -> String {
        let of_tab = match self.filter.kind {
            Some(EntryKind::Calls) => " AND k.event = ''".to_owned(),
            Some(EntryKind::Administration) => format!(" AND k.event NOT IN ('', '{GENERATION_FAILED}')"),
            None => String::new(),
        };
        let terms = self.filter.search.terms().iter().filter_map(|term| {
            let text = self.kind_condition(select, term)?;
            Some(format!(" AND {}({text})", if term.negated { "NOT " } else { "" }))
        });
        of_tab + &terms.collect::<String>()
    }

    fn kind_condition(&self, select: &mut Select, term: &Term) -> Option<String> {
        Some(match &term.condition {
            Condition::OneOf(Field::Agent, names) => like(select, "k.user_id", &with_prefix(names)),
            Condition::OneOf(Field::User, values) => like(select, "k.user_id", values),
            Condition::OneOf(Field::Tool, values) => given(select, "k.tool", values),
            Condition::OneOf(Field::Model, values) => given(select, "k.model", values),
            Condition::OneOf(Field::Event, values) => given(select, "k.event", values),
            Condition::OneOf(Field::Region, values) => always(self.is_here(values)),
            Condition::OneOf(Field::Code, _) => always(false),
            Condition::Status(statuses) => status(statuses),
            // A kind with costs on both sides may match either way.
            Condition::Cost(least, most) if term.negated => {
                within(select, "k.cost_least", "k.cost_most", *least, *most)
            }
            Condition::Cost(least, most) => within(select, "k.cost_most", "k.cost_least", *least, *most),
            Condition::OneOf(Field::Request | Field::Hash, _)
            | Condition::After(_)
            | Condition::Before(_) => return None,
        })
    }

    fn is_here(&self, regions: &[String]) -> bool {
        regions.iter().any(|region| region == self.region.as_str())
    }
}

/// The entries of a kind, or of a kind and a prompt, by the place of the newest.
#[derive(Debug, Clone)]
struct Part {
    kind: i64,
    prompt: Option<String>,
    head: i64,
}

/// What makes an entry one of each part; padded with kinds that are none, for each number of parts is a text of its own.
fn conditions(select: &mut Select, parts: &[Part]) -> Vec<String> {
    let size = SIZES.into_iter().find(|size| *size >= parts.len()).unwrap_or(parts.len());
    let none = parts.first().map(|part| Part { kind: 0, ..part.clone() });
    let padding = none.iter().cycle().take(size - parts.len());
    let condition = |part: &Part| {
        let kind = format!("e.kind = {}", select.bound(part.kind));
        kind + &of_prompt(select, part.prompt.as_deref())
    };
    parts.iter().chain(padding).map(condition).collect()
}

fn of_prompt(select: &mut Select, prompt: Option<&str>) -> String {
    prompt.map(|hash| format!(" AND e.prompt_hash = {}", select.bound(hash))).unwrap_or_default()
}

async fn first_place(db: &CellDb, select: Select) -> Result<Option<i64>> {
    let found = select.all(&db.read).await?;
    Ok(found.first().map(|row| row.try_get::<Option<i64>, _>("head")).transpose()?.flatten())
}

fn places(select: &mut Select, between: Between) {
    let (after, before) = (select.bound(between.after), select.bound(between.before));
    select.push(&format!(" AND e.seq > {after} AND e.seq < {before}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::Db;

    /// Whatever is asked, an entry is reached by the index of its kind, never by walking the log.
    #[tokio::test]
    async fn a_search_looks_into_the_index_of_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite:{}", folder.path().join("cell.db").display())).await.unwrap();
        let db = CellDb::over(db).await.unwrap();
        for text in
            ["agent:a", "-model:x cost:>0.5", "cost:>0.0415", "-request:req_1", "-hash:sha256:a status:paid"]
        {
            assert_found_by("log_entries_by_kind", &db, text).await;
        }
        for text in
            ["hash:sha256:a -agent:b", "hash:sha256:a cost:>0.0415 -request:req_1", "hash:sha256:a agent:b"]
        {
            assert_found_by("log_entries_by_prompt", &db, text).await;
        }
        let search = searching("request:req_1 -agent:b");
        let plan = search.requests("e.*", Between::ALL).tail("ORDER BY +e.seq DESC").plan(&db.read).await;
        assert!(plan.iter().any(|line| line.contains("by_request")), "{plan:#?}");
    }

    async fn assert_found_by(index: &str, db: &CellDb, text: &str) {
        let search = searching(text);
        let prompt = search.prompts().remove(0);
        for head in ["MAX", "MIN"] {
            let select = search.each_kind(head, prompt.as_deref(), Between::ALL).tail("ORDER BY head");
            let plan = select.plan(&db.read).await;
            let entries: Vec<&String> = plan.iter().filter(|line| line.starts_with("SEARCH e ")).collect();
            assert!(entries.len() == 1 && entries[0].contains(index), "{text}: {plan:#?}");
        }
        let parts = [1, 2].map(|kind| Part { kind, prompt: prompt.clone(), head: 9 });
        let plan = search.merge(&parts, Between::ALL, 51).plan(&db.read).await;
        assert_eq!(plan.iter().filter(|line| line.contains(index)).count(), 4, "{text}: {plan:#?}");
    }

    #[test]
    fn each_prompt_that_is_demanded_is_searched_once() {
        let hash = |text: &str| Some(text.to_owned());
        assert_eq!(searching("agent:a -hash:sha256:a").prompts(), [None]);
        let demanded = searching("hash:sha256:b,sha256:a,sha256:b").prompts();
        assert_eq!(demanded, [hash("sha256:a"), hash("sha256:b")]);
        let both = |text: &str, also: &str| {
            let mut search = searching(text);
            let also = Condition::OneOf(Field::Hash, vec![also.to_owned()]);
            search.filter.search = search.filter.search.and(also);
            search.prompts()
        };
        assert_eq!(both("hash:sha256:a,sha256:b", "sha256:b"), [hash("sha256:b")]);
        assert_eq!(both("hash:sha256:a", "sha256:b"), []);
    }

    fn searching(text: &str) -> LogSearch {
        let filter = AuditFilter { kind: Some(EntryKind::Calls), search: text.parse().unwrap() };
        LogSearch::new("ws_4kP9x2".parse().unwrap(), Region::EuWest1, filter, Time(0))
    }
}
