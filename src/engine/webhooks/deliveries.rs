//! The delivery log as people see it, and the events that receivers refused.

use serde::Serialize;

use crate::domain::audit::Linked;
use crate::domain::ids::{DeliveryId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhooks::endpoint;
use crate::domain::webhooks::event::name_of;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::log::reading::{Page, Paged, cursor_of};
pub use crate::engine::store::deliveries::ParkedRow;
use crate::engine::store::deliveries::{self, DeliveryRow};
use crate::engine::store::webhooks;

/// Parked events that a page shows.
pub(super) const PARKED_SHOWN: i64 = 100;

/// A request as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// Where to.
    pub webhook_id: WebhookId,
    /// When.
    pub at: Time,
    /// `live`, `replay`, `test`, or `probe`: sent before its turn, to see whether the receiver refuses everything.
    pub lane: String,
    /// The first event's name.
    pub event: String,
    /// The first event's id.
    pub event_id: String,
    /// The first event's place in the log.
    pub from_seq: i64,
    /// The last event's.
    pub to_seq: i64,
    /// How many events.
    pub events: i64,
    /// Which try, from 1.
    pub attempt: i64,
    /// `delivered`, `retried`, `parked`, `split`, `paused` or `disabled`.
    pub outcome: String,
    /// The receiver's status.
    pub status: Option<i64>,
    /// What was wrong.
    pub fault: Option<String>,
    /// How long it took.
    pub duration_ms: i64,
    /// The body that was sent, cut at 20 kB.
    pub request: String,
    /// The body that came back, cut at 20 kB.
    pub response: String,
}

impl Engine {
    /// What was sent, the newest first; with `failed` only what did not arrive.
    ///
    /// # Errors
    /// [`Error::NotFound`]; the fields `limit` and `cursor`.
    pub async fn webhook_deliveries(
        &self,
        scope: &Scope,
        id: &WebhookId,
        failed: bool,
        page: Page,
    ) -> Result<Paged<DeliveryView>> {
        let (row, limit, last) = (self.endpoint_row(scope, id).await?, page.rows()?, page.time_and_id()?);
        let db = &self.cell(&scope.workspace)?.db;
        let rows = deliveries::page(db, &row.id, failed, last, limit + 1).await?;
        Ok(Paged::new(rows, limit, |row| cursor_of(row.at, row.id.as_str())).map(delivery_view))
    }

    /// The requests that carried log entries, the newest first for each.
    ///
    /// # Errors
    /// The database's own.
    pub async fn deliveries_of(&self, scope: &Scope, entries: &[Linked]) -> Result<Vec<DeliveryView>> {
        let (db, workspace) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let (endpoints, mut all) = (webhooks::list(db, workspace).await?, Vec::new());
        for linked in entries {
            let name = name_of(&linked.entry);
            let wanting = endpoints.iter().filter(|row| endpoint::wants(&row.events, name));
            let wanting: Vec<WebhookId> = wanting.map(|row| row.id.clone()).collect();
            all.extend(deliveries::of_entry(db, workspace, linked.seq, &wanting).await?);
        }
        Ok(all.into_iter().map(delivery_view).collect())
    }

    /// The events that the receiver refused, the first hundred.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn parked_events(&self, scope: &Scope, id: &WebhookId) -> Result<Vec<ParkedRow>> {
        let row = self.endpoint_row(scope, id).await?;
        deliveries::parked(&self.cell(&scope.workspace)?.db, &row.id, Time::default(), PARKED_SHOWN).await
    }
}

fn delivery_view(row: DeliveryRow) -> DeliveryView {
    DeliveryView {
        id: row.id,
        webhook_id: row.endpoint_id,
        at: row.at,
        lane: row.lane,
        event: row.event,
        event_id: row.event_id,
        from_seq: row.from_seq,
        to_seq: row.to_seq,
        events: row.events,
        attempt: row.attempt,
        outcome: row.outcome,
        status: row.status,
        fault: row.fault,
        duration_ms: row.duration / 1_000,
        request: row.request,
        response: row.response,
    }
}
