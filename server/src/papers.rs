//! Files that pages hand out to whoever is signed in: the SOC 2 report, a data request's certificate.

use agentframer::domain::access::Permission;
use agentframer::domain::ids::{UserId, WorkspaceId};
use agentframer::engine::Engine;
use agentframer::engine::access::scope::{Principal, Scope};
use agentframer::engine::error::{Error, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::{HeaderValue, header};
use tower_sessions::Session;

use crate::rest::problem::Problem;
use crate::session_store::USER;
use crate::visit::Visit;

/// The paths that are fetched, as the access expectation names them.
pub const PATHS: [&str; 1] = ["/w/{ws}/data-requests/{id}/certificate.json"];

/// Stand behind the session layer. The report is asked for by a form, for the log says who took a copy.
pub fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/w/{workspace}/security/report", post(report))
        .route("/w/{workspace}/data-requests/{request}/certificate.json", get(certificate))
        .with_state(engine)
}

async fn report(
    State(engine): State<Engine>,
    Path(workspace): Path<String>,
    Extension(visit): Extension<Visit>,
    session: Session,
) -> Response {
    let copy = async {
        let scope = scope(&engine, &workspace, Permission::ChangeSettings, &visit, &session).await?;
        engine.download_report(&scope).await
    };
    match copy.await {
        Ok(report) => file("application/pdf", &report.file_name, report.bytes),
        // The page says what is to be done first.
        Err(Error::Conflict(_)) => Redirect::to(&format!("/w/{workspace}/security")).into_response(),
        Err(error) => refused(error),
    }
}

async fn certificate(
    State(engine): State<Engine>,
    Path((workspace, request)): Path<(String, String)>,
    Extension(visit): Extension<Visit>,
    session: Session,
) -> Response {
    let signed = async {
        let scope = scope(&engine, &workspace, Permission::FileDataRequests, &visit, &session).await?;
        let id = request.parse().map_err(|_| Error::NotFound)?;
        engine.data_request_certificate(&scope, &id).await
    };
    match signed.await {
        Ok(signed) => {
            let name = format!("certificate-{request}.json");
            file("application/json", &name, format!("{signed:#}\n").into_bytes())
        }
        Err(error) => refused(error),
    }
}

async fn scope(
    engine: &Engine,
    workspace: &str,
    permission: Permission,
    visit: &Visit,
    session: &Session,
) -> Result<Scope> {
    let user = session.get::<UserId>(USER).await.ok().flatten().ok_or(Error::Unauthenticated)?;
    let workspace: WorkspaceId = workspace.parse().map_err(|_| Error::NotFound)?;
    engine.scope(&Principal::User(user), &workspace, permission, visit.origin()).await
}

/// As pages answer: what the reader may not know of is not there.
fn refused(error: Error) -> Response {
    match error {
        Error::Unauthenticated => Redirect::to("/login").into_response(),
        Error::Forbidden(_) => Problem::from(Error::NotFound).into_response(),
        error => Problem::from(error).into_response(),
    }
}

fn file(content_type: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let mut response = Body::from(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// RFC 6266: the name in UTF-8, and one in ASCII for old programs.
fn disposition(name: &str) -> String {
    let ascii: String = name.chars().map(|c| if c.is_ascii() { c } else { '-' }).collect();
    let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_any_script_is_a_header() {
        let value = disposition("soc2-李.pdf");
        assert_eq!(value, "attachment; filename=\"soc2--.pdf\"; filename*=UTF-8''soc2-%E6%9D%8E.pdf");
        assert!(HeaderValue::from_str(&value).is_ok());
    }
}
