//! How fast money goes: what forecasts and runways build on.

use crate::domain::money::Usd;
use crate::domain::time::DAY;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::store::usage;

/// Whole days that it looks back on.
const FORTNIGHT: i64 = 14;

/// Mean spend a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Over the last fortnight, or all the days of a younger workspace; on its first day what it spent so far.
    pub per_day: Usd,
    /// Whether it is known from whole days: a day that is not over shows, but warns of nothing.
    pub is_settled: bool,
}

impl Engine {
    /// How fast a workspace spends.
    ///
    /// # Errors
    /// The database's own.
    pub async fn pace(&self, scope: &Scope) -> Result<Pace> {
        let (db, id, today) =
            (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now().day_start());
        let created = self.account(&scope.workspace).await?.created_at.day_start();
        let days = ((today.micros() - created.micros()) / DAY).clamp(0, FORTNIGHT);
        let (from, to) = if days == 0 { (today, today.next_day()) } else { (today.plus(-days * DAY), today) };
        let spent = usage::totals(db, id, from, to).await?.cost;
        Ok(Pace { per_day: Usd::from_micros(spent.micros() / days.max(1)), is_settled: days > 0 })
    }
}
