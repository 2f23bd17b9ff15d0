//! Alerts: looked for where something happened, each fired once for its threshold and period, recorded and told.

mod digest;
mod runaway;
mod settings;
mod telling;

use std::collections::HashSet;

use crate::domain::alerts::{Alert, Facts, due};
use crate::domain::money::Usd;
use crate::domain::time::{HOUR, Time};
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::store::alerts;
use crate::engine::{CellNode, Engine};

pub use self::settings::{AlertChange, AlertRow, AlertsView};
use crate::engine::calls::agents::{AgentState, TokenState};

/// A workspace in which nothing happens is looked at this often, for its tokens grow old all the same.
const STALE: i64 = HOUR;
/// Alerts told in one run.
const BATCH: i64 = 100;

impl Engine {
    /// Looks at every workspace in which something happened; tells how many alerts fired.
    ///
    /// # Errors
    /// The database's own; the next run goes on.
    pub async fn watch_budgets(&self) -> Result<usize> {
        let mut count = 0;
        for node in self.0.cells.values() {
            if let Some(lease) = self.lease(node, "alerts").await? {
                let fired = self.look_at_cell(node).await?;
                self.tell_untold(node).await?;
                lease.finish(&serde_json::json!({ "fired": fired })).await?;
                count += fired;
            }
        }
        Ok(count)
    }

    async fn look_at_cell(&self, node: &CellNode) -> Result<usize> {
        let (now, mut count) = (self.0.clock.now(), 0);
        for (id, seq, digest) in alerts::to_look_at(&node.db, now.plus(-STALE)).await? {
            let Some(scope) = self.system_in(&id).await? else { continue };
            let fired = alerts::fired(&node.db, &id).await?;
            count += self.fire_due(&scope, &fired).await?;
            self.stop_spenders(&scope).await?;
            let digest = self.send_digest(&scope, digest).await?;
            alerts::looked(&node.db, &id, seq, now, &digest).await?;
        }
        Ok(count)
    }

    async fn fire_due(&self, scope: &Scope, fired: &HashSet<String>) -> Result<usize> {
        let facts = self.facts(scope).await?;
        let mut count = 0;
        for alert in due(&facts).into_iter().filter(|alert| !fired.contains(&alert.key)) {
            count += usize::from(self.fire(scope, &alert).await?);
        }
        Ok(count)
    }

    async fn facts(&self, scope: &Scope) -> Result<Facts> {
        let (db, id, now) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let credits = self.credits(scope).await?;
        let (settings, _) = alerts::settings(db, id).await?;
        let pace = self.pace(scope).await?;
        let month_cap = credits.caps.iter().find(|cap| cap.cap == "workspace_month");
        let mut thresholds = settings.further_thresholds;
        thresholds.push(credits.soft_alert.threshold_pct);
        thresholds.sort_unstable();
        thresholds.dedup();
        Ok(Facts {
            now,
            month_to_date: credits.month_to_date_usd,
            typical_month: credits.typical_month_usd,
            available: credits.available_usd,
            floor: credits.floor_usd,
            per_day: if pace.is_settled { pace.per_day } else { Usd::ZERO },
            thresholds,
            month_cap: month_cap.map(|cap| (cap.limit_usd, cap.used_usd)),
            funding: alerts::funding(db, id).await?.to_string(),
            tokens: self.due_tokens(scope).await?,
        })
    }

    /// The newest token of each agent that may call; older ones end by themselves.
    async fn due_tokens(&self, scope: &Scope) -> Result<Vec<(String, String, Time)>> {
        let agents = self.agents(scope).await?.into_iter().filter(|agent| agent.state != AgentState::Revoked);
        let newest = agents.filter_map(|agent| {
            let token = agent
                .tokens
                .iter()
                .find(|token| matches!(token.state, TokenState::Current | TokenState::Grace))?;
            Some((agent.name.clone(), token.id.to_string(), token.expires_at))
        });
        Ok(newest.collect())
    }

    /// Records an alert and its log entry together; false where it was fired before, by whichever node.
    pub(super) async fn fire(&self, scope: &Scope, alert: &Alert) -> Result<bool> {
        let keep = alerts::fire(&scope.workspace.id, alert, self.0.clock.now());
        let act = self.act(scope, alert.event, alert.data.clone(), vec![keep]).await?;
        match self.submit_act(scope, act).await {
            Ok(_) => Ok(true),
            // Nothing was inserted: it is there.
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells what was fired, and what a node that died in between did not come to tell.
    async fn tell_untold(&self, node: &CellNode) -> Result<()> {
        for row in alerts::untold(&node.db, BATCH).await? {
            let Some(scope) = self.system_in(&row.workspace_id).await? else { continue };
            let channels = self.tell(&scope, &subject(&row), &row.message).await?;
            alerts::told(&node.db, &row, &channels.join("; "), self.0.clock.now()).await?;
        }
        Ok(())
    }
}

fn subject(row: &AlertRow) -> String {
    match row.event.as_str() {
        "balance.exhausted" => "The balance is used up",
        "agent.token_expiring" => "A token is due for rotation",
        _ => "A budget alert",
    }
    .to_owned()
}
