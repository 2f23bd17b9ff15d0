//! Result files behind signed links.

use agentframer::engine::Engine;
use agentframer::engine::calls::media::Media;
use agentframer::engine::data::data_requests;
use agentframer::engine::error::{Error, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use object_store::GetRange;
use serde::Deserialize;

use crate::rest::problem::Problem;

/// What a browser may show from our origin; anything else is only downloaded.
const SHOWN: [&str; 7] =
    ["image/png", "image/apng", "image/jpeg", "image/webp", "image/gif", "video/mp4", "video/webm"];

/// A file opened by itself is shown and can do nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
);

/// `GET /media/{key}?expires=…&signature=…`
pub fn routes(engine: Engine) -> Router {
    Router::new().route("/media/{*key}", get(serve)).with_state(engine)
}

/// The signed part of a link; what is missing is wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Signed {
    expires: String,
    signature: String,
}

async fn serve(
    State(engine): State<Engine>,
    Path(key): Path<String>,
    signed: std::result::Result<Query<Signed>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let signed = signed.map(|Query(signed)| signed).unwrap_or_default();
    if key.starts_with(data_requests::ARCHIVES) {
        let opened = engine.open_archive(&key, &signed.expires, &signed.signature).await;
        return opened.map_or_else(|error| Problem::from(error).into_response(), archive);
    }
    let range = headers.get(header::RANGE).and_then(|value| asked_range(value.to_str().ok()?));
    match open(&engine, &key, &signed, range).await {
        Ok(answer) => answer,
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn open(engine: &Engine, key: &str, signed: &Signed, range: Option<GetRange>) -> Result<Response> {
    let Some(range) = range else {
        return Ok(answer(engine.open_media(key, &signed.expires, &signed.signature, None).await?, false));
    };
    match engine.open_media(key, &signed.expires, &signed.signature, Some(range)).await {
        Ok(media) => Ok(answer(media, true)),
        // The bucket does not tell a range beyond the file from a fault of its own; the whole file does.
        Err(Error::Unavailable(_)) => {
            let media = engine.open_media(key, &signed.expires, &signed.signature, None).await?;
            Ok(unsatisfiable(media.size))
        }
        Err(error) => Err(error),
    }
}

/// One range of bytes (RFC 9110 §14). A list of ranges or nonsense is answered with the whole file.
fn asked_range(value: &str) -> Option<GetRange> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (first.trim(), last.trim()) {
        ("", last) => number(last).map(GetRange::Suffix),
        (first, "") => number(first).map(GetRange::Offset),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(GetRange::Bounded(first..last.saturating_add(1)))
        }
    }
}

fn answer(media: Media, is_part: bool) -> Response {
    let is_shown = SHOWN.contains(&media.content_type.as_str());
    let content_type = HeaderValue::from_str(&media.content_type).ok().filter(|_| is_shown);
    let length = media.range.end.saturating_sub(media.range.start);
    let part = format!("bytes {}-{}/{}", media.range.start, media.range.end.saturating_sub(1), media.size);
    let mut response = Body::from_stream(media.bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    let disposition = if is_shown { "inline" } else { "attachment" };
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    // A file can be erased at any time: what was fetched is kept for minutes only.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=300"));
    if is_part && let Ok(part) = HeaderValue::from_str(&part) {
        headers.insert(header::CONTENT_RANGE, part);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// A tar file that is made while it is fetched, so that its length is not known before.
fn archive(bytes: BoxStream<'static, std::io::Result<Bytes>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"archive.tar\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(bytes)).into_response()
}

fn unsatisfiable(size: u64) -> Response {
    (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_and_nonsense_is_not() {
        assert_eq!(asked_range("bytes=0-9"), Some(GetRange::Bounded(0..10)));
        assert_eq!(asked_range("bytes=5-"), Some(GetRange::Offset(5)));
        assert_eq!(asked_range("bytes=-5"), Some(GetRange::Suffix(5)));
        for nonsense in ["bytes=9-0", "bytes=0-1,3-4", "bytes=-", "bytes=a-b", "lines=0-1", "bytes"] {
            assert_eq!(asked_range(nonsense), None, "{nonsense}");
        }
    }
}
