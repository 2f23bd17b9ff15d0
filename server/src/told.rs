//! Refusals for people: what programs get as `application/problem+json`, a browser that opens a page gets as one.

use agentframer_app::refusal;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

/// Longer problems do not exist.
const LARGEST: usize = 64 * 1024;
/// The page has no script.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
const TOO_LARGE: &str = "What was sent is too large. Nothing was changed; go back and send less.";

/// Turns a problem into a page for who asks for pages.
pub async fn in_words(request: Request, next: Next) -> Response {
    let is_person = asks_for_page(request.headers()) && !is_interface(request.uri().path());
    let response = next.run(request).await;
    match is_person {
        true if is_problem(&response) => page(response).await,
        true if response.status() == StatusCode::PAYLOAD_TOO_LARGE => too_large(response),
        _ => response,
    }
}

fn asks_for_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    accepted.flat_map(|line| line.split(',')).any(|entry| entry.trim().starts_with("text/html"))
}

/// REST answers programs, whatever they accept (contract §3).
fn is_interface(path: &str) -> bool {
    path.starts_with("/api/")
}

fn is_problem(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/problem+json"))
}

async fn page(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, LARGEST).await.unwrap_or_default();
    let told: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |name: &str| told[name].as_str();
    let html = refusal(
        text("title").unwrap_or("This cannot be shown"),
        text("detail").unwrap_or_default(),
        text("request_id"),
    );
    with_page(parts, html)
}

fn too_large(response: Response) -> Response {
    with_page(response.into_parts().0, refusal("Too large", TOO_LARGE, None))
}

/// The same status and headers, but for those of the body.
fn with_page(parts: http::response::Parts, html: String) -> Response {
    let mut page = Html(html).into_response();
    *page.status_mut() = parts.status;
    for (name, value) in &parts.headers {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            page.headers_mut().append(name, value.clone());
        }
    }
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    page.map(Body::new)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;
    use crate::rest::problem::Problem;

    async fn answer(path: &str, accept: &str) -> (StatusCode, String) {
        async fn fault() -> &'static str {
            panic!("as a fault of ours")
        }
        let far = || async {
            Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "Elsewhere", "From <another> site.")
        };
        let app = Router::new()
            .route("/fault", get(fault))
            .route("/far", get(far))
            .route("/api/far", get(far))
            .route("/large", get(|| async { StatusCode::PAYLOAD_TOO_LARGE }))
            .layer(CatchPanicLayer::custom(|_| Problem::internal().into_response()))
            .layer(from_fn(in_words));
        let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap();
        let response = app.oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), LARGEST).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_browser_reads_a_page_and_a_program_reads_json() {
        const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
        let (status, page) = answer("/fault", BROWSER).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            page.starts_with("<!DOCTYPE html>")
                && page.contains("<h1")
                && page.contains("Something went wrong on our side"),
            "{page}"
        );
        let (status, page) = answer("/far", BROWSER).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(page.contains("From &lt;another&gt; site."), "{page}");
        let (status, page) = answer("/large", BROWSER).await;
        assert!(status == StatusCode::PAYLOAD_TOO_LARGE && page.contains("Nothing was changed"), "{page}");
        for (path, accept, expected) in [
            ("/fault", "*/*", StatusCode::INTERNAL_SERVER_ERROR),
            ("/fault", "application/json", StatusCode::INTERNAL_SERVER_ERROR),
            ("/api/far", BROWSER, StatusCode::FORBIDDEN),
        ] {
            let (status, body) = answer(path, accept).await;
            assert!(status == expected && body.starts_with('{'), "{status} {body}");
        }
    }
}
