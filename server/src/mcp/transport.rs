//! Streamable HTTP at `/mcp/{workspace_id}/{url_key}`: who may speak at all, and the protocol behind it.

use std::sync::Arc;

use agentframer::engine::Engine;
use agentframer::engine::access::identify::Refused;
use agentframer::engine::config::Config;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde::de::IgnoredAny;
use serde_json::json;
use url::{Host, Url};

use super::handler::Handler;
use crate::rest::auth::bearer;
use crate::visit::Visit;

type Service = StreamableHttpService<Handler, NeverSessionManager>;

const NO_TOKEN: HeaderValue = HeaderValue::from_static("Bearer realm=\"AgentFramer\"");
const BAD_TOKEN: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"AgentFramer\", error=\"invalid_token\"");
/// This machine under any of its names.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The MCP endpoint of every workspace that this node serves.
pub fn routes(engine: &Engine) -> Router {
    let door = Door { engine: engine.clone(), service: service(engine) };
    Router::new().route("/mcp/{workspace}/{url_key}", any(enter)).with_state(door)
}

#[derive(Clone)]
struct Door {
    engine: Engine,
    service: Service,
}

/// Requests need nothing of the ones before them, so any node can answer each.
fn service(engine: &Engine) -> Service {
    let config = engine.config();
    let settings = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(config.limits.body_bytes)
        .with_allowed_hosts(own_hosts(config))
        .with_allowed_origins(own_origins(config))
        .enforce_origin_validation();
    let handler = Handler::new(engine.clone());
    StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(NeverSessionManager::default()),
        settings,
    )
}

fn own_urls(config: &Config) -> Vec<Url> {
    let public = Url::parse(&config.public_url()).ok();
    public.into_iter().chain(config.cells().into_iter().filter_map(|cell| cell.mcp_url)).collect()
}

fn own_hosts(config: &Config) -> Vec<String> {
    let urls = own_urls(config);
    let named = urls.iter().filter_map(|url| match url.host()? {
        Host::Domain(name) => Some(name.to_owned()),
        Host::Ipv4(address) => Some(address.to_string()),
        Host::Ipv6(address) => Some(address.to_string()),
    });
    named.chain(LOOPBACK.map(str::to_owned)).collect()
}

/// Only our own pages may speak MCP from a browser. Entries carry their port, as rmcp asks.
fn own_origins(config: &Config) -> Vec<String> {
    let urls = own_urls(config);
    let origin =
        |url: &Url| Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?));
    urls.iter().filter_map(origin).collect()
}

async fn enter(
    State(door): State<Door>,
    Path((workspace, url_key)): Path<(String, String)>,
    Extension(visit): Extension<Visit>,
    mut request: Request,
) -> Response {
    let token = bearer(request.headers());
    let caller = match door.engine.identify(token, &workspace, &url_key, Some(visit.address)).await {
        Ok(caller) => caller,
        Err(refused) => return refusal(&refused, token.is_some()),
    };
    request.extensions_mut().insert(caller);
    speak(&door, request).await
}

/// Hands the request to the protocol. The body is read here, so that what is no JSON-RPC gets the error that the
/// specification asks for; rmcp answers a bare 415.
async fn speak(door: &Door, request: Request) -> Response {
    let limit = door.engine.config().limits.body_bytes;
    let is_json = is_json(request.headers());
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, limit).await else { return too_large(limit) };
    let answer = door.service.handle(Request::from_parts(parts, Body::from(bytes.clone()))).await;
    if is_json && answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return no_json_rpc(&bytes);
    }
    answer.map(Body::new)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type
        .split(';')
        .next()
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// JSON-RPC 2.0 §5.1: what cannot be parsed, and what is parsed and no request.
fn no_json_rpc(body: &Bytes) -> Response {
    // serde skips what is ignored without looking at its letters.
    let text = std::str::from_utf8(body).map_err(|error| format!("UTF-8: {error}"));
    let json = |text| serde_json::from_str::<IgnoredAny>(text).map_err(|error| format!("JSON: {error}"));
    let (code, message) = match text.and_then(json) {
        Err(fault) => (-32700, format!("Parse error: the body is not valid {fault}")),
        Ok(_) => (-32600, "Invalid request: the body is not one JSON-RPC 2.0 message".to_owned()),
    };
    let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": message } });
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

/// Every refusal before a call reaches the tools: status, and what it says.
pub fn statuses(limit: usize) -> Vec<(u16, String)> {
    let every = [
        Refused::Unauthorized,
        Refused::AddressNotAllowed,
        Refused::NotFound,
        Refused::WrongRegion,
        Refused::TooMany { retry_after_s: 30 },
        Refused::Unavailable,
    ];
    let told = every.iter().map(|why| words(why));
    let told = told.map(|(status, _, message)| (status.as_u16(), message));
    let mut statuses: Vec<_> =
        told.chain([(StatusCode::PAYLOAD_TOO_LARGE.as_u16(), too_large_words(limit))]).collect();
    statuses.sort();
    statuses
}

fn too_large_words(limit: usize) -> String {
    format!("The body is larger than {limit} bytes. Nothing was charged.")
}

fn too_large(limit: usize) -> Response {
    refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &too_large_words(limit))
}

/// The table of contract §2. No answer names a workspace, and all that may not be told apart are one answer.
fn words(why: &Refused) -> (StatusCode, &'static str, String) {
    match why {
        Refused::Unauthorized => (
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "Send a current token of this workspace's agent: Authorization: Bearer af_agent_…".into(),
        ),
        Refused::NotFound => {
            (StatusCode::NOT_FOUND, "not_found", "There is nothing here for this token.".into())
        }
        Refused::AddressNotAllowed => (
            StatusCode::FORBIDDEN,
            "address_not_allowed",
            "This address is outside the agent's allowlist. Ask your operator.".into(),
        ),
        Refused::TooMany { retry_after_s } => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            format!("Too many calls. Wait {retry_after_s} seconds."),
        ),
        Refused::WrongRegion => (
            StatusCode::MISDIRECTED_REQUEST,
            "wrong_region",
            "This workspace lives in a region that this server does not serve. Use its own MCP URL.".into(),
        ),
        Refused::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "The database does not answer. Nothing was charged; try again in a moment.".into(),
        ),
    }
}

fn refusal(why: &Refused, had_token: bool) -> Response {
    let (status, code, message) = words(why);
    let mut response = refused(status, code, &message);
    match why {
        Refused::Unauthorized => {
            let challenge = if had_token { BAD_TOKEN } else { NO_TOKEN };
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Refused::TooMany { retry_after_s } => {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
        }
        _ => {}
    }
    response
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_status() {
        let cases = [
            (Refused::Unauthorized, 401),
            (Refused::NotFound, 404),
            (Refused::AddressNotAllowed, 403),
            (Refused::TooMany { retry_after_s: 3 }, 429),
            (Refused::WrongRegion, 421),
            (Refused::Unavailable, 503),
        ];
        for (refused, status) in cases {
            assert_eq!(refusal(&refused, true).status().as_u16(), status);
        }
    }

    #[test]
    fn hosts_and_origins_are_those_of_the_settings() {
        let public = Some("https://frames.example.com".parse().unwrap());
        let mut config = Config { public_url: public, ..Config::default() };
        config.cells = config.cells();
        config.cells[0].mcp_url = Some("https://eu.example.com:8443".parse().unwrap());
        for host in ["frames.example.com", "eu.example.com", "127.0.0.1", "localhost"] {
            assert!(own_hosts(&config).contains(&host.to_owned()), "{host}");
        }
        assert_eq!(own_hosts(&config).len(), 5);
        assert_eq!(own_origins(&config), ["https://frames.example.com:443", "https://eu.example.com:8443"]);
    }

    #[test]
    fn what_is_no_json_rpc_is_told_apart() {
        assert_eq!(no_json_rpc(&Bytes::from_static(b"{")).status(), StatusCode::BAD_REQUEST);
        assert!(is_json(&HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            HeaderValue::from_static("Application/JSON; charset=utf-8")
        )])));
    }
}
