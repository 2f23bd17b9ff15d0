//! What one agent did: spend, last calls, and what a policy would have refused.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::money::Usd;
use crate::domain::policy::{Policy, Tool};
use crate::domain::time::{DAY, Time};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::store::spend;
use crate::engine::views::overview::{DaySpend, LatestCall, days};

/// Days that a policy is tried on.
pub const TRIAL_DAYS: i64 = 30;

/// One agent's month.
#[derive(Debug, Clone)]
pub struct Activity {
    /// This UTC month, each day's spend by model.
    pub spend_by_day: Vec<DaySpend>,
    /// The last calls, refused and failed ones too.
    pub latest: Vec<LatestCall>,
    /// What the agent's own policy would have refused of the successful calls of the last 30 days.
    pub trial: Trial,
}

/// What a policy would have refused of an agent's successful calls. Networks are not tried: no call's address is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trial {
    /// Successful calls that were looked at.
    pub calls: i64,
    /// Each reason with the calls and their cost, such as `generate_video is not permitted`.
    pub refused: Vec<(String, i64, Usd)>,
    /// Each cap that a day or a month went over.
    pub over: Vec<Over>,
    /// Whether the policy names networks.
    pub has_networks: bool,
}

/// A cap of a day or a month that was gone over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// `day` or `month`.
    pub period: &'static str,
    /// How many days or months.
    pub count: usize,
    /// The dearest of them.
    pub highest: Usd,
    /// The cap.
    pub limit: Usd,
}

impl Engine {
    /// What an agent did lately.
    ///
    /// # Errors
    /// The database's own.
    pub async fn activity(&self, scope: &Scope, agent: &str, policy: &Policy) -> Result<Activity> {
        let (db, now) = (&self.cell(&scope.workspace)?.db, self.0.clock.now());
        let (of, id) = (spend::Of::Agent(agent), &scope.workspace.id);
        let month = spend::by_day(db, id, of, now.month_start(), now.next_month()).await?;
        Ok(Activity {
            spend_by_day: days(month),
            latest: self.latest(scope, &crate::engine::views::overview::of_agent(agent)).await?,
            trial: self.try_policy(scope, agent, policy).await?,
        })
    }

    /// What `policy`, in the brief's JSON, would have refused of an agent's last 30 days.
    ///
    /// # Errors
    /// Names the policy's field.
    pub async fn try_policy_json(&self, scope: &Scope, agent: &str, policy: &Value) -> Result<Trial> {
        self.try_policy(scope, agent, &self.read_policy(policy)?).await
    }

    /// On whole UTC days, the running one among them; a month is counted from its first.
    async fn try_policy(&self, scope: &Scope, agent: &str, policy: &Policy) -> Result<Trial> {
        let (db, now) = (&self.cell(&scope.workspace)?.db, self.0.clock.now());
        let (id, to) = (&scope.workspace.id, now.next_day());
        let from = to.plus(-TRIAL_DAYS * DAY);
        let parts = spend::parts(db, id, Some(agent), from, to).await?;
        let dear = match policy.limits().call_usd {
            Some(limit) => spend::dearer(db, id, agent, limit, from).await?,
            None => Vec::new(),
        };
        let by_day = spend::by_day(db, id, spend::Of::Agent(agent), from.month_start(), to).await?;
        Ok(Trial {
            calls: parts.iter().map(|part| part.calls).sum(),
            refused: refused(policy, &parts, &dear),
            over: over(policy, &by_day.into_iter().map(|row| (row.day, row.cost)).collect::<Vec<_>>(), from),
            has_networks: !policy.ip_allowlist.is_empty(),
        })
    }
}

/// Each call is counted once: one that is refused for its tool or model is not refused for its price too.
fn refused(policy: &Policy, parts: &[spend::Part], dear: &[spend::Part]) -> Vec<(String, i64, Usd)> {
    let mut reasons: BTreeMap<String, (i64, Usd)> = BTreeMap::new();
    let mut add = |reason: String, part: &spend::Part| {
        let sum = reasons.entry(reason).or_default();
        *sum = (sum.0 + part.calls, sum.1.saturating_add(part.cost));
    };
    for part in parts.iter().filter(|part| part.calls > 0) {
        if let Some(reason) = reason(policy, part) {
            add(reason, part);
        }
    }
    let limit = policy.limits().call_usd.unwrap_or_default();
    for part in dear.iter().filter(|part| reason(policy, part).is_none()) {
        add(format!("a call above {}", limit.display()), part);
    }
    reasons.into_iter().map(|(reason, (calls, cost))| (reason, calls, cost)).collect()
}

fn reason(policy: &Policy, part: &spend::Part) -> Option<String> {
    let tool: Tool = part.tool.parse().ok()?;
    if policy.denied.contains(&tool) {
        return Some(format!("{tool} is denied"));
    }
    if !policy.allows(tool) {
        return Some(format!("{tool} is not permitted"));
    }
    (!part.model.is_empty() && !policy.allows_model(&part.model))
        .then(|| format!("{} is not among its models", part.model))
}

/// The days since `from`, and the months that have such a day, against the caps. `spent` begins with the first of these
/// months.
fn over(policy: &Policy, spent: &[(Time, Usd)], from: Time) -> Vec<Over> {
    let sums = |period: fn(Time) -> Time| {
        let mut sums: BTreeMap<Time, Usd> = BTreeMap::new();
        for (day, cost) in spent {
            let sum = sums.entry(period(*day)).or_default();
            *sum = sum.saturating_add(*cost);
        }
        sums
    };
    let spends_since = |month: Time| {
        spent.iter().any(|(day, cost)| *day >= from && day.month_start() == month && cost.is_positive())
    };
    let days: Vec<Usd> =
        sums(|day| day).into_iter().filter(|(day, _)| *day >= from).map(|(_, sum)| sum).collect();
    let months = sums(Time::month_start).into_iter().filter(|(month, _)| spends_since(*month));
    let months: Vec<Usd> = months.map(|(_, sum)| sum).collect();
    let limits = policy.limits();
    let caps = [over_cap("day", &days, limits.day_usd), over_cap("month", &months, limits.month_usd)];
    caps.into_iter().flatten().collect()
}

fn over_cap(period: &'static str, sums: &[Usd], limit: Option<Usd>) -> Option<Over> {
    let limit = limit?;
    let over = sums.iter().copied().filter(|sum| *sum > limit);
    over.clone().max().map(|highest| Over { period, count: over.count(), highest, limit })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(tool: &str, model: &str, calls: i64, cost: i32) -> spend::Part {
        let (user_id, tool, model) = ("agent.a".into(), tool.into(), model.into());
        spend::Part { user_id, tool, model, calls, cost: Usd::dollars(cost) }
    }

    #[test]
    fn a_policy_is_tried_on_what_was_done() {
        let policy = json!({
            "permissions": ["generate_image", "generate_video"], "denied": ["generate_video"],
            "models": ["a"], "caps": { "day_usd": 3, "month_usd": 100 },
        });
        let policy = Policy::from_json(&policy, |_| true).unwrap();
        let parts = [
            part("generate_image", "a", 4, 4),
            part("generate_image", "b", 2, 6),
            part("generate_video", "v", 1, 9),
            part("get_credits", "", 5, 0),
        ];
        let reasons = refused(&policy, &parts, &[]);
        assert_eq!(
            reasons,
            [
                ("b is not among its models".to_owned(), 2, Usd::dollars(6)),
                ("generate_video is denied".to_owned(), 1, Usd::dollars(9)),
                ("get_credits is not permitted".to_owned(), 5, Usd::ZERO),
            ]
        );
    }

    fn with_caps(caps: Value) -> Policy {
        Policy::from_json(&json!({ "models": ["a"], "caps": caps }), |_| true).unwrap()
    }

    #[test]
    fn a_call_is_refused_for_its_price_only_where_nothing_else_refuses_it() {
        let policy = with_caps(json!({ "call_usd": 1.5 }));
        let parts = [part("generate_image", "a", 4, 8), part("generate_image", "b", 2, 6)];
        let dear = [part("generate_image", "a", 1, 5), part("generate_image", "b", 2, 6)];
        let reasons = refused(&policy, &parts, &dear);
        assert_eq!(
            reasons,
            [
                ("a call above $1.50".to_owned(), 1, Usd::dollars(5)),
                ("b is not among its models".to_owned(), 2, Usd::dollars(6)),
            ]
        );
    }

    #[test]
    fn every_day_and_month_of_the_window_is_held_against_the_caps() {
        let day = |text: &str| Time::parse(&format!("{text}T00:00:00Z")).unwrap();
        let from = day("2026-10-24");
        let spent = [
            // Before the window: counts for its month alone.
            (day("2026-10-02"), Usd::dollars(50)),
            (day("2026-10-30"), Usd::dollars(2)),
            (day("2026-10-30"), Usd::dollars(2)),
            (day("2026-11-05"), Usd::dollars(3)),
            (day("2026-11-22"), Usd::dollars(9)),
        ];
        let both = with_caps(json!({ "day_usd": 3, "month_usd": 53 }));
        assert_eq!(
            over(&both, &spent, from),
            [
                Over { period: "day", count: 2, highest: Usd::dollars(9), limit: Usd::dollars(3) },
                Over { period: "month", count: 1, highest: Usd::dollars(54), limit: Usd::dollars(53) },
            ]
        );
        let month = with_caps(json!({ "month_usd": 10 }));
        assert_eq!(over(&month, &spent, from)[0].count, 2);
        assert_eq!(over(&month, &spent[..1], from), [], "what was before the window is not tried");
        assert_eq!(over(&with_caps(json!({ "day_usd": 9, "month_usd": 54 })), &spent, from), []);
    }
}
