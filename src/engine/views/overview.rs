//! The workspace's first page in one look: figures, spend by day, the last calls, what is wrong and what to do.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::domain::access::Permission;
use crate::domain::audit::Linked;
use crate::domain::ids::RequestId;
use crate::domain::money::Usd;
use crate::domain::search::Search;
use crate::domain::time::Time;
use crate::domain::usage::Runway;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::calls::agents::AgentState;
use crate::engine::error::Result;
use crate::engine::log::reading::{AttemptView, AuditFilter, Page};
use crate::engine::money::billing::Credits;
use crate::engine::store::spend::{self, Part};
use crate::engine::store::usage;
use crate::engine::views::checklist::Step;
use crate::engine::views::notices::Notice;

/// Names in each list of what cost the most.
const TOP: usize = 5;

/// One day's spend.
#[derive(Debug, Clone)]
pub struct DaySpend {
    /// The day's first moment in UTC.
    pub day: Time,
    /// All agents.
    pub total: Usd,
    /// Each agent's part.
    pub by_agent: Vec<(String, Usd)>,
}

/// What became of a call, in words that say whether money moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Charged.
    Paid,
    /// Done, costs nothing.
    Free,
    /// The rules refused it.
    Refused(String),
    /// The provider failed; not charged.
    Failed(String),
}

/// A line of the last calls.
#[derive(Debug, Clone)]
pub struct LatestCall {
    /// When.
    pub ts: Time,
    /// `agent.NAME`.
    pub user_id: String,
    /// The tool.
    pub tool: String,
    /// The model, where there is one.
    pub model: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// What was charged.
    pub cost: Option<Usd>,
    /// The call.
    pub request_id: RequestId,
    /// How many calls the line stands for.
    pub count: i64,
}

/// The first page.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Balance, month, caps.
    pub credits: Credits,
    /// Successful calls today (UTC).
    pub calls_today: i64,
    /// Refused calls today.
    pub refused_today: i64,
    /// Failed calls today.
    pub failed_today: i64,
    /// Calls that hold a reservation now.
    pub running: i64,
    /// This month, a line a day that had spend.
    pub spend_by_day: Vec<DaySpend>,
    /// The last calls, refused and failed ones too.
    pub latest: Vec<LatestCall>,
    /// What is wrong now.
    pub notices: Vec<Notice>,
    /// Mean spend a day, see [`Pace`](crate::engine::money::pace::Pace).
    pub per_day: Usd,
    /// How long the balance lasts at that pace.
    pub runway: Runway,
    /// Agents that are not revoked.
    pub agents: usize,
    /// What cost the most this month.
    pub tops: Tops,
    /// The starting checklist, for who may see settings, until it is done or dismissed.
    pub checklist: Option<Vec<Step>>,
}

/// What cost the most this month: each name with its successful calls and spend, the dearest first.
#[derive(Debug, Clone, Default)]
pub struct Tops {
    /// By agent.
    pub agents: Vec<(String, i64, Usd)>,
    /// By model.
    pub models: Vec<(String, i64, Usd)>,
    /// By tool.
    pub tools: Vec<(String, i64, Usd)>,
}

impl Engine {
    /// Everything on the workspace's first page; roll-ups and short lists only, so that it costs the same at any size.
    ///
    /// # Errors
    /// The database's own.
    pub async fn overview(&self, scope: &Scope) -> Result<Overview> {
        let (db, id, now) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let credits = self.credits(scope).await?;
        let today = usage::totals(db, id, now.day_start(), now.next_day()).await?;
        let month = usage::by_day(db, id, now.month_start(), now.next_month()).await?;
        let per_day = self.pace(scope).await?.per_day;
        let agents = self.agents(scope).await?;
        Ok(Overview {
            calls_today: today.calls,
            refused_today: today.refused,
            failed_today: today.failed,
            running: crate::engine::store::books::open_holds(db, id).await?,
            spend_by_day: days(month),
            latest: self.latest(scope, &Search::default()).await?,
            notices: self.notices(scope, &credits, &agents).await?,
            runway: Runway::of(credits.available_usd, per_day, now),
            per_day,
            agents: agents.iter().filter(|agent| agent.state != AgentState::Revoked).count(),
            tops: tops(&spend::parts(db, id, None, now.month_start(), now.next_month()).await?),
            checklist: match scope.role.may(Permission::ReadSettings) {
                true => self.checklist(scope, &agents).await?,
                false => None,
            },
            credits,
        })
    }

    pub(in crate::engine) async fn latest(&self, scope: &Scope, search: &Search) -> Result<Vec<LatestCall>> {
        let ten = || Page { limit: Some(10), cursor: None };
        let calls = AuditFilter { search: search.clone(), ..AuditFilter::calls() };
        let paid = self.audit(scope, &calls, ten()).await?.items.into_iter().map(successful);
        let attempts = self.attempts(scope, search, ten()).await?.items.into_iter().map(unsuccessful);
        let mut latest: Vec<LatestCall> = paid.chain(attempts).collect();
        latest.sort_by_key(|call| Reverse(call.ts));
        latest.truncate(10);
        Ok(latest)
    }
}

/// The search for one agent's calls.
pub(in crate::engine) fn of_agent(name: &str) -> Search {
    format!("agent:{}", name.strip_prefix("agent.").unwrap_or(name)).parse().unwrap_or_default()
}

fn successful(row: Linked) -> LatestCall {
    let entry = row.entry;
    let paid = entry.cost_usd.is_positive();
    LatestCall {
        ts: entry.ts,
        user_id: entry.user_id,
        tool: entry.tool.unwrap_or_default(),
        model: entry.model,
        outcome: if paid { Outcome::Paid } else { Outcome::Free },
        cost: paid.then_some(entry.cost_usd),
        request_id: entry.request_id,
        count: 1,
    }
}

fn unsuccessful(attempt: AttemptView) -> LatestCall {
    LatestCall {
        ts: attempt.last_at,
        user_id: attempt.user_id,
        tool: attempt.tool,
        model: attempt.model,
        outcome: if attempt.failed { Outcome::Failed(attempt.code) } else { Outcome::Refused(attempt.code) },
        cost: None,
        request_id: attempt.request_id,
        count: attempt.count,
    }
}

/// Each day that had spend, with its parts.
pub(in crate::engine) fn days(rows: Vec<usage::DayOfAgent>) -> Vec<DaySpend> {
    let mut days: BTreeMap<Time, Vec<(String, Usd)>> = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.cost.is_positive()) {
        days.entry(row.day).or_default().push((row.user_id, row.cost));
    }
    let total = |parts: &[(String, Usd)]| parts.iter().map(|(_, cost)| *cost).sum();
    days.into_iter().map(|(day, by_agent)| DaySpend { day, total: total(&by_agent), by_agent }).collect()
}

fn tops(parts: &[Part]) -> Tops {
    Tops {
        agents: top(parts, |part| &part.user_id),
        models: top(parts, |part| &part.model),
        tools: top(parts, |part| &part.tool),
    }
}

fn top(parts: &[Part], name: impl Fn(&Part) -> &String) -> Vec<(String, i64, Usd)> {
    let mut sums: BTreeMap<&String, (i64, Usd)> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.cost.is_positive()) {
        let sum = sums.entry(name(part)).or_default();
        *sum = (sum.0 + part.calls, sum.1.saturating_add(part.cost));
    }
    let mut sums: Vec<_> =
        sums.into_iter().map(|(name, (calls, cost))| (name.clone(), calls, cost)).collect();
    sums.sort_by_key(|(_, _, cost)| Reverse(*cost));
    sums.truncate(TOP);
    sums
}
