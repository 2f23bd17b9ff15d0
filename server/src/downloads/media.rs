//! A generation's files, for who may read them now: unlike a signed link, this way ends with the reader's role.

use agentframer::domain::access::Permission;
use agentframer::engine::Engine;
use agentframer::engine::error::{Error, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use super::attachment::attachment;
use crate::reader::Reader;

/// The path, as the access expectation names it.
pub const PATHS: [&str; 1] = ["/w/{ws}/generations/{id}/files/1"];

/// `GET /w/{workspace}/generations/{id}/files/{number}`, for who is signed in.
pub fn routes(engine: &Engine) -> Router {
    Router::new()
        .route("/w/{workspace}/generations/{id}/files/{number}", get(file))
        .with_state(engine.clone())
}

async fn file(
    State(engine): State<Engine>,
    reader: Reader,
    Path((workspace, id, number)): Path<(String, String, String)>,
) -> Response {
    saved(&engine, &reader, &workspace, &id, &number).await.unwrap_or_else(|error| reader.refused(error))
}

async fn saved(
    engine: &Engine,
    reader: &Reader,
    workspace: &str,
    id: &str,
    number: &str,
) -> Result<Response> {
    let scope = reader.scope(engine, workspace, Permission::ReadActivity).await?;
    let (id, number) =
        (id.parse().map_err(|_| Error::NotFound)?, number.parse().map_err(|_| Error::NotFound)?);
    let (name, media) = engine.generation_file(&scope, &id, number).await?;
    Ok(attachment(&name, "application/octet-stream", Body::from_stream(media.bytes)))
}
