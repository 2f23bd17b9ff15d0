//! Requests of data subjects.

use agentframer::domain::access::Permission;
use agentframer::domain::ids::DataRequestId;
use agentframer::engine::data::data_requests::{DataRequestPreview, DataRequestView, NewDataRequest};
use axum::Json;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::{Caller, PathId};
use super::input::{Body, OptionalBody, Params};
use super::paging::{List, Paging};
use super::problem::{Problem, Refusals};
use super::words::RequestWord;

/// What a request is about; each given field must match, and one is needed.
#[derive(Debug, ToSchema)]
#[schema(as = DataRequestMatch)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the domain reads it")]
struct MatchDocument {
    /// The `subject` that agents pass.
    subject: Option<String>,
    /// `agent.NAME`, or a person's id.
    user_id: Option<String>,
    /// Calls, at most 1000.
    request_ids: Option<Vec<String>>,
    /// A prompt, letter by letter. Only its hash is kept.
    prompt_text: Option<String>,
    /// Calls at or after this time.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Calls before this time.
    #[schema(format = DateTime)]
    to: Option<String>,
}

/// A request to file.
#[derive(Debug, ToSchema)]
#[schema(as = NewDataRequest)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine reads it")]
struct NewDocument {
    /// What is asked.
    #[schema(value_type = RequestWord, inline, example = "erasure")]
    kind: String,
    /// What it is about.
    r#match: MatchDocument,
    /// The day of receipt.
    #[schema(example = "2026-01-31")]
    received_on: String,
    /// Who asked.
    requested_by: String,
    /// Anything that helps whoever decides.
    note: Option<String>,
}

/// How much a request is about.
#[derive(Debug, ToSchema)]
#[schema(as = DataRequestMatches)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct MatchesDocument {
    /// Prompts.
    prompts: i64,
    /// Generations whose files are there.
    media: i64,
    /// Log rows; they stay, without content.
    rows: i64,
}

/// A call that a request is about.
#[derive(Debug, ToSchema)]
#[schema(as = DataRequestSample)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct SampleDocument {
    /// The call.
    request_id: String,
    /// When.
    #[schema(format = DateTime)]
    ts: String,
    /// Who called.
    user_id: String,
    /// The tool.
    #[schema(required = true)]
    tool: Option<String>,
    /// The model.
    #[schema(required = true)]
    model: Option<String>,
}

/// What a request would be about.
#[derive(Debug, ToSchema)]
#[schema(as = DataRequestPreview)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct PreviewDocument {
    /// Always `preview`.
    state: String,
    /// What is asked.
    kind: String,
    /// By when it has to be answered.
    due_on: String,
    /// How much it is about.
    matches: MatchesDocument,
    /// Of these, generations that a legal hold keeps from erasure.
    held: i64,
    /// Whether it is about every call of the workspace.
    everything: bool,
    /// Some of the calls, the newest first.
    samples: Vec<SampleDocument>,
    /// Whether the workspace has one Admin only, who then decides alone.
    one_admin: bool,
}

/// How far a run is.
#[derive(Debug, ToSchema)]
#[schema(as = DataRequestProgress)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct ProgressDocument {
    /// Calls that it is about.
    total: i64,
    /// Calls that are done.
    done: i64,
    /// Calls that a hold keeps.
    held: i64,
    /// What there was when the run began.
    found: MatchesDocument,
    /// Files there were.
    files: i64,
    /// Copies in other cells there were.
    copies: i64,
    /// The cells that held them.
    copy_cells: Vec<String>,
    /// Derived rows that were removed.
    derived: u64,
    /// Data keys that were destroyed.
    keys: u64,
    /// The last fault, where the run waits to be tried again.
    #[schema(required = true)]
    waiting_for: Option<String>,
    /// What earlier runs did, before the request was tried again; absent where there was none.
    #[schema(value_type = Option<Vec<Object>>)]
    earlier: Vec<Value>,
}

/// A request.
#[derive(Debug, ToSchema)]
#[schema(as = DataRequest)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct RequestDocument {
    /// Its id.
    #[schema(example = "dr_01kb7z6m3v8t5c2q9x4hpw0n1d")]
    id: String,
    /// What is asked.
    kind: String,
    /// Where it stands.
    #[schema(example = "awaiting_approval")]
    state: String,
    /// What it is about, with a pseudonym for the subject and a hash for the prompt.
    #[schema(value_type = Object)]
    r#match: Value,
    /// The subject's name, until it is erased.
    #[schema(required = true)]
    subject: Option<String>,
    /// The day of receipt.
    received_on: String,
    /// The day by which it has to be answered.
    due_on: String,
    /// Whether that day has passed without an answer.
    overdue: bool,
    /// Why that day was extended.
    #[schema(required = true)]
    extension_reason: Option<String>,
    /// Whether it can still be extended.
    may_extend: bool,
    /// Who asked.
    requested_by: String,
    /// What helps whoever decides.
    #[schema(required = true)]
    note: Option<String>,
    /// Who filed it.
    filed_by: String,
    /// When.
    #[schema(format = DateTime)]
    filed_at: String,
    /// Who approved or rejected it.
    #[schema(required = true)]
    decided_by: Option<String>,
    /// When.
    #[schema(format = DateTime, required = true)]
    decided_at: Option<String>,
    /// How the subject's identity was verified, or why the request was rejected.
    #[schema(required = true)]
    decision: Option<String>,
    /// Whether two people stood behind it.
    four_eyes: bool,
    /// When it began to run.
    #[schema(format = DateTime, required = true)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime, required = true)]
    ended_at: Option<String>,
    /// How much it was about when it was filed.
    matches: MatchesDocument,
    /// How far it is.
    #[schema(required = true)]
    progress: Option<ProgressDocument>,
    /// Whether there is a certificate.
    has_certificate: bool,
    /// Where the archive is fetched, while the link works.
    #[schema(required = true)]
    archive_url: Option<String>,
    /// Until when.
    #[schema(format = DateTime, required = true)]
    archive_until: Option<String>,
}

/// An approval.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Approval {
    /// How the subject's identity was verified.
    identity: Option<String>,
}

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reason {
    /// In words that the subject can be told.
    #[schema(required = true)]
    reason: String,
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new()
        .routes(routes!(list, file))
        .routes(routes!(preview))
        .routes(routes!(get))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(extend))
        .routes(routes!(certificate))
}

type Answer = Result<Json<DataRequestView>, Problem>;

/// Requests, the newest first.
#[utoipa::path(get, path = "/workspaces/{ws}/data-requests", tag = "data requests", operation_id = "list_data_requests",
    params(("ws" = String, Path, description = "The workspace's id"), Paging),
    responses((status = 200, body = List<RequestDocument>), Refusals))]
async fn list(
    caller: Caller,
    Params(paging): Params<Paging>,
) -> Result<Json<List<DataRequestView>>, Problem> {
    let scope = caller.may(Permission::FileDataRequests).await?;
    Ok(Json(caller.engine.data_requests(&scope, paging.page()?).await?.into()))
}

/// Files a request; an Admin decides on it.
#[utoipa::path(post, path = "/workspaces/{ws}/data-requests", tag = "data requests", operation_id = "file_data_request",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = NewDocument,
    responses((status = 201, body = RequestDocument), Refusals))]
async fn file(
    caller: Caller,
    Body(new): Body<NewDataRequest>,
) -> Result<(StatusCode, Json<DataRequestView>), Problem> {
    let scope = caller.may(Permission::FileDataRequests).await?;
    let filed = caller.engine.file_data_request(&scope, new).await?;
    Ok((StatusCode::CREATED, Json(filed)))
}

/// What a request would be about. Stores nothing.
#[utoipa::path(post, path = "/workspaces/{ws}/data-requests/preview", tag = "data requests", operation_id = "preview_data_request",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = NewDocument,
    responses((status = 200, body = PreviewDocument), Refusals))]
async fn preview(
    caller: Caller,
    Body(new): Body<NewDataRequest>,
) -> Result<Json<DataRequestPreview>, Problem> {
    let scope = caller.may(Permission::FileDataRequests).await?;
    Ok(Json(caller.engine.preview_data_request(&scope, new).await?))
}

/// One request.
#[utoipa::path(get, path = "/workspaces/{ws}/data-requests/{id}", tag = "data requests", operation_id = "get_data_request",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The request's id")),
    responses((status = 200, body = RequestDocument), Refusals))]
async fn get(caller: Caller, PathId(id): PathId<DataRequestId>) -> Answer {
    let scope = caller.may(Permission::FileDataRequests).await?;
    Ok(Json(caller.engine.data_request(&scope, &id).await?))
}

/// Approves a request; it is executed within seconds.
#[utoipa::path(post, path = "/workspaces/{ws}/data-requests/{id}/approve", tag = "data requests", operation_id = "approve_data_request",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The request's id")),
    request_body = Option<Approval>, responses((status = 200, body = RequestDocument), Refusals))]
async fn approve(caller: Caller, PathId(id): PathId<DataRequestId>, body: OptionalBody<Approval>) -> Answer {
    let scope = caller.may(Permission::DecideDataRequests).await?;
    Ok(Json(caller.engine.approve_data_request(&scope, &id, body.0.identity.as_deref()).await?))
}

/// Rejects a request with a reason.
#[utoipa::path(post, path = "/workspaces/{ws}/data-requests/{id}/reject", tag = "data requests", operation_id = "reject_data_request",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The request's id")),
    request_body = Reason, responses((status = 200, body = RequestDocument), Refusals))]
async fn reject(
    caller: Caller,
    PathId(id): PathId<DataRequestId>,
    OptionalBody(why): OptionalBody<Reason>,
) -> Answer {
    let scope = caller.may(Permission::DecideDataRequests).await?;
    Ok(Json(caller.engine.reject_data_request(&scope, &id, &why.reason).await?))
}

/// Withdraws a request that has not begun.
#[utoipa::path(post, path = "/workspaces/{ws}/data-requests/{id}/cancel", tag = "data requests", operation_id = "cancel_data_request",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The request's id")),
    responses((status = 200, body = RequestDocument), Refusals))]
async fn cancel(caller: Caller, PathId(id): PathId<DataRequestId>) -> Answer {
    let scope = caller.may(Permission::FileDataRequests).await?;
    Ok(Json(caller.engine.cancel_data_request(&scope, &id).await?))
}

/// Lets a request run once more that failed, ended in part or was blocked by a hold.
#[utoipa::path(post, path = "/workspaces/{ws}/data-requests/{id}/retry", tag = "data requests", operation_id = "retry_data_request",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The request's id")),
    responses((status = 200, body = RequestDocument), Refusals))]
async fn retry(caller: Caller, PathId(id): PathId<DataRequestId>) -> Answer {
    let scope = caller.may(Permission::DecideDataRequests).await?;
    Ok(Json(caller.engine.retry_data_request(&scope, &id).await?))
}

/// Moves the due date by two calendar months, once and within the first month.
#[utoipa::path(post, path = "/workspaces/{ws}/data-requests/{id}/extend", tag = "data requests", operation_id = "extend_data_request",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The request's id")),
    request_body = Reason, responses((status = 200, body = RequestDocument), Refusals))]
async fn extend(caller: Caller, PathId(id): PathId<DataRequestId>, Body(why): Body<Reason>) -> Answer {
    let scope = caller.may(Permission::DecideDataRequests).await?;
    Ok(Json(caller.engine.extend_data_request(&scope, &id, &why.reason).await?))
}

/// The signed certificate of a request that ended; check it with `agentframer certificate verify`.
#[utoipa::path(get, path = "/workspaces/{ws}/data-requests/{id}/certificate", tag = "data requests", operation_id = "get_data_request_certificate",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The request's id")),
    responses((status = 200, body = Object), Refusals))]
async fn certificate(caller: Caller, PathId(id): PathId<DataRequestId>) -> Result<Json<Value>, Problem> {
    let scope = caller.may(Permission::FileDataRequests).await?;
    Ok(Json(caller.engine.data_request_certificate(&scope, &id).await?))
}
