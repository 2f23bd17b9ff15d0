//! What anybody may fetch to check what we signed.

use agentframer::domain::webhooks::schema::schemas;
use agentframer::engine::Engine;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header;

use crate::rest::problem::Problem;

/// `GET /reference/keys.json`, `GET /reference/events.json`
pub fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/reference/keys.json", get(keys))
        .route("/reference/events.json", get(events))
        .with_state(engine)
}

/// The JSON schemas of the events that webhooks deliver (contract §4).
async fn events() -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(schemas())).into_response()
}

/// Every public key that ever signed, as a JWK set.
async fn keys(State(engine): State<Engine>) -> Response {
    match engine.public_keys().await {
        Ok(keys) => ([(header::CACHE_CONTROL, "public, max-age=300")], Json(keys)).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}
