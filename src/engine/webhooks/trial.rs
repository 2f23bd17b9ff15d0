//! The test button: one signed, marked event, and what came back.

use serde::Serialize;
use serde_json::json;

use crate::domain::ids::{DeliveryId, EventId, WebhookId};
use crate::domain::time::Time;
use crate::domain::webhooks::answer::{Verdict, judge};
use crate::domain::webhooks::event::{Envelope, Event};
use crate::domain::webhooks::parcel::pack;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::store::deliveries::{self, DeliveryRow};
use crate::engine::store::webhooks::EndpointRow;
use crate::engine::webhooks::secrets::Secrets;
use crate::engine::webhooks::sender::{Request, channel, kept};
use crate::engine::{Engine, random};

/// What came of a test.
#[derive(Debug, Clone, Serialize)]
pub struct TestResult {
    /// Whether the receiver took it.
    pub delivered: bool,
    /// Its status.
    pub status: Option<u16>,
    /// What is wrong, in a sentence.
    pub fault: Option<String>,
    /// How long it took.
    pub duration_ms: i64,
    /// What was sent.
    pub request: String,
    /// What came back, cut at 20 kB.
    pub response: String,
}

impl Engine {
    /// Sends a signed, clearly marked event now and tells what came back. It does not touch the endpoint's progress.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn test_webhook(&self, scope: &Scope, id: &WebhookId) -> Result<TestResult> {
        let (cell, row) = (self.cell(&scope.workspace)?, self.endpoint_row(scope, id).await?);
        let (now, secrets) = (self.0.clock.now(), Secrets::open(cell, &row).await?);
        let event = self.test_event(scope, now);
        let parcel =
            pack(&[(1, Some(event.clone()))], row.format, "agentframer", 1, now).pop().unwrap_or_default();
        let request = Request {
            url: &row.url,
            format: row.format,
            id: event.id.as_str(),
            body: &parcel.body,
            signing: secrets.signing(row.old_secret_ends_at, now),
            secrets: &secrets,
            channel: channel(id),
            at: now,
        };
        let (answer, took) = self.0.sender.send(&request).await;
        let verdict = judge(row.format, &answer);
        let delivered = verdict == Verdict::Delivered;
        let result = TestResult {
            delivered,
            status: answer.status,
            fault: fault(&verdict),
            duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
            request: kept(&parcel.body),
            response: answer.body,
        };
        let kept = test_delivery(&row, &event, &result, random::id(now), now);
        deliveries::together(&cell.db, vec![deliveries::insert(&kept)]).await?;
        let data = json!({ "id": id, "delivered": delivered, "status": result.status });
        let act = self.act(scope, "webhook.tested", data, Vec::new()).await?;
        self.submit_act(scope, act).await?;
        Ok(result)
    }

    fn test_event(&self, scope: &Scope, now: Time) -> Event {
        let envelope = Envelope {
            event: "webhook.test".into(),
            version: "1",
            ts: now,
            request_id: scope.origin.request_id.clone(),
            workspace_id: scope.workspace.id.clone(),
            user_id: scope.actor.clone(),
            tool: None,
            model: None,
            cost_usd: None,
            balance_after_usd: None,
            region: scope.workspace.region,
            result_url: None,
            data: Some(
                json!({ "test": true, "message": "This is a test. Nothing happened and no money moved." }),
            ),
        };
        Event { id: random::id::<EventId>(now), seq: 1, envelope }
    }
}

fn fault(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Delivered => None,
        Verdict::Later { why, .. } | Verdict::Refused(why) | Verdict::Stop(why) => Some(why.clone()),
        Verdict::TooLarge => Some("the receiver says that this is too large".into()),
        Verdict::Gone => Some("the receiver says that it is gone for good".into()),
    }
}

fn test_delivery(
    row: &EndpointRow,
    event: &Event,
    result: &TestResult,
    id: DeliveryId,
    now: Time,
) -> DeliveryRow {
    DeliveryRow {
        id,
        workspace_id: row.workspace_id.clone(),
        endpoint_id: row.id.clone(),
        lane: "test".into(),
        event: event.name().to_owned(),
        event_id: event.id.to_string(),
        from_seq: 0,
        to_seq: 0,
        events: 1,
        attempt: 1,
        outcome: if result.delivered { "delivered" } else { "retried" }.into(),
        status: result.status.map(i64::from),
        fault: result.fault.clone(),
        request: result.request.clone(),
        response: result.response.clone(),
        duration: result.duration_ms * 1_000,
        at: now,
    }
}
