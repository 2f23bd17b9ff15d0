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

/// What a policy would have refused of an agent's successful calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trial {
    /// Successful calls that were looked at.
    pub calls: i64,
    /// Each reason with the calls and their cost, such as `generate_video is not permitted`.
    pub refused: Vec<(String, i64, Usd)>,
    /// Each cap that a day or the month went over, with what was spent and the limit.
    pub over: Vec<(String, Usd, Usd)>,
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

    async fn try_policy(&self, scope: &Scope, agent: &str, policy: &Policy) -> Result<Trial> {
        let (db, now) = (&self.cell(&scope.workspace)?.db, self.0.clock.now());
        let (id, from, to) = (&scope.workspace.id, now.plus(-TRIAL_DAYS * DAY), now.next_day());
        let parts = spend::parts(db, id, Some(agent), from, to).await?;
        let by_day = spend::by_day(db, id, spend::Of::Agent(agent), from, to).await?;
        Ok(Trial {
            calls: parts.iter().map(|part| part.calls).sum(),
            refused: refused(policy, &parts),
            over: over(policy, &by_day.into_iter().map(|row| (row.day, row.cost)).collect::<Vec<_>>(), now),
        })
    }
}

fn refused(policy: &Policy, parts: &[spend::Part]) -> Vec<(String, i64, Usd)> {
    let mut reasons: BTreeMap<String, (i64, Usd)> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.calls > 0) {
        let Some(reason) = reason(policy, part) else { continue };
        let sum = reasons.entry(reason).or_default();
        *sum = (sum.0 + part.calls, sum.1.saturating_add(part.cost));
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

/// The highest day and the running month against the caps.
fn over(policy: &Policy, spent: &[(Time, Usd)], now: Time) -> Vec<(String, Usd, Usd)> {
    let mut by_day: BTreeMap<Time, Usd> = BTreeMap::new();
    for (day, cost) in spent {
        let sum = by_day.entry(*day).or_default();
        *sum = sum.saturating_add(*cost);
    }
    let highest = by_day.values().copied().max().unwrap_or_default();
    let month: Usd = by_day.range(now.month_start()..).map(|(_, cost)| *cost).sum();
    let limits = policy.limits();
    let caps = [("its highest day", highest, limits.day_usd), ("this month", month, limits.month_usd)];
    let is_over = |(name, spent, limit): (&str, Usd, Option<Usd>)| {
        limit.filter(|limit| spent > *limit).map(|limit| (name.to_owned(), spent, limit))
    };
    caps.into_iter().filter_map(is_over).collect()
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
        let reasons = refused(&policy, &parts);
        assert_eq!(
            reasons,
            [
                ("b is not among its models".to_owned(), 2, Usd::dollars(6)),
                ("generate_video is denied".to_owned(), 1, Usd::dollars(9)),
                ("get_credits is not permitted".to_owned(), 5, Usd::ZERO),
            ]
        );
        let now = Time::parse("2026-11-22T12:00:00Z").unwrap();
        let day = now.day_start();
        let spent = [(day, Usd::dollars(2)), (day, Usd::dollars(2)), (day.plus(-DAY), Usd::dollars(1))];
        let found = over(&policy, &spent, now);
        assert_eq!(found, [("its highest day".to_owned(), Usd::dollars(4), Usd::dollars(3))]);
    }
}
