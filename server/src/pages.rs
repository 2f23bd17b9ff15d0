//! The pages and server functions of the app, with what they find in their context.

use std::sync::Arc;

use agentframer::domain::ids::UserId;
use agentframer::engine::Engine;
use agentframer_app::{App, Interface, RequestInfo, shell};
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::{provide_context, use_context};
use leptos_axum::{LeptosRoutes, ResponseOptions, generate_route_list, render_app_async_with_context};
use tower_sessions::Session;

use crate::headers::SecurityHeaders;
use crate::mcp::transport;
use crate::rest;
use crate::session_store::USER;
use crate::visit::Visit;

/// Every page and server function; an unknown path gives the app's own not-found page.
pub fn routes(engine: &Engine, headers: &SecurityHeaders) -> Router {
    let options = LeptosOptions::builder().output_name("agentframer").build();
    let context = context(engine.clone(), headers.clone(), interface(engine));
    let page = {
        let options = options.clone();
        move || shell(options.clone())
    };
    let render = render_app_async_with_context(context.clone(), page.clone());
    let missing = move |request: Request| async move { not_found(render(request).await) };
    let told = {
        let missing = missing.clone();
        move |request: Request, next: Next| refusal_told(missing.clone(), request, next)
    };
    Router::new()
        .leptos_routes_with_context(&options, generate_route_list(App), context, page)
        .fallback(missing)
        .layer(from_fn(told))
        .layer(from_fn(introduce))
        .with_state(options)
}

/// What the reference tells of the running server.
fn interface(engine: &Engine) -> Interface {
    let api = serde_json::to_value(rest::document()).unwrap_or_default();
    Interface { api: Arc::new(api), statuses: transport::statuses(engine.config().limits.body_bytes).into() }
}

/// Runs for each page and each server function.
fn context(
    engine: Engine,
    headers: SecurityHeaders,
    interface: Interface,
) -> impl Fn() + Clone + Send + Sync + 'static {
    move || {
        provide_context(engine.clone());
        provide_context(interface.clone());
        let info = use_context::<Parts>().and_then(|parts| parts.extensions.get::<RequestInfo>().cloned());
        if let Some(info) = info {
            provide_context(info);
        }
        allow_own_scripts(&headers);
    }
}

/// Pages have a nonce, server functions have none and need no script.
fn allow_own_scripts(headers: &SecurityHeaders) {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else { return };
    if let Ok(policy) = HeaderValue::from_str(&headers.page_policy(&nonce)) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Tells the app who is signed in. Nothing of a page or form answer may be kept (ASVS 14.3.2).
async fn introduce(
    session: Session,
    Extension(visit): Extension<Visit>,
    mut request: Request,
    next: Next,
) -> Response {
    let user =
        session.get::<UserId>(USER).await.inspect_err(|error| tracing::error!(%error, "no session")).ok();
    request.extensions_mut().insert(RequestInfo {
        user: user.flatten(),
        address: Some(visit.address),
        request_id: visit.request_id,
    });
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A form that is refused is answered with the not-found page, which says so; its function alone answers nothing.
async fn refusal_told<Page>(page: impl FnOnce(Request) -> Page, request: Request, next: Next) -> Response
where
    Page: Future<Output = Response>,
{
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let again = Request::from_parts(parts.clone(), Body::empty());
    let response = next.run(Request::from_parts(parts, body)).await;
    if response.status() == StatusCode::NOT_FOUND { page(again).await } else { response }
}

fn not_found(mut response: Response) -> Response {
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}
