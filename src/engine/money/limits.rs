//! Where the month stands against every limit that is set: what the caps page draws.

use crate::domain::ids::AgentId;
use crate::domain::ledger::Period;
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::money::billing::Credits;
use crate::engine::store::agents::{AgentRow, AgentState};
use crate::engine::store::{agents, books, tallies};

/// What a sum is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// The workspace's cap: calls beyond it are refused.
    WorkspaceMonth,
    /// A per cent of the typical month, at which people are told.
    TypicalMonth {
        /// The per cent.
        pct: u32,
    },
    /// The floor of the balance: here less is worse.
    Floor,
    /// An agent's cap of a day or a month.
    Agent {
        /// The agent.
        id: AgentId,
        /// Its name.
        name: String,
        /// A day's; otherwise a month's.
        of_day: bool,
    },
}

/// A limit and how far it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitUse {
    /// The limit's kind.
    pub against: Against,
    /// Charged and reserved; the balance for the floor.
    pub used: Usd,
    /// The limit.
    pub limit: Usd,
    /// When it begins anew.
    pub resets_at: Option<Time>,
}

impl Engine {
    /// The limits of the workspace and of its agents, each with where it stands; `thresholds` are the further per cents of
    /// the typical month at which people are told.
    ///
    /// # Errors
    /// The database's own.
    pub async fn limits(
        &self,
        scope: &Scope,
        credits: &Credits,
        thresholds: &[u32],
    ) -> Result<Vec<LimitUse>> {
        let month = credits.caps.iter().find(|cap| cap.cap == "workspace_month");
        let month = month.map(|cap| LimitUse {
            against: Against::WorkspaceMonth,
            used: cap.used_usd,
            limit: cap.limit_usd,
            resets_at: cap.resets_at,
        });
        let floor = credits.floor_usd.map(|limit| LimitUse {
            against: Against::Floor,
            used: credits.available_usd,
            limit,
            resets_at: None,
        });
        let all = month.into_iter().chain(self.limits_of_alerts(credits, thresholds)).chain(floor);
        Ok(all.chain(self.limits_of_agents(scope).await?).collect())
    }

    fn limits_of_alerts(&self, credits: &Credits, thresholds: &[u32]) -> Vec<LimitUse> {
        let Some(typical) = credits.typical_month_usd else { return Vec::new() };
        let mut pcts = [&[credits.soft_alert.threshold_pct], thresholds].concat();
        pcts.retain(|pct| *pct > 0);
        pcts.sort_unstable();
        pcts.dedup();
        let line = |pct| LimitUse {
            against: Against::TypicalMonth { pct },
            used: credits.month_to_date_usd,
            limit: typical.percent(pct),
            resets_at: Some(self.0.clock.now().next_month()),
        };
        pcts.into_iter().map(line).collect()
    }

    async fn limits_of_agents(&self, scope: &Scope) -> Result<Vec<LimitUse>> {
        let (db, id, now) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let agents = agents::list(db, id).await?;
        let capped = agents.iter().filter(|agent| agent.state != AgentState::Revoked).flat_map(|agent| {
            let limits = agent.policy.limits();
            let day = limits.day_usd.map(|limit| (agent, true, limit, now.day_key()));
            day.into_iter().chain(limits.month_usd.map(|limit| (agent, false, limit, now.month_key())))
        });
        let capped: Vec<(&AgentRow, bool, Usd, String)> = capped
            .map(|(agent, of_day, limit, key)| {
                let period = Period { agent: Some(agent.id.clone()), key };
                (agent, of_day, limit, books::tally_id(id, &period))
            })
            .collect();
        let ids: Vec<String> = capped.iter().map(|(.., id)| id.clone()).collect();
        let spent = tallies::several(db, &ids).await?;
        let limit_use = |(agent, of_day, limit, id): (&AgentRow, bool, Usd, String)| {
            let tally = spent.get(&id).copied().unwrap_or_default();
            LimitUse {
                against: Against::Agent { id: agent.id.clone(), name: agent.name.clone(), of_day },
                used: tally.spent.saturating_add(tally.reserved),
                limit,
                resets_at: Some(if of_day { now.next_day() } else { now.next_month() }),
            }
        };
        Ok(capped.into_iter().map(limit_use).collect())
    }
}
