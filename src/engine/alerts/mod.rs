//! Alerts: looked for where something happened, each fired once for its threshold and period, recorded and told.

mod digest;
mod runaway;
mod settings;
mod telling;

use std::collections::HashSet;

use crate::domain::alerts::{Alert, Facts, due};
use crate::domain::catalog::Model;
use crate::domain::money::Usd;
use crate::domain::time::{HOUR, Time};
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::leases::Lease;
use crate::engine::store::accounts::AccountRow;
use crate::engine::store::alerts::{self, Watched};
use crate::engine::{CellNode, Engine};

pub use self::settings::{AlertChange, AlertRow, AlertsView};
use crate::engine::calls::agents::{AgentState, TokenState};

/// A workspace in which nothing happens is looked at this often, for its tokens grow old all the same.
const STALE: i64 = HOUR;
/// Workspaces looked at between two renewals of the lease.
const RENEW_EVERY: usize = 20;

impl Engine {
    /// Looks at every workspace in which something happened; answers how many alerts fired. [`Engine::tell_alerts`] tells
    /// them.
    ///
    /// # Errors
    /// The database's own; the next run goes on.
    pub async fn watch_budgets(&self) -> Result<usize> {
        let mut count = 0;
        for node in self.0.cells.values() {
            if let Some(lease) = self.lease(node, "alerts").await? {
                let fired = self.look_at_cell(node, &lease).await?;
                lease.finish(&serde_json::json!({ "fired": fired })).await?;
                count += fired;
            }
        }
        Ok(count)
    }

    async fn look_at_cell(&self, node: &CellNode, lease: &Lease<'_>) -> Result<usize> {
        let (stale, mut count) = (self.0.clock.now().plus(-STALE), 0);
        for (number, watched) in alerts::to_look_at(&node.db, stale).await?.into_iter().enumerate() {
            if number % RENEW_EVERY == 0 && !lease.renew().await? {
                break;
            }
            let workspace = watched.0.clone();
            match self.look_at(node, watched).await {
                Ok(fired) => count += fired,
                Err(error) => tracing::error!(%error, %workspace, "a workspace was not looked at for alerts"),
            }
        }
        Ok(count)
    }

    async fn look_at(&self, node: &CellNode, (id, seq, digest): Watched) -> Result<usize> {
        let Some(scope) = self.system_in(&id).await? else { return Ok(0) };
        let fired = alerts::fired(&node.db, &id).await?;
        let count = self.fire_due(&scope, &fired).await?;
        self.stop_spenders(&scope).await?;
        let digest = self.write_digest(&scope, digest).await?;
        alerts::looked(&node.db, &id, seq, self.0.clock.now(), &digest).await?;
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
            balance: credits.balance_usd,
            cheapest: self.cheapest_call(&self.account(&scope.workspace).await?),
            floor: credits.floor_usd,
            per_day: if pace.is_settled { pace.per_day } else { Usd::ZERO },
            thresholds,
            month_cap: month_cap.map(|cap| (cap.limit_usd, cap.used_usd)),
            funding: alerts::funding(db, id).await?.to_string(),
            tokens: self.due_tokens(scope).await?,
        })
    }

    /// What the cheapest call of a workspace costs, by the models that it may use; nothing where there are none.
    fn cheapest_call(&self, account: &AccountRow) -> Usd {
        let (names, today) = (self.0.providers.names(), self.0.clock.now().date());
        let usable =
            self.0.catalog.available(&names).filter(|model| {
                model.check_open(today).is_ok() && !account.forbidden_models.contains(&model.id)
            });
        usable.map(Model::least_price).min().unwrap_or(Usd::ZERO)
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
}
