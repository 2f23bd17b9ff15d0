//! The REST API (contract §3): for programs, with keys. The OpenAPI document is made from the handlers, so it is right.

mod agents;
mod audit;
pub mod auth;
mod billing;
mod caps;
mod data_requests;
mod generations;
mod input;
mod members;
mod models;
mod paging;
pub mod problem;
mod settings;
mod usage;
mod webhooks;
mod words;
mod workspace;

use agentframer::engine::Engine;
use agentframer::engine::error::Error;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder,
};
use utoipa_axum::router::OpenApiRouter;

use problem::Problem;
pub use usage::UsageAnswer;

/// Where the API begins.
pub const PREFIX: &str = "/api/v1";
/// The name under which the document describes keys.
const KEY: &str = "api_key";

/// What the handlers share.
#[derive(Clone)]
pub struct Rest {
    engine: Engine,
}

/// The API and its document at `/api/v1/openapi.json`.
pub fn routes(engine: &Engine) -> Router {
    let (api, document) = api().split_for_parts();
    let api = api
        .route("/workspaces/{ws}/", get(workspace::get))
        .route("/openapi.json", get(|| async { Json(document) }))
        .fallback(|| async { Problem::from(Error::NotFound) })
        .method_not_allowed_fallback(|| async { wrong_method() });
    Router::new().nest(PREFIX, api.with_state(Rest { engine: engine.clone() }))
}

/// The OpenAPI document, as `agentframer openapi` prints it.
pub fn document() -> OpenApi {
    api().into_openapi()
}

fn api() -> OpenApiRouter<Rest> {
    let api = OpenApiRouter::with_openapi(frame())
        .merge(workspace::routes())
        .merge(members::routes())
        .merge(agents::routes())
        .merge(billing::routes())
        .merge(usage::routes())
        .merge(caps::routes())
        .merge(audit::routes())
        .merge(generations::routes())
        .merge(models::routes())
        .merge(settings::routes())
        .merge(data_requests::routes())
        .merge(webhooks::routes());
    prefixed(api)
}

/// Paths in the document begin at the server's root, as clients call them.
fn prefixed(mut api: OpenApiRouter<Rest>) -> OpenApiRouter<Rest> {
    let document = api.get_openapi_mut();
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (format!("{PREFIX}{path}"), item)).collect();
    api
}

fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("AgentFramer")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Governance of agents that spend money: policy, prepaid balance, provable log."))
        .contact(Some(ContactBuilder::new().name(Some("AgentFramer")).build()))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("af_key_…")
        .description(Some("An API key of the workspace, made by an Admin or a Developer."));
    let components = ComponentsBuilder::new()
        .schema("Problem", problem::schema())
        .security_scheme(KEY, SecurityScheme::Http(key.build()));
    OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new(KEY, Vec::<String>::new())]))
        .build()
}

fn wrong_method() -> Problem {
    let detail = "This path does not know this method. The OpenAPI document lists what it knows.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", "Method not allowed", detail)
}
