//! What every answer tells the browser about how to treat it (ASVS 3.4).

use std::sync::Arc;

use agentframer::engine::config::Config;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};
use url::Url;

/// Two years, as browsers' preload lists ask; ASVS 3.4.1 asks for one.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

/// The same on every answer, whatever the handler says.
const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Our own pages may know where a form came from; no other site learns an invitation or set-up link.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// For answers that are no page: nothing in them may run or load.
const NO_PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What the layer and the pages say, worked out once from the settings.
#[derive(Debug, Clone)]
pub struct SecurityHeaders {
    is_https: bool,
    /// Where signed media are, besides our own origin.
    media_origins: Arc<str>,
}

impl SecurityHeaders {
    /// HSTS where `public_url` is https; media of the cells' own addresses may be shown.
    pub fn new(config: &Config) -> Self {
        let cells = config.cells();
        let urls = cells.iter().filter_map(|cell| cell.mcp_url.as_ref());
        let mut origins: Vec<String> =
            urls.map(|url| format!(" {}", url.origin().ascii_serialization())).collect();
        origins.sort();
        origins.dedup();
        Self { is_https: is_https(&config.public_url()), media_origins: origins.concat().into() }
    }

    /// The Content Security Policy of a page whose own scripts carry `nonce`.
    pub fn page_policy(&self, nonce: &str) -> String {
        let media = &self.media_origins;
        format!(
            "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; \
             style-src 'self' 'nonce-{nonce}'; img-src 'self' data:{media}; media-src 'self'{media}; \
             object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
    }
}

/// Whether people reach the server by https.
pub fn is_https(public_url: &str) -> bool {
    Url::parse(public_url).is_ok_and(|url| url.scheme() == "https")
}

/// Adds the headers; a handler's own Content Security Policy stays.
pub async fn add(State(headers): State<SecurityHeaders>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let map = response.headers_mut();
    for (name, value) in ALWAYS {
        map.insert(name, value);
    }
    map.entry(header::CONTENT_SECURITY_POLICY).or_insert(NO_PAGE);
    if headers.is_https {
        map.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_runs_only_its_own_scripts() {
        let policy = SecurityHeaders::new(&Config::default()).page_policy("abc");
        assert!(policy.contains("script-src 'self' 'nonce-abc' 'wasm-unsafe-eval';"));
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"));
        for directive in
            ["object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"]
        {
            assert!(policy.contains(directive), "{directive}");
        }
    }

    #[test]
    fn https_is_read_from_the_public_url() {
        assert!(is_https("https://frames.example.com") && !is_https("http://127.0.0.1:3000"));
    }
}
