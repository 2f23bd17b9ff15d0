//! The layer against forged requests from other sites (ASVS 3.5.1): a server function is a public endpoint, and
//! Leptos checks no origin.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use url::{Host, Url};

use crate::rest::problem::Problem;

/// The origins that are ours.
#[derive(Debug, Clone)]
pub struct OwnOrigins {
    public: Arc<str>,
    /// Whether the server is only known on this machine, under any of its names.
    local_port: Option<u16>,
}

impl OwnOrigins {
    /// From `public_url`, such as `https://frames.example.com`. A loopback address counts under its other loopback
    /// names too: people type `localhost`. What is no URL gives no origin.
    pub fn new(public_url: &str) -> Self {
        let Ok(url) = Url::parse(public_url) else { return Self { public: "".into(), local_port: None } };
        let local_port = is_loopback(&url).then(|| url.port_or_known_default()).flatten();
        Self { public: url.origin().ascii_serialization().into(), local_port }
    }

    fn contains(&self, origin: &str) -> bool {
        *origin == *self.public || self.local_port.is_some_and(|port| is_local(origin, port))
    }
}

fn is_local(origin: &str, port: u16) -> bool {
    Url::parse(origin).is_ok_and(|url| {
        url.scheme() == "http" && url.port_or_known_default() == Some(port) && is_loopback(&url)
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Refuses unsafe methods that a browser sends from another site. A request with neither header is not a current
/// browser's, so nobody's cookie is being abused.
pub async fn guard(State(own): State<OwnOrigins>, request: Request, next: Next) -> Response {
    if is_safe(request.method()) || is_own(&own, request.headers()) {
        return next.run(request).await;
    }
    let detail = "This request came from another site, so it was refused. Nothing was changed. Open the page here and try again.";
    Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "Request from another site", detail).into_response()
}

fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

fn is_own(own: &OwnOrigins, headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    let site_is_own = site.is_none_or(|site| ["same-origin", "none"].iter().any(|value| site == value));
    let origin = headers.get(header::ORIGIN);
    let origin_is_own = origin.is_none_or(|origin| origin.to_str().is_ok_and(|origin| own.contains(origin)));
    site_is_own && origin_is_own
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn judged(public_url: &str, site: Option<&'static str>, origin: Option<&'static str>) -> bool {
        let own = OwnOrigins::new(public_url);
        let mut headers = HeaderMap::new();
        if let Some(site) = site {
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
        }
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        is_own(&own, &headers)
    }

    #[test]
    fn own_pages_pass() {
        let public = "https://frames.example.com";
        assert!(judged(public, Some("same-origin"), Some("https://frames.example.com")));
        assert!(judged(public, Some("none"), None));
        assert!(judged(public, None, Some("https://frames.example.com")));
        assert!(judged(public, None, None));
    }

    #[test]
    fn other_sites_are_refused_by_either_header() {
        let public = "https://frames.example.com";
        assert!(!judged(public, Some("cross-site"), Some("https://evil.example")));
        assert!(!judged(public, Some("same-site"), Some("https://frames.example.com")));
        assert!(!judged(public, Some("same-origin"), Some("https://evil.example")));
        assert!(!judged(public, None, Some("null")));
        assert!(!judged(public, None, Some("http://frames.example.com")));
        assert!(!judged(public, None, Some("http://localhost:443")));
    }

    #[test]
    fn a_local_server_is_known_by_its_loopback_names_on_its_port() {
        let public = "http://127.0.0.1:3000";
        assert!(judged(public, None, Some("http://localhost:3000")));
        assert!(judged(public, None, Some("http://[::1]:3000")));
        assert!(!judged(public, None, Some("http://localhost:3001")));
        assert!(!judged(public, None, Some("https://localhost:3000")));
        assert!(!judged(public, None, Some("http://localhost.evil.example:3000")));
    }

    #[test]
    fn reading_is_never_refused() {
        assert!(is_safe(&Method::GET) && is_safe(&Method::HEAD));
        assert!(!is_safe(&Method::POST) && !is_safe(&Method::DELETE));
    }
}
