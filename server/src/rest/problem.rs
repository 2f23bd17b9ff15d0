//! The one way in which HTTP routes say no: RFC 9457 `application/problem+json`.

use std::collections::BTreeMap;

use agentframer::domain::field::FieldError;
use agentframer::engine::error::Error;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::visit;

/// What a client without a valid key is told to send.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"AgentFramer\"");

/// Why nothing was done, on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    field: Option<String>,
    retry_after_s: Option<u64>,
}

/// The body: RFC 9457, with the field that is wrong and the request's id.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:agentframer:problem:invalid-field", "title": "Invalid field", "status": 422,
    "detail": "amount_usd: is below zero", "field": "amount_usd", "request_id": "req_01kb7z6m3v8t5c2q9x4hpw0n1d"
}))]
struct ProblemDocument {
    /// The kind of problem, the same for all of its kind.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened here, for a person to read.
    detail: String,
    /// The field or parameter that is wrong, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Names this request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    /// A problem of its own `kind`, such as `too-large`.
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, kind, title, detail: detail.into(), field: None, retry_after_s: None }
    }

    /// A fault of ours, whose details only the log has.
    pub fn internal() -> Self {
        Error::Internal.into()
    }

    /// A body that is no JSON object.
    pub fn malformed(detail: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, "malformed", "Malformed request", detail);
        Self { field: Some("body".to_owned()), ..problem }
    }

    /// A body beyond `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("The body is larger than {limit} bytes. Nothing was changed.");
        let problem = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body too large", detail);
        Self { field: Some("body".to_owned()), ..problem }
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        let problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-field", "Invalid field", error.to_string());
        Self { field: Some(error.field), ..problem }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let (status, kind, title) = match error {
            Error::Field(error) => return error.into(),
            Error::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Error::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "No valid key"),
            Error::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Error::TooMany { retry_after_s } => {
                let problem =
                    Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many requests", detail);
                return Self { retry_after_s: Some(retry_after_s), ..problem };
            }
            Error::WrongRegion(_) => (StatusCode::MISDIRECTED_REQUEST, "wrong-region", "Served elsewhere"),
            Error::Ended(_) => (StatusCode::GONE, "ended", "No longer valid"),
            Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable"),
            Error::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        };
        Self::new(status, kind, title, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = ProblemDocument {
            kind: format!("urn:agentframer:problem:{}", self.kind),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
            field: self.field,
            request_id: visit::current().map(|visit| visit.request_id.to_string()),
        };
        let mut response = (self.status, axum::Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The refusals that every route of a workspace can answer, for the OpenAPI document.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        [
            ("400", "Malformed request"),
            ("401", "No valid API key of this server; each region has its own address"),
            ("403", "The key's role does not allow this"),
            ("404", "No such thing, or not visible to this key"),
            ("409", "It contradicts what is there"),
            ("413", "The body is too large"),
            ("415", "The body is not application/json"),
            ("422", "A field or parameter is wrong; `field` names it"),
            ("500", "A fault of the server; report `request_id`"),
            ("503", "A database, the storage or the mail server does not answer; nothing was changed"),
        ]
        .into_iter()
        .map(|(status, description)| (status.to_owned(), RefOr::T(problem_response(description))))
        .collect()
    }
}

fn problem_response(description: &str) -> utoipa::openapi::Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

/// The schema that [`Refusals`] refer to.
pub fn schema() -> RefOr<utoipa::openapi::Schema> {
    <ProblemDocument as utoipa::PartialSchema>::schema()
}

#[cfg(test)]
mod tests {
    use agentframer::domain::access::Permission;

    use super::*;

    #[test]
    fn each_error_has_its_status() {
        let cases = [
            (Error::Field(FieldError::new("amount_usd", "is below zero")), 422),
            (Error::NotFound, 404),
            (Error::Forbidden(Permission::ChangeBilling), 403),
            (Error::Unauthenticated, 401),
            (Error::Conflict("It is there already.".into()), 409),
            (Error::TooMany { retry_after_s: 7 }, 429),
            (Error::WrongRegion(agentframer::domain::region::Region::EuWest1), 421),
            (Error::Ended("The link has ended.".into()), 410),
            (Error::Unavailable("The database does not answer.".into()), 503),
            (Error::Internal, 500),
        ];
        for (error, status) in cases {
            assert_eq!(Problem::from(error).into_response().status().as_u16(), status);
        }
    }

    #[test]
    fn headers_say_how_to_do_better() {
        let response = Problem::from(Error::TooMany { retry_after_s: 7 }).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        let response = Problem::from(Error::Unauthenticated).into_response();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], CHALLENGE);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
