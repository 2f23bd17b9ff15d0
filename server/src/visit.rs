//! One HTTP request: its id, who sent it, its span in the log, its count in the metrics.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use agentframer::domain::ids::RequestId;
use agentframer::engine::Engine;
use agentframer::engine::access::scope::Origin;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use ipnet::IpNet;
use tracing::Instrument;

use crate::client_address;
use crate::rest::problem::Problem;

/// Names the request to whoever reports a fault; the log has the same id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a session keeps of a browser's name.
const LONGEST_USER_AGENT: usize = 256;

/// What every part of the server may know about the request that it works on.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Made by us for each request; never taken from the client.
    pub request_id: RequestId,
    /// The client's address, behind trusted proxies too.
    pub address: IpAddr,
    /// The client's own name for itself, cut.
    pub user_agent: Option<String>,
}

impl Visit {
    /// Who asks, as the engine records it.
    pub fn origin(&self) -> Origin {
        Origin::new(self.request_id.clone(), Some(self.address))
    }
}

tokio::task_local! {
    static CURRENT: Visit;
}

/// The request that this task works on; none in background work.
pub fn current() -> Option<Visit> {
    CURRENT.try_with(Clone::clone).ok()
}

/// What the layer needs to tell a request's origin.
#[derive(Clone)]
pub struct Reception {
    engine: Engine,
    trusted_proxies: Arc<[IpNet]>,
}

impl Reception {
    /// Believes `X-Forwarded-For` of `trusted_proxies` only.
    pub fn new(engine: Engine, trusted_proxies: &[IpNet]) -> Self {
        Self { engine, trusted_proxies: trusted_proxies.into() }
    }
}

/// The outermost layer: gives the request its [`Visit`], as extension and for the whole task.
pub async fn receive(
    State(reception): State<Reception>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let request_id = reception.engine.new_request_id();
    let span = tracing::info_span!("request", id = %request_id, method = %request.method(), path = shown(request.uri().path()));
    let address = client_address::resolve(peer.ip(), request.headers(), &reception.trusted_proxies);
    let answer = async {
        let Ok(address) = address else { return unreadable_address().into_response() };
        let visit = Visit { request_id: request_id.clone(), address, user_agent: user_agent(&request) };
        request.extensions_mut().insert(visit.clone());
        CURRENT.scope(visit, measured(request, next)).await
    };
    let mut response = answer.instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Refused, not guessed: an allowlist would otherwise be judged by an address that nobody vouched for.
fn unreadable_address() -> Problem {
    let detail = "The X-Forwarded-For header holds something that is not an address. Ask your operator to check the proxy.";
    Problem::new(StatusCode::BAD_REQUEST, "unreadable-address", "Unreadable client address", detail)
}

/// The path without what opens something: the key of an MCP URL, an invitation's token.
fn shown(path: &str) -> String {
    let opens = path.starts_with("/mcp/") || path.starts_with("/invite/");
    match path.rsplit_once('/') {
        Some((before, _)) if opens => format!("{before}/***"),
        _ => path.to_owned(),
    }
}

/// A client can make methods up; each would be counted, and kept, on its own.
fn counted(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

fn user_agent(request: &Request) -> Option<String> {
    let text = request.headers().get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(LONGEST_USER_AGENT).collect())
}

async fn measured(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = counted(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let (status, took) = (response.status(), began.elapsed());
    tracing::info!(status = status.as_u16(), took_ms = took.as_millis(), "answered");
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.as_str().to_owned())];
    metrics::counter!("agentframer_http_requests_total", &labels).increment(1);
    metrics::histogram!("agentframer_http_request_seconds", &labels).record(took.as_secs_f64());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_something_is_not_shown() {
        assert_eq!(shown("/mcp/ws_1/secret"), "/mcp/ws_1/***");
        assert_eq!(shown("/invite/secret"), "/invite/***");
        assert_eq!(shown("/api/v1/workspaces/ws_1"), "/api/v1/workspaces/ws_1");
    }

    #[test]
    fn methods_that_are_made_up_count_as_one() {
        assert_eq!(counted(&Method::PATCH), "PATCH");
        assert_eq!(counted(&Method::from_bytes(b"MADEUP").unwrap()), "other");
    }
}
