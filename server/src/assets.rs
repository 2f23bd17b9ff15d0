//! The pages' files, embedded in the binary: WASM, CSS, fonts, icons.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "$AGENTFRAMER_SITE"]
#[allow_missing = true]
struct Site;

/// The encodings that the build writes beside a file, the smallest first.
const ENCODINGS: [(&str, &str); 2] = [("br", "br"), ("gzip", "gz")];

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// May be kept, and is asked for each time whether it is still the same.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// Answers with the embedded file of the request's path, where there is one; otherwise the request goes on.
pub async fn serve(request: Request, next: Next) -> Response {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    match request.uri().path().strip_prefix('/') {
        Some(path) if is_read => match answer(path, request.headers()) {
            Some(response) => response,
            None => next.run(request).await,
        },
        _ => next.run(request).await,
    }
}

fn answer(path: &str, headers: &HeaderMap) -> Option<Response> {
    let content_type = content_type(path)?;
    let plain = Site::get(path)?;
    let (file, encoding) = smallest(path, headers).map_or((plain, None), |(file, name)| (file, Some(name)));
    let etag =
        HeaderValue::from_str(&format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]))).ok()?;
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == etag);
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(file.data.into_owned()).into_response(),
    };
    let answer = response.headers_mut();
    answer.insert(header::ETAG, etag);
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.insert(header::CACHE_CONTROL, if has_hash(path) { IMMUTABLE } else { REVALIDATE });
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(name) = encoding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    Some(response)
}

/// The smallest encoding that the client takes and the build wrote.
fn smallest(path: &str, headers: &HeaderMap) -> Option<(EmbeddedFile, &'static str)> {
    let mut taken = ENCODINGS.into_iter().filter(|(name, _)| accepts(headers, name));
    taken.find_map(|(name, ending)| Some((Site::get(&format!("{path}.{ending}"))?, name)))
}

fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case(encoding) && !refused
    })
}

/// Types of what a site holds. Anything else, the compressed twins too, is no file of its own.
fn content_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "wasm" => "application/wasm",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

/// Whether the name carries a hash of the content, as `app.1f9b0c3d5e7a9b0c.js`.
fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut parts = name.rsplit('.').skip(1);
    let is_hash = |part: &str| {
        part.len() >= 16 && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    parts.next().is_some_and(is_hash) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(line: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(line))])
    }

    #[test]
    fn an_encoding_is_used_where_the_client_takes_it() {
        assert!(accepts(&accepting("gzip, deflate, BR"), "br"));
        assert!(!accepts(&accepting("gzip, br;q=0"), "br"));
        assert!(!accepts(&HeaderMap::new(), "gzip"));
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_good() {
        assert!(has_hash("pkg/agentframer.1f9b0c3d5e7a9b0c.js"));
        assert!(!has_hash("pkg/agentframer.js"));
        assert!(!has_hash("fonts/inter-latin-wght-normal.woff2"));
        assert!(!has_hash("1f9b0c3d5e7a9b0c.js"));
    }

    #[test]
    fn a_compressed_twin_is_no_file_of_its_own() {
        assert_eq!(content_type("pkg/agentframer.js.br"), None);
        assert_eq!(content_type("pkg/agentframer.wasm"), Some("application/wasm"));
        assert_eq!(content_type("w/ws_1"), None);
    }
}
