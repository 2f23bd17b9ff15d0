//! Webhook endpoints: made, changed, tested and replayed by Admins; delivered to by couriers.

mod courier;
mod secrets;
mod sender;
mod slots;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use self::courier::KEEP as DELIVERIES_KEPT;
use self::secrets::Secrets;
pub(crate) use self::sender::Sender;
use self::sender::{Request, kept};
use crate::domain::alerts;
use crate::domain::audit::Linked;
use crate::domain::field::FieldError;
use crate::domain::ids::{DeliveryId, EventId, WebhookId};
use crate::domain::time::{DAY, HOUR, Time};
use crate::domain::webhooks::answer::{Verdict, judge};
use crate::domain::webhooks::endpoint::{self, Format, in_log};
use crate::domain::webhooks::event::{Envelope, Event, name_of};
use crate::domain::webhooks::parcel::pack;
use crate::domain::webhooks::progress::Progress;
use crate::domain::webhooks::signature;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::log::reading::{Page, Paged, cursor_of};
use crate::engine::store;
pub use crate::engine::store::deliveries::ParkedRow;
use crate::engine::store::deliveries::{self, DeliveryRow, ReplayRow};
use crate::engine::store::sql::Statement;
pub use crate::engine::store::webhooks::EndpointState;
use crate::engine::store::webhooks::{self, EndpointRow};
use crate::engine::{Engine, random};

/// Endpoints that a workspace may have.
const MOST: usize = 50;
/// The longest overlap of a secret's rotation in hours.
const LONGEST_OVERLAP: i64 = 168;
/// Parked events that a page shows.
const SHOWN: i64 = 100;

/// An endpoint to make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// Where to: https, unless the operator allows private addresses.
    pub url: String,
    /// `generic`, `datadog` or `splunk_hec`.
    pub format: String,
    /// With what the receiver knows us; needed by Datadog and Splunk.
    #[serde(default)]
    pub token: Option<String>,
    /// Names of events; all, where empty or absent.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// Headers of your own.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
}

/// A change of an endpoint: an absent field stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointChange {
    /// See [`NewEndpoint::url`].
    pub url: Option<String>,
    /// See [`NewEndpoint::token`].
    pub token: Option<String>,
    /// See [`NewEndpoint::events`].
    pub events: Option<Vec<String>>,
    /// See [`NewEndpoint::headers`]; takes the place of all headers.
    pub headers: Option<BTreeMap<String, String>>,
    /// `active` or `paused`.
    pub state: Option<String>,
}

/// An endpoint as people see it: nothing secret.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointView {
    /// Its id.
    pub id: WebhookId,
    /// Where to.
    pub url: String,
    /// How.
    pub format: Format,
    /// Names of events; empty for all.
    pub events: Vec<String>,
    /// The names of the user's own headers.
    pub headers: Vec<String>,
    /// Whether events go out.
    pub state: EndpointState,
    /// Why they do not.
    pub reason: Option<String>,
    /// When the secret before a rotation stops signing.
    pub previous_secret_ends_at: Option<Time>,
    /// How it does.
    pub health: Health,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Time,
}

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

/// A new endpoint with its secret, which is shown once.
#[derive(Debug, Clone, Serialize)]
pub struct MadeEndpoint {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointView,
    /// `whsec_…`
    pub secret: String,
}

/// A rotation's answer.
#[derive(Debug, Clone, Serialize)]
pub struct RotatedSecret {
    /// The new secret, shown once.
    pub secret: String,
    /// Until when the one before it signs too.
    pub previous_ends_at: Time,
}

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

/// Which events to send once more.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Replay {
    /// The first place.
    pub from_seq: Option<i64>,
    /// The last place; the log's end where absent.
    pub to_seq: Option<i64>,
    /// All that was put aside since this time.
    pub failed_since: Option<Time>,
}

impl Engine {
    /// A workspace's endpoints.
    ///
    /// # Errors
    /// The database's own.
    pub async fn webhooks(&self, scope: &Scope) -> Result<Vec<EndpointView>> {
        let db = &self.cell(&scope.workspace)?.db;
        let mut views = Vec::new();
        for row in webhooks::list(db, &scope.workspace.id).await? {
            views.push(self.endpoint_view(scope, row).await?);
        }
        Ok(views)
    }

    /// One endpoint.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn webhook(&self, scope: &Scope, id: &WebhookId) -> Result<EndpointView> {
        let row = self.endpoint_row(scope, id).await?;
        self.endpoint_view(scope, row).await
    }

    /// Makes an endpoint; it gets what happens from now on.
    ///
    /// # Errors
    /// Names the field.
    pub async fn create_webhook(&self, scope: &Scope, new: NewEndpoint) -> Result<MadeEndpoint> {
        let (cell, now) = (self.cell(&scope.workspace)?, self.0.clock.now());
        if webhooks::list(&cell.db, &scope.workspace.id).await?.len() >= MOST {
            return Err(Error::Conflict(format!(
                "A workspace has at most {MOST} webhooks. Delete one first."
            )));
        }
        let format: Format = new.format.parse()?;
        let url = endpoint::url(&new.url, format, self.0.config.webhooks.allow_private_addresses)?;
        let token = new.token.filter(|token| !token.is_empty());
        endpoint::token(format, token.as_deref())?;
        let headers = new.headers.unwrap_or_default();
        check_headers(&headers)?;
        let id: WebhookId = random::id(now);
        let secrets =
            Secrets { secret: signature::secret(random::bytes()), old_secret: None, token, headers };
        let (key_id, sealed) = secrets.seal(cell, &scope.workspace.id, &id, now).await?;
        let row = EndpointRow {
            id,
            workspace_id: scope.workspace.id.clone(),
            url: url.into(),
            format,
            events: endpoint::events(&new.events.unwrap_or_default())?,
            key_id,
            sealed,
            old_secret_ends_at: None,
            state: EndpointState::Active,
            reason: None,
            cursor: 0,
            progress: Progress { batch: format.limits().events, ..Progress::default() },
            retry_to: None,
            revision: 0,
            created_by: scope.actor.clone(),
            created_at: now,
        };
        let data = json!({ "id": row.id, "url": in_log(&row.url), "format": format, "events": row.events });
        let act = self.act(scope, "webhook.created", data, vec![webhooks::insert(&row)]).await?;
        self.submit_act(scope, act).await?;
        Ok(MadeEndpoint { endpoint: self.webhook(scope, &row.id).await?, secret: secrets.secret })
    }

    /// Changes, pauses or resumes an endpoint; its next attempt is now.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] where somebody else changed it meanwhile; names the field.
    pub async fn change_webhook(
        &self,
        scope: &Scope,
        id: &WebhookId,
        change: EndpointChange,
    ) -> Result<EndpointView> {
        let (cell, before) = (self.cell(&scope.workspace)?, self.endpoint_row(scope, id).await?);
        let mut row = before.clone();
        if let Some(url) = &change.url {
            row.url = endpoint::url(url, row.format, self.0.config.webhooks.allow_private_addresses)?.into();
        }
        if let Some(events) = &change.events {
            row.events = endpoint::events(events)?;
        }
        if let Some(state) = &change.state {
            row.state = read_state(state)?;
            row.reason = (row.state == EndpointState::Paused).then(|| "paused by an Admin".to_owned());
        }
        let mut changed_secrets = Vec::new();
        if change.token.is_some() || change.headers.is_some() {
            let mut secrets = Secrets::open(cell, &row).await?;
            if let Some(token) = change.token.filter(|token| !token.is_empty()) {
                endpoint::token(row.format, Some(&token))?;
                secrets.token = Some(token);
                changed_secrets.push("token");
            }
            if let Some(headers) = change.headers {
                check_headers(&headers)?;
                secrets.headers = headers;
                changed_secrets.push("headers");
            }
            (row.key_id, row.sealed) = secrets.seal(cell, &row.workspace_id, id, self.0.clock.now()).await?;
        }
        let told =
            |row: &EndpointRow| json!({ "url": in_log(&row.url), "events": row.events, "state": row.state });
        let data = json!({ "id": id, "from": told(&before), "to": told(&row), "changed": changed_secrets });
        let act = self.act(scope, "webhook.changed", data, vec![webhooks::update(&row)]).await?;
        self.submit_act(scope, act).await.map_err(changed_meanwhile)?;
        self.webhook(scope, id).await
    }

    /// Deletes an endpoint with its delivery log, of which nothing is shown any more; a job removes its rows.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_webhook(&self, scope: &Scope, id: &WebhookId) -> Result<()> {
        let row = self.endpoint_row(scope, id).await?;
        let data = json!({ "id": id, "url": in_log(&row.url) });
        let act =
            self.act(scope, "webhook.deleted", data, vec![webhooks::delete(&scope.workspace.id, id)]).await?;
        self.submit_act(scope, act).await.map(drop)
    }

    /// Makes a new secret; the one before it signs too for `overlap_hours` (0 to 168, 24 where absent).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] where somebody else changed it meanwhile; the field `overlap_hours`.
    pub async fn rotate_webhook_secret(
        &self,
        scope: &Scope,
        id: &WebhookId,
        overlap_hours: Option<i64>,
    ) -> Result<RotatedSecret> {
        let hours = overlap_hours.unwrap_or(24);
        if !(0..=LONGEST_OVERLAP).contains(&hours) {
            let message = format!("is not a number of hours from 0 to {LONGEST_OVERLAP}");
            return Err(FieldError::new("overlap_hours", message).into());
        }
        let (cell, mut row) = (self.cell(&scope.workspace)?, self.endpoint_row(scope, id).await?);
        let (now, mut secrets) = (self.0.clock.now(), Secrets::open(cell, &row).await?);
        let fresh = signature::secret(random::bytes());
        secrets.old_secret = Some(std::mem::replace(&mut secrets.secret, fresh.clone()));
        let ends_at = now.plus(hours * HOUR);
        row.old_secret_ends_at = Some(ends_at);
        (row.key_id, row.sealed) = secrets.seal(cell, &row.workspace_id, id, now).await?;
        let data = json!({ "id": id, "url": in_log(&row.url), "previous_ends_at": ends_at });
        let act = self.act(scope, "webhook.secret_rotated", data, vec![webhooks::update(&row)]).await?;
        self.submit_act(scope, act).await.map_err(changed_meanwhile)?;
        Ok(RotatedSecret { secret: fresh, previous_ends_at: ends_at })
    }

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

    /// Sends events once more, under the same ids, beside what is new. Tells how many ranges were asked for.
    ///
    /// # Errors
    /// [`Error::NotFound`]; the fields `from_seq`, `to_seq` or `failed_since`.
    pub async fn replay_webhook(&self, scope: &Scope, id: &WebhookId, replay: Replay) -> Result<usize> {
        let (cell, row) = (self.cell(&scope.workspace)?, self.endpoint_row(scope, id).await?);
        let (end, _) = webhooks::lag(&cell.db, &row.workspace_id, 0).await?;
        let ranges = match (replay.from_seq, replay.failed_since) {
            (Some(from), None) => vec![read_range(from, replay.to_seq, end)?],
            (None, Some(since)) if replay.to_seq.is_none() => {
                ranges(deliveries::parked(&cell.db, id, since, 1_000_000).await?)
            }
            _ => {
                let message = "is missing; give from_seq (and to_seq), or failed_since alone";
                return Err(FieldError::new("from_seq", message).into());
            }
        };
        if ranges.is_empty() {
            return Ok(0);
        }
        let (from, to) = (ranges.first().map(|range| range.0), ranges.last().map(|range| range.1));
        let data = json!({ "id": id, "from_seq": from, "to_seq": to, "failed_since": replay.failed_since });
        let act = self.act(scope, "webhook.replayed", data, Vec::new()).await?;
        self.submit_act(scope, act).await?;
        let now = self.0.clock.now();
        for (from, to) in &ranges {
            let id_of_range = format!("whr_{}", hex::encode(random::bytes::<8>()));
            let range = ReplayRow { id: id_of_range, cursor: from - 1, to_seq: *to };
            deliveries::together(&cell.db, vec![deliveries::replay(&row.workspace_id, id, &range, now)])
                .await?;
        }
        Ok(ranges.len())
    }

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
        deliveries::parked(&self.cell(&scope.workspace)?.db, &row.id, Time::default(), SHOWN).await
    }

    async fn endpoint_row(&self, scope: &Scope, id: &WebhookId) -> Result<EndpointRow> {
        let db = &self.cell(&scope.workspace)?.db;
        webhooks::get(db, &scope.workspace.id, id).await?.ok_or(Error::NotFound)
    }

    async fn endpoint_view(&self, scope: &Scope, row: EndpointRow) -> Result<EndpointView> {
        let (cell, now) = (self.cell(&scope.workspace)?, self.0.clock.now());
        let headers = Secrets::open(cell, &row).await?.headers.into_keys().collect();
        let health = self.health(scope, &row).await?;
        Ok(EndpointView {
            headers,
            health,
            previous_secret_ends_at: row.old_secret_ends_at.filter(|end| *end > now),
            id: row.id,
            url: row.url,
            format: row.format,
            events: row.events,
            state: row.state,
            reason: row.reason,
            created_by: row.created_by,
            created_at: row.created_at,
        })
    }

    async fn health(&self, scope: &Scope, row: &EndpointRow) -> Result<Health> {
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
            parked: deliveries::parked(db, &row.id, Time::default(), SHOWN).await?.len(),
        })
    }

    /// What the Admins are told of an endpoint that fails, was paused or was disabled; `period` names since when.
    fn webhook_alert(&self, row: &EndpointRow, state: &str, why: &str, period: &str) -> Statement {
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

/// The endpoint was there when it was read.
fn changed_meanwhile(error: Error) -> Error {
    match error {
        Error::NotFound => Error::Conflict(
            "Somebody else, or the receiver’s answer, changed this webhook at the same moment. Nothing was changed; look at it and try again."
                .into(),
        ),
        error => error,
    }
}

fn check_headers(headers: &BTreeMap<String, String>) -> std::result::Result<(), FieldError> {
    if headers.len() > 20 {
        return Err(FieldError::new("headers", "has more than 20 headers"));
    }
    headers.iter().try_for_each(|(name, value)| endpoint::header(name, value))
}

fn read_state(text: &str) -> std::result::Result<EndpointState, FieldError> {
    match text {
        "active" => Ok(EndpointState::Active),
        "paused" => Ok(EndpointState::Paused),
        _ => Err(FieldError::new("state", "is not a state; choose active or paused")),
    }
}

fn read_range(from: i64, to: Option<i64>, end: i64) -> std::result::Result<(i64, i64), FieldError> {
    if !(1..=end).contains(&from) {
        return Err(FieldError::new(
            "from_seq",
            format!("is not a place in the log, which goes from 1 to {end}"),
        ));
    }
    match to.unwrap_or(end) {
        to if to >= from => Ok((from, to.min(end))),
        _ => Err(FieldError::new("to_seq", "comes before from_seq")),
    }
}

/// Neighbours become one range.
fn ranges(parked: Vec<ParkedRow>) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for row in parked {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == row.seq => *to = row.seq,
            _ => ranges.push((row.seq, row.seq)),
        }
    }
    ranges
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

/// Splunk's channel: a UUID that is the same for the endpoint at all times.
fn channel(id: &WebhookId) -> String {
    let digest = random::fingerprint(id.as_str());
    format!(
        "{}-{}-4{}-8{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[13..16],
        &digest[17..20],
        &digest[20..32]
    )
}
