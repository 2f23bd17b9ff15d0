//! The pages and server functions of the app, with what they find in their context.

use std::sync::Arc;

use agentframer::domain::ids::UserId;
use agentframer::engine::Engine;
use agentframer_app::{App, Flash, Interface, RequestInfo, shell};
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
use crate::session_store::{USER, listed_as};
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
        session: session.id().map(listed_as),
        address: Some(visit.address),
        request_id: visit.request_id,
    });
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A form that is refused is answered with the not-found page, which says so; its function alone answers nothing. One that
/// its function cannot read goes back to its page, which says so too.
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
    match response.status() {
        StatusCode::NOT_FOUND => page(again).await,
        StatusCode::FOUND => unreadable(response),
        _ => response,
    }
}

/// Leptos puts its own words behind the address of the page that the form was on, where nobody reads them.
fn unreadable(mut response: Response) -> Response {
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let Some(page) = location.and_then(page_of_fault) else { return response };
    let said = HeaderValue::from_str(&Flash::unreadable().cookie());
    let (Ok(page), Ok(said)) = (HeaderValue::from_str(&page), said) else { return response };
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, page);
    response.headers_mut().append(header::SET_COOKIE, said);
    response
}

/// The address without leptos's words; `None` where it has none.
fn page_of_fault(location: &str) -> Option<String> {
    let (path, query) = location.split_once('?')?;
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let (words, own): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| name == "__path" || name == "__err");
    let own = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(own).finish();
    (!words.is_empty()).then(|| if own.is_empty() { path.to_owned() } else { format!("{path}?{own}") })
}

fn not_found(mut response: Response) -> Response {
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::page_of_fault;

    #[test]
    fn an_address_loses_what_leptos_says_and_keeps_the_rest() {
        let page = |location| page_of_fault(location);
        assert_eq!(
            page("http://h/w/x/audit?q=a+b&__path=%2Fapi&__err=e").as_deref(),
            Some("http://h/w/x/audit?q=a+b")
        );
        assert_eq!(page("http://h/login?__path=a&__err=b").as_deref(), Some("http://h/login"));
        assert_eq!(page("http://h/w/x/audit?q=a"), None);
    }
}
