//! What the command palette asks: pages, agents, members and requests that the reader may see.

use agentframer::domain::access::Permission;
use agentframer::engine::Engine;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::views::find::Found;
use agentframer_app::{ANYWHERE, places};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::reader::Reader;
use crate::rest::problem::Problem;

/// The path, as the access expectation names it.
pub const PATH: &str = "/w/{ws}/find";

/// `GET /w/{workspace}/find?q=`, for who is signed in.
pub fn routes(engine: &Engine) -> Router {
    Router::new().route("/w/{workspace}/find", get(find)).with_state(engine.clone())
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    q: String,
}

#[derive(Debug, Serialize)]
struct Hit {
    kind: &'static str,
    label: String,
    href: String,
}

async fn find(
    State(engine): State<Engine>,
    reader: Reader,
    Path(workspace): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    match hits(&engine, &reader, &workspace, &asked.q).await {
        Ok(hits) => Json(hits).into_response(),
        Err(Error::Forbidden(_)) => Problem::from(Error::NotFound).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn hits(engine: &Engine, reader: &Reader, workspace: &str, text: &str) -> Result<Vec<Hit>> {
    let scope = reader.scope(engine, workspace, Permission::ReadWorkspace).await?;
    let base = format!("/w/{}", scope.workspace.id);
    let typed = text.trim().to_lowercase();
    let is_named = |(name, _): &(&str, &str)| name.to_lowercase().contains(&typed);
    let page = |name: &str, href: String| Hit { kind: "page", label: name.to_owned(), href };
    let here = places(scope.role).filter(is_named).map(|(name, path)| page(name, format!("{base}{path}")));
    let elsewhere = ANYWHERE.into_iter().filter(is_named).map(|(name, path)| page(name, path.to_owned()));
    let hit =
        |found: Found| Hit { kind: found.kind, label: found.label, href: format!("{base}{}", found.place) };
    let found = engine.find(&scope, text).await?.into_iter().map(hit);
    Ok(here.chain(elsewhere).chain(found).collect())
}
