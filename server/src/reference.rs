//! What anybody may fetch to check what we signed.

use agentframer::engine::Engine;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header;

use crate::rest::problem::Problem;

/// `GET /reference/keys.json`
pub fn routes(engine: Engine) -> Router {
    Router::new().route("/reference/keys.json", get(keys)).with_state(engine)
}

/// Every public key that ever signed, as a JWK set.
async fn keys(State(engine): State<Engine>) -> Response {
    match engine.public_keys().await {
        Ok(keys) => ([(header::CACHE_CONTROL, "public, max-age=300")], Json(keys)).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}
