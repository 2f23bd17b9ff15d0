//! Settings, retention and legal holds of the workspace.

use agentframer::domain::access::Permission;
use agentframer::domain::holds::HoldTarget;
use agentframer::domain::ids::HoldId;
use agentframer::engine::access::settings::{Settings, SettingsChange};
use agentframer::engine::data::holds::HoldView;
use agentframer::engine::data::retention::{RetentionPreview, RetentionView};
use axum::Json;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::{Caller, PathId};
use super::input::{Body, Params};
use super::paging::{List, Paging};
use super::problem::{Problem, Refusals};
use super::words::{HoldWord, InferenceWord, RegionWord};

/// The settings. In a change, an absent field stays, and null takes `cost_centre` or `replicate_to` away.
#[derive(Debug, ToSchema)]
#[schema(as = Settings)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine reads and writes it")]
struct SettingsDocument {
    /// The workspace's name.
    name: Option<String>,
    /// Who pays, in your own words.
    cost_centre: Option<String>,
    /// How long media and prompts are kept.
    #[schema(minimum = 1, maximum = 3650)]
    media_retention_days: Option<u32>,
    /// How long the log is kept; never below the media's.
    #[schema(minimum = 365, maximum = 3652)]
    log_retention_days: Option<u32>,
    /// `any`, or `region_only`: models of the workspace's own region only.
    #[schema(value_type = Option<InferenceWord>, inline, example = "region_only")]
    inference: Option<String>,
    /// The region that keeps copies of the media; null for none.
    #[schema(value_type = Option<RegionWord>, inline, example = "us-east-1")]
    replicate_to: Option<String>,
}

/// Files and prompts.
#[derive(Debug, ToSchema)]
#[schema(as = MediaCount)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct MediaCountDocument {
    /// Generations, each with its prompt.
    generations: i64,
    /// Files.
    files: i64,
    /// Bytes.
    bytes: i64,
}

/// What a change of the retention would delete.
#[derive(Debug, ToSchema)]
#[schema(as = RetentionPreview)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct PreviewDocument {
    /// How long media and prompts would be kept.
    media_retention_days: u32,
    /// How long the log would be kept.
    log_retention_days: u32,
    /// What would go at once.
    media: MediaCountDocument,
    /// What would be due, but a legal hold keeps.
    media_held: MediaCountDocument,
    /// Log rows that would go.
    log_rows: i64,
    /// Files made before this go.
    #[schema(format = DateTime)]
    media_before: String,
    /// Log rows written before this go.
    #[schema(format = DateTime)]
    log_before: String,
    /// By when all of it is gone.
    #[schema(format = DateTime)]
    gone_by: String,
}

/// The last run of a background job.
#[derive(Debug, ToSchema)]
#[schema(as = LastRun)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct LastRunDocument {
    /// When it began.
    #[schema(format = DateTime)]
    began_at: String,
    /// When it ended; null while it runs.
    #[schema(format = DateTime, required = true)]
    ended_at: Option<String>,
    /// What it did, in numbers.
    #[schema(value_type = Option<Object>, required = true)]
    report: Option<serde_json::Value>,
}

/// How long the workspace's data is kept, and what sees to it.
#[derive(Debug, ToSchema)]
#[schema(as = Retention)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct RetentionDocument {
    /// Media and prompts, in days.
    media_retention_days: u32,
    /// The log, in days.
    log_retention_days: u32,
    /// Refused and failed calls, in days.
    attempt_retention_days: i64,
    /// Legal holds in force.
    holds: Vec<HoldDocument>,
    /// The purger's last run.
    #[schema(required = true)]
    last_purge: Option<LastRunDocument>,
    /// The last comparison of rows and files.
    #[schema(required = true)]
    last_reconcile: Option<LastRunDocument>,
}

/// Periods to try.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Periods {
    /// Media and prompts, in days; as it is where absent.
    #[schema(minimum = 1, maximum = 3650)]
    media_retention_days: Option<u32>,
    /// The log, in days, never below the media's; as it is where absent.
    #[schema(minimum = 365, maximum = 3652)]
    log_retention_days: Option<u32>,
}

/// A legal hold.
#[derive(Debug, ToSchema)]
#[schema(as = Hold)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the engine writes it")]
struct HoldDocument {
    /// Its id.
    id: String,
    /// `workspace`, `agent` or `subject`.
    kind: String,
    /// `agent.NAME`, or the subject's pseudonym.
    #[schema(required = true)]
    target: Option<String>,
    /// Why.
    reason: String,
    /// By whom.
    placed_by: String,
    /// Since when.
    #[schema(format = DateTime)]
    placed_at: String,
    /// Who ended it.
    #[schema(required = true)]
    lifted_by: Option<String>,
    /// When it ended.
    #[schema(format = DateTime, required = true)]
    lifted_at: Option<String>,
    /// Why, where it was said.
    #[schema(required = true)]
    lift_reason: Option<String>,
}

/// A hold to place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// What it keeps.
    #[schema(value_type = HoldWord, inline, example = "subject")]
    kind: String,
    /// The agent's name, or the subject as agents pass it.
    #[serde(default)]
    target: Option<String>,
    /// Why, such as a case number.
    reason: String,
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new()
        .routes(routes!(get, patch))
        .routes(routes!(retention))
        .routes(routes!(preview))
        .routes(routes!(holds, place))
        .routes(routes!(lift))
}

/// The settings.
#[utoipa::path(get, path = "/workspaces/{ws}/settings", tag = "settings", operation_id = "get_settings",
    params(("ws" = String, Path, description = "The workspace's id")),
    responses((status = 200, body = SettingsDocument), Refusals))]
async fn get(caller: Caller) -> Result<Json<Settings>, Problem> {
    let scope = caller.may(Permission::ReadSettings).await?;
    Ok(Json(caller.engine.settings(&scope).await?))
}

/// Changes settings; a shortened retention takes effect within the hour.
#[utoipa::path(patch, path = "/workspaces/{ws}/settings", tag = "settings", operation_id = "change_settings",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = SettingsDocument,
    responses((status = 200, body = SettingsDocument), Refusals))]
async fn patch(caller: Caller, Body(change): Body<SettingsChange>) -> Result<Json<Settings>, Problem> {
    let scope = caller.may(Permission::ChangeSettings).await?;
    Ok(Json(caller.engine.set_settings(&scope, change).await?))
}

/// How long data is kept, the holds in force and the last runs.
#[utoipa::path(get, path = "/workspaces/{ws}/retention", tag = "settings", operation_id = "get_retention",
    params(("ws" = String, Path, description = "The workspace's id")),
    responses((status = 200, body = RetentionDocument), Refusals))]
async fn retention(caller: Caller) -> Result<Json<RetentionView>, Problem> {
    let scope = caller.may(Permission::ReadSettings).await?;
    Ok(Json(caller.engine.retention(&scope).await?))
}

/// What a change of the retention would delete, and by when. Changes nothing.
#[utoipa::path(post, path = "/workspaces/{ws}/retention/preview", tag = "settings", operation_id = "preview_retention",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = Periods,
    responses((status = 200, body = PreviewDocument), Refusals))]
async fn preview(caller: Caller, Body(periods): Body<Periods>) -> Result<Json<RetentionPreview>, Problem> {
    let scope = caller.may(Permission::ReadSettings).await?;
    let (media, log) = (periods.media_retention_days, periods.log_retention_days);
    Ok(Json(caller.engine.preview_retention(&scope, media, log).await?))
}

/// Legal holds, ended ones too, the newest first.
#[utoipa::path(get, path = "/workspaces/{ws}/holds", tag = "settings", operation_id = "list_holds",
    params(("ws" = String, Path, description = "The workspace's id"), Paging),
    responses((status = 200, body = List<HoldDocument>), Refusals))]
async fn holds(caller: Caller, Params(paging): Params<Paging>) -> Result<Json<List<HoldView>>, Problem> {
    let scope = caller.may(Permission::ReadSettings).await?;
    let holds = caller.engine.holds(&scope).await?;
    Ok(Json(List::cut(holds, paging, |hold| hold.id.to_string())?))
}

/// Keeps data from purge and erasure until the hold is lifted.
#[utoipa::path(post, path = "/workspaces/{ws}/holds", tag = "settings", operation_id = "place_hold",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = NewHold,
    responses((status = 201, body = HoldDocument), Refusals))]
async fn place(caller: Caller, Body(new): Body<NewHold>) -> Result<(StatusCode, Json<HoldView>), Problem> {
    let scope = caller.may(Permission::ChangeSettings).await?;
    let target = HoldTarget::read(&new.kind, new.target.as_deref())?;
    let hold = caller.engine.place_hold(&scope, target, &new.reason).await?;
    Ok((StatusCode::CREATED, Json(hold)))
}

/// Lifts a hold: what it kept beyond its time goes with the next purge.
#[utoipa::path(delete, path = "/workspaces/{ws}/holds/{id}", tag = "settings", operation_id = "lift_hold",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The hold's id")),
    responses((status = 204, description = "Lifted"), Refusals))]
async fn lift(caller: Caller, PathId(id): PathId<HoldId>) -> Result<StatusCode, Problem> {
    let scope = caller.may(Permission::ChangeSettings).await?;
    caller.engine.lift_hold(&scope, &id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
