//! The workspace itself.

use agentframer::domain::access::Permission;
use agentframer::domain::time::Time;
use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::Caller;
use super::input::OptionalBody;
use super::problem::{Problem, Refusals};

/// A workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workspace {
    /// Its id.
    #[schema(example = "ws_01kb7z6m3v8t5c2q9x4hpw0n1d")]
    id: String,
    /// Its name.
    name: String,
    /// Where it lives; never changes.
    #[schema(example = "eu-west-1")]
    region: String,
    /// The role with which this key acts.
    #[schema(example = "developer")]
    role: String,
    /// Where its agents connect; absent for roles that may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_url: Option<String>,
    /// Who made it.
    created_by: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(rotate))
}

/// Name, region and address of the workspace.
#[utoipa::path(get, path = "/workspaces/{ws}", tag = "workspace", operation_id = "get_workspace",
    params(("ws" = String, Path, description = "The workspace's id")),
    responses((status = 200, body = Workspace), Refusals))]
pub(super) async fn get(caller: Caller) -> Result<Json<Workspace>, Problem> {
    let scope = caller.may(Permission::ReadWorkspace).await?;
    let mcp_url = scope.role.may(Permission::ReadMcpUrl).then(|| caller.engine.mcp_url(&scope.workspace));
    let workspace = scope.workspace;
    Ok(Json(Workspace {
        id: workspace.id.to_string(),
        name: workspace.name,
        region: workspace.region.to_string(),
        role: scope.role.to_string(),
        mcp_url,
        created_by: workspace.created_by.to_string(),
        created_at: workspace.created_at,
    }))
}

/// How long the old URL works.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grace {
    /// Hours, 0 to 168. URLs that were replaced before work until their own ends; with 0, or where absent, all of them end
    /// at once.
    #[schema(minimum = 0, maximum = 168)]
    grace_hours: Option<i64>,
}

/// The new URL.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotatedUrl {
    /// Where agents connect from now on.
    mcp_url: String,
    /// Until when the old URL works.
    #[schema(value_type = String, format = DateTime)]
    previous_ends_at: Time,
}

/// Gives the workspace another MCP URL.
#[utoipa::path(post, path = "/workspaces/{ws}/mcp-url/rotate", tag = "workspace", operation_id = "rotate_mcp_url",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = Option<Grace>,
    responses((status = 200, body = RotatedUrl), Refusals))]
async fn rotate(
    caller: Caller,
    OptionalBody(grace): OptionalBody<Grace>,
) -> Result<Json<RotatedUrl>, Problem> {
    let scope = caller.may(Permission::RotateMcpUrl).await?;
    let (mcp_url, previous_ends_at) = caller.engine.rotate_mcp_url(&scope, grace.grace_hours).await?;
    Ok(Json(RotatedUrl { mcp_url, previous_ends_at }))
}
