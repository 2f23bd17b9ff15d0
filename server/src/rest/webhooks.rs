//! Webhook endpoints (contract §3 and §4).

use std::collections::BTreeMap;

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::ids::WebhookId;
use agentframer::engine::webhooks::{
    DeliveryView, EndpointChange, EndpointView, MadeEndpoint, NewEndpoint, Replay, RotatedSecret, TestResult,
};
use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::{Caller, PathId};
use super::input::{Body, OptionalBody, Params};
use super::paging::{List, Paging, page};
use super::problem::{Problem, Refusals};
use super::words::{FormatWord, StateWord};

/// An endpoint to make.
#[derive(Debug, ToSchema)]
#[schema(as = NewWebhook)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine reads it")]
struct NewDocument {
    /// Where to, https. A bare host gets the format's path.
    #[schema(example = "https://siem.example.com/agentframer")]
    url: String,
    /// What the receiver understands.
    #[schema(value_type = FormatWord, inline)]
    format: String,
    /// With what the receiver knows us; Datadog and Splunk need one.
    token: Option<String>,
    /// Names of events, see `/reference/events.json`; all, where empty or absent.
    events: Option<Vec<String>>,
    /// Headers of your own.
    #[schema(value_type = Option<Object>)]
    headers: Option<()>,
}

/// A change: an absent field stays.
#[derive(Debug, ToSchema)]
#[schema(as = WebhookChange)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine reads it")]
struct ChangeDocument {
    /// Where to.
    url: Option<String>,
    /// With what the receiver knows us.
    token: Option<String>,
    /// Names of events; all, where empty.
    events: Option<Vec<String>>,
    /// Headers of your own, in place of all there are.
    #[schema(value_type = Option<Object>)]
    headers: Option<()>,
    /// Whether it delivers.
    #[schema(value_type = Option<StateWord>, inline)]
    state: Option<String>,
}

/// How an endpoint does.
#[derive(Debug, ToSchema)]
#[schema(as = WebhookHealth)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct HealthDocument {
    /// Log entries that wait.
    lag_events: i64,
    /// How long the oldest of them waits.
    lag_seconds: i64,
    /// Requests in the last 24 hours.
    requests: i64,
    /// Delivered ones among them, 0 to 1; batches that were split and events that were put aside do not count.
    #[schema(required = true)]
    success_rate: Option<f64>,
    /// Failures in a row.
    failures: u32,
    /// Since when there are only failures.
    #[schema(format = DateTime, required = true)]
    failing_since: Option<String>,
    /// The next attempt, while it waits.
    #[schema(format = DateTime, required = true)]
    next_attempt_at: Option<String>,
    /// The last delivery.
    #[schema(format = DateTime, required = true)]
    delivered_at: Option<String>,
    /// Events that the receiver refused and that can be replayed; 100 stands for 100 or more.
    parked: usize,
}

/// An endpoint: nothing secret.
#[derive(Debug, ToSchema)]
#[schema(as = Webhook)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct EndpointDocument {
    /// Its id.
    id: String,
    /// Where to.
    url: String,
    /// `generic`, `datadog` or `splunk_hec`.
    format: String,
    /// Names of events; empty for all.
    events: Vec<String>,
    /// Your own headers; their values only in the answer that makes the endpoint.
    headers: BTreeMap<String, String>,
    /// `active`, `paused` or `disabled`.
    state: String,
    /// Why it is not active.
    #[schema(required = true)]
    reason: Option<String>,
    /// When the secret before a rotation stops signing.
    #[schema(format = DateTime, required = true)]
    previous_secret_ends_at: Option<String>,
    /// How it does.
    health: HealthDocument,
    /// Who made it.
    created_by: String,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A new endpoint and its secret.
#[derive(Debug, ToSchema)]
#[schema(as = MadeWebhook)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct MadeDocument {
    /// The endpoint.
    #[serde(flatten)]
    endpoint: EndpointDocument,
    /// `whsec_…`, shown once.
    secret: String,
}

/// The overlap of a secret's rotation.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Overlap {
    /// How long the old secret signs too, 0 to 168; 24 where absent.
    #[schema(minimum = 0, maximum = 168)]
    overlap_hours: Option<i64>,
}

/// The new secret.
#[derive(Debug, ToSchema)]
#[schema(as = RotatedSecret)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct RotatedDocument {
    /// `whsec_…`, shown once.
    secret: String,
    /// Until when the old one signs too.
    #[schema(format = DateTime)]
    previous_ends_at: String,
}

/// What came of a test.
#[derive(Debug, ToSchema)]
#[schema(as = WebhookTest)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct TestDocument {
    /// Whether the receiver took it.
    delivered: bool,
    /// Its status.
    #[schema(required = true)]
    status: Option<u16>,
    /// What is wrong.
    #[schema(required = true)]
    fault: Option<String>,
    /// How long it took.
    duration_ms: i64,
    /// What was sent.
    request: String,
    /// What came back, cut at 20 kB.
    response: String,
}

/// What to send once more: a range of the log, or what was put aside since a time.
#[derive(Debug, ToSchema)]
#[schema(as = WebhookReplay)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine reads it")]
struct ReplayDocument {
    /// The first place in the log.
    from_seq: Option<i64>,
    /// The last place; the log's end where absent.
    to_seq: Option<i64>,
    /// Instead of a range.
    #[schema(format = DateTime)]
    failed_since: Option<String>,
}

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replaying {
    /// Ranges of the log that are sent once more; 0 where nothing had failed.
    ranges: usize,
}

/// One request to the receiver.
#[derive(Debug, ToSchema)]
#[schema(as = WebhookDelivery)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct DeliveryDocument {
    /// Its id.
    id: String,
    /// The endpoint's.
    webhook_id: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// `live`, `replay`, `test`, or `probe`: sent before its turn, to see whether the receiver refuses everything.
    lane: String,
    /// The first event's name.
    event: String,
    /// The first event's id, `webhook-id` of the request.
    event_id: String,
    /// The first event's place in the log.
    from_seq: i64,
    /// The last event's.
    to_seq: i64,
    /// How many events.
    events: i64,
    /// Which try, from 1.
    attempt: i64,
    /// `delivered`, `retried`, `parked`, `split`, `paused` or `disabled`.
    outcome: String,
    /// The receiver's status.
    #[schema(required = true)]
    status: Option<i64>,
    /// What was wrong.
    #[schema(required = true)]
    fault: Option<String>,
    /// How long it took.
    duration_ms: i64,
    /// The body that was sent, cut at 20 kB.
    request: String,
    /// The body that came back, cut at 20 kB.
    response: String,
}

/// Which deliveries.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryQuery {
    /// Rows, 1 to 200; 50 where absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// `true`: only those that did not arrive.
    #[param(value_type = Option<bool>)]
    failed: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(change, remove))
        .routes(routes!(test))
        .routes(routes!(replay))
        .routes(routes!(rotate))
        .routes(routes!(deliveries))
}

/// The workspace's endpoints and how they do.
#[utoipa::path(get, path = "/workspaces/{ws}/webhooks", tag = "webhooks", operation_id = "list_webhooks",
    params(("ws" = String, Path, description = "The workspace's id"), Paging),
    responses((status = 200, body = List<EndpointDocument>), Refusals))]
async fn list(caller: Caller, Params(paging): Params<Paging>) -> Result<Json<List<EndpointView>>, Problem> {
    let scope = caller.may(Permission::ReadWebhooks).await?;
    let endpoints = caller.engine.webhooks(&scope).await?;
    Ok(Json(List::cut(endpoints, paging, |endpoint| endpoint.id.to_string())?))
}

/// Makes an endpoint; it gets what happens from now on. Its secret is in this answer only.
#[utoipa::path(post, path = "/workspaces/{ws}/webhooks", tag = "webhooks", operation_id = "create_webhook",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = NewDocument,
    responses((status = 201, body = MadeDocument), Refusals))]
async fn create(
    caller: Caller,
    Body(new): Body<NewEndpoint>,
) -> Result<(StatusCode, Json<MadeEndpoint>), Problem> {
    let scope = caller.may(Permission::ChangeWebhooks).await?;
    Ok((StatusCode::CREATED, Json(caller.engine.create_webhook(&scope, new).await?)))
}

/// Changes, pauses or resumes an endpoint; its next attempt is now.
#[utoipa::path(patch, path = "/workspaces/{ws}/webhooks/{id}", tag = "webhooks", operation_id = "change_webhook",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The endpoint's id")),
    request_body = ChangeDocument, responses((status = 200, body = EndpointDocument), Refusals))]
async fn change(
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    Body(change): Body<EndpointChange>,
) -> Result<Json<EndpointView>, Problem> {
    let scope = caller.may(Permission::ChangeWebhooks).await?;
    Ok(Json(caller.engine.change_webhook(&scope, &id, change).await?))
}

/// Deletes an endpoint with its delivery log.
#[utoipa::path(delete, path = "/workspaces/{ws}/webhooks/{id}", tag = "webhooks", operation_id = "delete_webhook",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The endpoint's id")),
    responses((status = 204, description = "Deleted"), Refusals))]
async fn remove(caller: Caller, PathId(id): PathId<WebhookId>) -> Result<StatusCode, Problem> {
    let scope = caller.may(Permission::ChangeWebhooks).await?;
    caller.engine.delete_webhook(&scope, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a signed test event now and tells what came back.
#[utoipa::path(post, path = "/workspaces/{ws}/webhooks/{id}/test", tag = "webhooks", operation_id = "test_webhook",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The endpoint's id")),
    responses((status = 200, body = TestDocument), Refusals))]
async fn test(caller: Caller, PathId(id): PathId<WebhookId>) -> Result<Json<TestResult>, Problem> {
    let scope = caller.may(Permission::ChangeWebhooks).await?;
    Ok(Json(caller.engine.test_webhook(&scope, &id).await?))
}

/// Sends events once more, under the same ids.
#[utoipa::path(post, path = "/workspaces/{ws}/webhooks/{id}/replay", tag = "webhooks", operation_id = "replay_webhook",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The endpoint's id")),
    request_body = ReplayDocument, responses((status = 202, body = Replaying), Refusals))]
async fn replay(
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    Body(replay): Body<Replay>,
) -> Result<(StatusCode, Json<Replaying>), Problem> {
    let scope = caller.may(Permission::ChangeWebhooks).await?;
    let ranges = caller.engine.replay_webhook(&scope, &id, replay).await?;
    Ok((StatusCode::ACCEPTED, Json(Replaying { ranges })))
}

/// Makes a new secret; both sign until the overlap ends.
#[utoipa::path(post, path = "/workspaces/{ws}/webhooks/{id}/rotate-secret", tag = "webhooks", operation_id = "rotate_webhook_secret",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The endpoint's id")),
    request_body = Option<Overlap>, responses((status = 200, body = RotatedDocument), Refusals))]
async fn rotate(
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    OptionalBody(overlap): OptionalBody<Overlap>,
) -> Result<Json<RotatedSecret>, Problem> {
    let scope = caller.may(Permission::ChangeWebhooks).await?;
    Ok(Json(caller.engine.rotate_webhook_secret(&scope, &id, overlap.overlap_hours).await?))
}

/// What was sent in the last 30 days, the newest first.
#[utoipa::path(get, path = "/workspaces/{ws}/webhooks/{id}/deliveries", tag = "webhooks", operation_id = "list_deliveries",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The endpoint's id"), DeliveryQuery),
    responses((status = 200, body = List<DeliveryDocument>), Refusals))]
async fn deliveries(
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    Params(query): Params<DeliveryQuery>,
) -> Result<Json<List<DeliveryView>>, Problem> {
    let scope = caller.may(Permission::ReadWebhooks).await?;
    let failed = match query.failed.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(FieldError::new("failed", "is not true or false").into()),
    };
    let page = page(query.limit.as_deref(), query.cursor)?;
    Ok(Json(caller.engine.webhook_deliveries(&scope, &id, failed, page).await?.into()))
}
