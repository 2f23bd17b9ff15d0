//! The monthly digest: what the month before cost, for Viewers, who answer for the money without setting it.

use crate::domain::alerts;
use crate::domain::money::Usd;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::store::{self, usage};

impl Engine {
    /// Writes the digest of the last full month, once, for [`Engine::tell_alerts`]; answers the month that is dealt with. A
    /// workspace that is looked at for the first time begins with the next one.
    pub(super) async fn write_digest(&self, scope: &Scope, dealt_with: Option<String>) -> Result<String> {
        let now = self.0.clock.now();
        let month = now.months_back(1).month_key();
        match dealt_with {
            Some(dealt_with) if dealt_with != month => {}
            _ => return Ok(month),
        }
        let digest = alerts::digest(&month, self.digest(scope).await?);
        store::alerts::keep(&self.cell(&scope.workspace)?.db, &scope.workspace.id, &digest, now).await?;
        Ok(month)
    }

    async fn digest(&self, scope: &Scope) -> Result<String> {
        let (db, id, now) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let (from, to) = (now.months_back(1), now.month_start());
        let month = usage::totals(db, id, from, to).await?;
        let before = usage::totals(db, id, now.months_back(2), from).await?;
        let mut text = format!(
            "{} spent by {} calls in {} (the month before: {}).\n{} calls were refused and {} failed; nothing was charged for them.\n\n\
             By agent:\n",
            month.cost.display(),
            month.calls,
            from.month_key(),
            before.cost.display(),
            month.refused,
            month.failed,
        );
        let mut agents: std::collections::BTreeMap<String, Usd> = std::collections::BTreeMap::new();
        for day in usage::by_day(db, id, from, to).await? {
            let sum = agents.entry(day.user_id).or_insert(Usd::ZERO);
            *sum = sum.saturating_add(day.cost);
        }
        for (agent, cost) in agents {
            text.push_str(&format!("  {agent}: {}\n", cost.display()));
        }
        Ok(text)
    }
}
