//! Files that pages hand out to whoever is signed in: the SOC 2 report, a data request's certificate.

use agentframer::domain::access::Permission;
use agentframer::engine::Engine;
use agentframer::engine::error::Error;
use agentframer_app::login;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::attachment::attachment;
use crate::reader::Reader;

/// The paths that are fetched, as the access expectation names them.
pub const PATHS: [&str; 1] = ["/w/{ws}/data-requests/{id}/certificate.json"];

/// The path that a form asks for, for the log says who took a copy.
pub const REPORT: &str = "/w/{ws}/security/report";

/// Each of [`PATHS`], and [`REPORT`].
pub fn routes(engine: &Engine) -> Router {
    Router::new()
        .route("/w/{workspace}/security/report", post(report))
        .route("/w/{workspace}/data-requests/{request}/certificate.json", get(certificate))
        .with_state(engine.clone())
}

async fn report(State(engine): State<Engine>, Path(workspace): Path<String>, reader: Reader) -> Response {
    let page = format!("/w/{workspace}/security");
    let copy = async {
        let scope = reader.scope(&engine, &workspace, Permission::ChangeSettings).await?;
        engine.download_report(&scope).await
    };
    match copy.await {
        Ok(report) => attachment(&report.file_name, "application/pdf", report.bytes),
        // The page says what is to be done first.
        Err(Error::Conflict(_)) => Redirect::to(&page).into_response(),
        // A form's path is no page to come back to.
        Err(Error::Unauthenticated) => Redirect::to(&login(&page)).into_response(),
        Err(error) => reader.refused(error),
    }
}

async fn certificate(
    State(engine): State<Engine>,
    Path((workspace, request)): Path<(String, String)>,
    reader: Reader,
) -> Response {
    let signed = async {
        let scope = reader.scope(&engine, &workspace, Permission::FileDataRequests).await?;
        let id = request.parse().map_err(|_| Error::NotFound)?;
        engine.data_request_certificate(&scope, &id).await
    };
    match signed.await {
        Ok(signed) => {
            let name = format!("certificate-{request}.json");
            attachment(&name, "application/json", format!("{signed:#}\n"))
        }
        Err(error) => reader.refused(error),
    }
}
