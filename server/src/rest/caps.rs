//! The workspace's limits on spend.

use agentframer::domain::access::Permission;
use agentframer::domain::settings::{Caps, CapsChange};
use axum::Json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::Caller;
use super::input::Body;
use super::problem::{Problem, Refusals};

/// Limits in US dollars. In a change, an absent field stays and null takes a cap away.
#[derive(Debug, ToSchema)]
#[schema(as = Caps)]
#[expect(dead_code, reason = "the shape of caps in the OpenAPI document; the domain reads and writes them")]
struct CapsDocument {
    /// At most this much a UTC month, over all agents.
    workspace_month_usd: Option<f64>,
    /// At most this much a call.
    call_usd: Option<f64>,
    /// Below this balance `get_credits` tells the agent to stop.
    floor_usd: Option<f64>,
    /// Calls above this price are what preflight is about.
    preflight_usd: Option<f64>,
    /// Whether such calls need a `get_credits` within the last ten minutes.
    preflight_required: Option<bool>,
    /// Per cent of the typical month at which admins are told.
    #[schema(minimum = 1, maximum = 100)]
    soft_alert_pct: Option<u32>,
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new().routes(routes!(get, put))
}

/// The limits.
#[utoipa::path(get, path = "/workspaces/{ws}/caps", tag = "billing", operation_id = "get_caps",
    params(("ws" = String, Path, description = "The workspace's id")),
    responses((status = 200, body = CapsDocument), Refusals))]
async fn get(caller: Caller) -> Result<Json<Caps>, Problem> {
    let scope = caller.may(Permission::ReadBilling).await?;
    Ok(Json(caller.engine.caps(&scope).await?))
}

/// Changes the limits; the next call follows them.
#[utoipa::path(put, path = "/workspaces/{ws}/caps", tag = "billing", operation_id = "set_caps",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = CapsDocument,
    responses((status = 200, body = CapsDocument), Refusals))]
async fn put(caller: Caller, Body(change): Body<CapsChange>) -> Result<Json<Caps>, Problem> {
    let scope = caller.may(Permission::ChangeBilling).await?;
    Ok(Json(caller.engine.set_caps(&scope, &change).await?))
}
