//! A file to be saved, as an answer.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

/// Answers with a file to be saved under `name`, which nobody on the way may keep.
pub fn attachment(name: &str, content_type: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// RFC 6266: the name as it is where it is ASCII, else in UTF-8 and one in ASCII for old programs.
fn disposition(name: &str) -> String {
    let ascii: String = name.chars().map(|c| if c.is_ascii() { c } else { '-' }).collect();
    let saved = format!("attachment; filename=\"{ascii}\"");
    if name.is_ascii() {
        return saved;
    }
    let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("{saved}; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_any_script_is_a_header() {
        assert_eq!(disposition("ledger.csv"), "attachment; filename=\"ledger.csv\"");
        let value = disposition("soc2-李.pdf");
        assert_eq!(value, "attachment; filename=\"soc2--.pdf\"; filename*=UTF-8''soc2-%E6%9D%8E.pdf");
        assert!(HeaderValue::from_str(&value).is_ok());
    }
}
