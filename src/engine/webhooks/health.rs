//! How endpoints do, and what the Admins are told of one in trouble.

use serde::Serialize;

use crate::domain::alerts;
use crate::domain::time::{DAY, Time};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::store;
use crate::engine::store::deliveries;
use crate::engine::store::sql::Statement;
use crate::engine::store::webhooks::{self, EndpointRow, EndpointState};
use crate::engine::webhooks::deliveries::PARKED_SHOWN;

/// How an endpoint does.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    /// Log entries that wait.
    pub lag_events: i64,
    /// How long the oldest of them waits.
    pub lag_seconds: i64,
    /// Requests in the last 24 hours.
    pub requests: i64,
    /// Those that were delivered, 0 to 1, of all but batches that were split and events that were put aside; none where
    /// nothing was sent.
    pub success_rate: Option<f64>,
    /// Failures in a row.
    pub failures: u32,
    /// Since when there are only failures.
    pub failing_since: Option<Time>,
    /// The next attempt, while it waits.
    pub next_attempt_at: Option<Time>,
    /// The last delivery.
    pub delivered_at: Option<Time>,
    /// Events that were put aside: the receiver refused them.
    pub parked: usize,
}

impl Engine {
    pub(super) async fn health(&self, scope: &Scope, row: &EndpointRow) -> Result<Health> {
        let (db, now) = (&self.cell(&scope.workspace)?.db, self.0.clock.now());
        let (lag_events, waiting) = webhooks::lag(db, &row.workspace_id, row.cursor).await?;
        let counts = deliveries::counts(db, &row.id, now.plus(-DAY)).await?;
        let judged = counts.delivered + counts.failed;
        let progress = &row.progress;
        Ok(Health {
            lag_events,
            lag_seconds: waiting.map_or(0, |since| (now.micros() - since.micros()).max(0) / 1_000_000),
            requests: counts.requests,
            success_rate: (judged > 0).then(|| counts.delivered as f64 / judged as f64),
            failures: progress.failures,
            failing_since: progress.failing_since,
            next_attempt_at: Some(progress.next_at)
                .filter(|at| *at > now && row.state == EndpointState::Active),
            delivered_at: progress.delivered_at,
            parked: deliveries::parked(db, &row.id, Time::default(), PARKED_SHOWN).await?.len(),
        })
    }

    /// What the Admins are told of an endpoint that fails, was paused or was disabled; `period` names since when.
    pub(super) fn webhook_alert(&self, row: &EndpointRow, state: &str, why: &str, period: &str) -> Statement {
        let host = url::Url::parse(&row.url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        let text = format!(
            "The webhook to {host} is {state}: {why}.\n\nNo event is lost: what happens is delivered once it works again. \
             See {}/w/{}/webhooks/{}",
            self.0.config.public_url(),
            row.workspace_id,
            row.id
        );
        let alert = alerts::webhook(state, &row.id, period, text);
        store::alerts::fire(&row.workspace_id, &alert, self.0.clock.now())
    }
}
