//! Usage over time, from the roll-up: it costs the same at ten million calls as at ten.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Engine;
use super::error::Result;
use super::scope::Scope;
use super::store::usage::{self, Grouped};
use crate::domain::money::Usd;
use crate::domain::time::{DAY, Time};
use crate::domain::usage::{GroupBy, Interval, UsageQuery};

/// A bucket of time and a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsageRow {
    /// The bucket's first moment in UTC.
    pub start: Time,
    /// The agent, tool, model or kind.
    pub key: String,
    /// What was counted.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Sums {
    /// Successful calls.
    pub calls: i64,
    /// What was charged.
    pub cost_usd: Usd,
    /// Images made.
    pub images: i64,
    /// Seconds of video made.
    pub video_seconds: f64,
    /// Calls that the rules refused; nothing was charged.
    pub refused: i64,
    /// Calls that failed at the provider; nothing was charged.
    pub failed: i64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.cost_usd = self.cost_usd.saturating_add(other.cost_usd);
        self.images += other.images;
        self.video_seconds += other.video_seconds;
        self.refused += other.refused;
        self.failed += other.failed;
    }
}

/// Usage of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageView {
    /// What was asked for, rounded to whole buckets.
    pub query: UsageQuery,
    /// Buckets and groups in which something happened, in order of time.
    pub rows: Vec<UsageRow>,
    /// All of it.
    pub totals: Sums,
    /// The same span right before.
    pub before: Sums,
    /// This month's spend, if the rest of it goes on as the last fortnight did.
    pub forecast_month_usd: Usd,
}

impl Engine {
    /// Usage of a span, by bucket and group.
    ///
    /// # Errors
    /// The database's own.
    pub async fn usage(&self, scope: &Scope, query: UsageQuery) -> Result<UsageView> {
        let rows = self.usage_rows(scope, &query).await?;
        let before = sum(&self.usage_rows(scope, &query.before()).await?);
        let totals = sum(&rows);
        let forecast_month_usd = self.forecast_month(scope).await?;
        Ok(UsageView { query, rows, totals, before, forecast_month_usd })
    }

    async fn usage_rows(&self, scope: &Scope, query: &UsageQuery) -> Result<Vec<UsageRow>> {
        let (db, id) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let by_day = query.interval != Interval::Hour;
        let rows = usage::grouped(db, id, (query.from, query.to), by_day, query.group_by).await?;
        Ok(fold(rows, query.interval))
    }

    async fn forecast_month(&self, scope: &Scope) -> Result<Usd> {
        let (db, id, now) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let month = usage::totals(db, id, now.month_start(), now.next_month()).await?.cost;
        let fortnight = usage::totals(db, id, now.day_start().plus(-14 * DAY), now.day_start()).await?.cost;
        let left = (now.next_month().micros() - now.micros()) as f64 / DAY as f64;
        let rest = fortnight.micros() as f64 / 14.0 * left;
        Ok(month.saturating_add(Usd::from_micros(rest.round() as i64)))
    }

    /// What a workspace spent on each model since its beginning, by model.
    ///
    /// # Errors
    /// The database's own.
    pub async fn spend_by_model(&self, scope: &Scope) -> Result<BTreeMap<String, Sums>> {
        let now = self.0.clock.now();
        let query = UsageQuery {
            from: Time::default(),
            to: now.next_day(),
            interval: Interval::Month,
            group_by: GroupBy::Model,
        };
        let mut models = BTreeMap::<String, Sums>::new();
        for row in self.usage_rows(scope, &query).await? {
            models.entry(row.key).or_default().add(&row.sums);
        }
        Ok(models)
    }
}

fn sum(rows: &[UsageRow]) -> Sums {
    let mut totals = Sums::default();
    rows.iter().for_each(|row| totals.add(&row.sums));
    totals
}

/// Days become months where months were asked for.
fn fold(rows: Vec<Grouped>, interval: Interval) -> Vec<UsageRow> {
    let mut folded = BTreeMap::<(Time, String), Sums>::new();
    for row in rows {
        let sums = Sums {
            calls: row.totals.calls,
            cost_usd: row.totals.cost,
            images: row.images,
            video_seconds: row.video_ms as f64 / 1_000.0,
            refused: row.totals.refused,
            failed: row.totals.failed,
        };
        folded.entry((interval.start(row.start), row.key)).or_default().add(&sums);
    }
    folded.into_iter().map(|((start, key), sums)| UsageRow { start, key, sums }).collect()
}
