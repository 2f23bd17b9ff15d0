//! Results of paid calls.

use agentframer::domain::access::Permission;
use agentframer::domain::money::Usd;
use agentframer::domain::time::Time;
use agentframer::engine::log::reading::{GenerationFilter, GenerationView};
use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::Caller;
use super::input::Params;
use super::paging::{List, page};
use super::problem::{Problem, Refusals};

/// Which generations.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Rows, 1 to 200; 50 where absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// `agent.NAME`.
    user_id: Option<String>,
    /// The tool.
    tool: Option<String>,
    /// The call.
    request_id: Option<String>,
}

/// A generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Generation {
    /// Its id.
    generation_id: String,
    /// The call.
    request_id: String,
    /// When it was settled.
    #[schema(value_type = String, format = DateTime)]
    ts: Time,
    /// `agent.NAME`.
    user_id: String,
    /// The tool.
    #[schema(example = "generate_image")]
    tool: String,
    /// The model.
    model: String,
    /// What was charged.
    #[schema(value_type = f64)]
    cost_usd: Usd,
    /// Where its files are.
    #[schema(example = "eu-west-1")]
    region: String,
    /// The files' media type.
    #[schema(example = "image/png")]
    content_type: String,
    /// How many files.
    count: u32,
    /// Pixels across.
    width: u32,
    /// Pixels down.
    height: u32,
    /// Seconds, for a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<u32>,
    /// Signed links; none once the files are gone.
    result_urls: Vec<String>,
    /// The first file's small picture.
    #[schema(required = true)]
    thumbnail_url: Option<String>,
    /// When the files go.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
    /// When the files went.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    deleted_at: Option<Time>,
    /// Whether it came after its reservation had been given back: kept, not charged.
    late: bool,
}

impl From<GenerationView> for Generation {
    fn from(view: GenerationView) -> Self {
        Self {
            generation_id: view.generation_id.to_string(),
            request_id: view.request_id.to_string(),
            ts: view.ts,
            user_id: view.user_id,
            tool: view.tool,
            model: view.model,
            cost_usd: view.cost_usd,
            region: view.region.to_string(),
            content_type: view.content_type,
            count: view.count,
            width: view.width,
            height: view.height,
            duration_s: view.duration_s,
            result_urls: view.result_urls,
            thumbnail_url: view.thumbnail_url,
            expires_at: view.expires_at,
            deleted_at: view.deleted_at,
            late: view.late,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Generations, newest first, with links that work for a while.
#[utoipa::path(get, path = "/workspaces/{ws}/generations", tag = "generations", operation_id = "list_generations",
    params(("ws" = String, Path, description = "The workspace's id"), Filter),
    responses((status = 200, body = List<Generation>), Refusals))]
async fn list(caller: Caller, Params(query): Params<Filter>) -> Result<Json<List<Generation>>, Problem> {
    let scope = caller.may(Permission::ReadActivity).await?;
    let page = page(query.limit.as_deref(), query.cursor)?;
    let filter = GenerationFilter {
        agent: query.user_id,
        tool: query.tool,
        request_id: query.request_id,
        ..GenerationFilter::default()
    };
    Ok(Json(caller.engine.generations(&scope, &filter, page).await?.into()))
}
