//! The model library.

use agentframer::domain::access::Permission;
use agentframer::domain::catalog;
use agentframer::domain::money::Usd;
use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::Caller;
use super::input::Params;
use super::paging::{List, Paging};
use super::problem::{Problem, Refusals};

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub struct Model {
    /// Its id, as calls name it.
    #[schema(example = "sketch-image-1")]
    id: String,
    /// Its name for people.
    title: String,
    /// Who runs it.
    provider: String,
    /// `image` or `video`.
    kind: String,
    /// What the price counts: `image`, `megapixel` or `second`.
    unit: String,
    /// The price of a unit.
    #[schema(value_type = f64)]
    price_usd: Usd,
    /// The price of each megapixel after the first, where it differs.
    #[schema(value_type = Option<f64>, required = true)]
    price_further_usd: Option<Usd>,
    /// The regions in which inference stays.
    residency: Vec<String>,
    /// Whether it stays in this workspace's region.
    stays_in_region: bool,
    /// The terms of its results.
    licence: Licence,
    /// The day on which the vendor closes it.
    #[schema(value_type = Option<String>, format = Date, required = true)]
    shutdown_on: Option<String>,
    /// The model to use instead.
    #[schema(required = true)]
    substitute: Option<String>,
    /// Whether its results are sketches drawn by this program.
    sketch: bool,
    /// What a person choosing it should know.
    note: String,
    /// Whether its provider is set up on this server.
    available: bool,
}

/// Terms of use.
#[derive(Debug, Serialize, ToSchema)]
pub struct Licence {
    /// Their name.
    name: String,
    /// Where they are written.
    url: String,
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The models with prices, residency and licences.
#[utoipa::path(get, path = "/workspaces/{ws}/models", tag = "models", operation_id = "list_models",
    params(("ws" = String, Path, description = "The workspace's id"), Paging),
    responses((status = 200, body = List<Model>), Refusals))]
async fn list(caller: Caller, Params(paging): Params<Paging>) -> Result<Json<List<Model>>, Problem> {
    let scope = caller.may(Permission::ReadWorkspace).await?;
    let region = scope.workspace.region;
    let models = caller.engine.models().into_iter();
    let models = models.map(|(model, available)| listed(model, available, model.stays_in(region)));
    Ok(Json(List::cut(models.collect(), paging, |model: &Model| model.id.clone())?))
}

fn listed(model: &catalog::Model, available: bool, stays_in_region: bool) -> Model {
    Model {
        id: model.id.clone(),
        title: model.title.clone(),
        provider: model.provider.clone(),
        kind: model.kind.as_str().to_owned(),
        unit: model.unit.as_str().to_owned(),
        price_usd: model.price,
        price_further_usd: model.price_further,
        residency: model.residency.iter().map(ToString::to_string).collect(),
        stays_in_region,
        licence: Licence { name: model.licence.name.clone(), url: model.licence.url.clone() },
        shutdown_on: model.shutdown_on.map(|day| day.to_string()),
        substitute: model.substitute.clone(),
        sketch: model.sketch,
        note: model.note.clone(),
        available,
    }
}
