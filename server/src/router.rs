//! All routes and their layers. Agents and programs bring their own proof with each request, so MCP, REST, media and
//! operations stay outside the session and origin layers that browsers need.

use std::any::Any;

use agentframer::engine::Engine;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

use crate::headers::{self, SecurityHeaders};
use crate::once::{self, Newest};
use crate::origin_guard::{self, OwnOrigins};
use crate::rest::problem::Problem;
use crate::visit::{self, Reception};
use crate::{assets, downloads, find, mcp, media, ops, pages, reference, rest, session_store, told};

/// The whole server; serve it with the peers' addresses as `ConnectInfo`.
pub fn router(engine: &Engine) -> Router {
    let config = engine.config();
    let security = SecurityHeaders::new(config);
    let reception = Reception::new(engine.clone(), &config.trusted_proxies);
    Router::new()
        .merge(browser(engine, &security))
        .merge(mcp::routes(engine))
        .merge(rest::routes(engine))
        .merge(media::routes(engine.clone()))
        .merge(ops::routes(engine.clone()))
        .merge(reference::routes(engine.clone()))
        .layer(CatchPanicLayer::custom(our_fault))
        .layer(from_fn(told::in_words))
        .layer(from_fn_with_state(security, headers::add))
        .layer(from_fn_with_state(reception, visit::receive))
        .layer(from_fn_with_state(Newest::default(), once::once))
}

fn browser(engine: &Engine, security: &SecurityHeaders) -> Router {
    let config = engine.config();
    let own = OwnOrigins::new(&config.public_url());
    pages::routes(engine, security)
        .merge(downloads::routes(engine))
        .merge(find::routes(engine))
        .layer(session_store::layer(engine))
        .layer(RequestBodyLimitLayer::new(config.limits.body_bytes))
        .layer(from_fn_with_state(own, origin_guard::guard))
        .layer(from_fn(assets::serve))
}

fn our_fault(_: Box<dyn Any + Send + 'static>) -> Response {
    Problem::internal().into_response()
}
