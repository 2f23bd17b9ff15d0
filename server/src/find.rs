//! What the command palette asks: pages, agents, members and requests that the reader may see; outside a workspace the
//! reader's workspaces.

use agentframer::domain::access::Permission;
use agentframer::engine::Engine;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::money::portfolio::names_apart;
use agentframer::engine::views::find::Found;
use agentframer_app::{ANYWHERE, places};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::reader::Reader;
use crate::rest::problem::Problem;

/// The paths, as the access expectation names them.
pub const PATHS: [&str; 2] = ["/w/{ws}/find", "/find"];

/// `GET /w/{workspace}/find?q=` and `GET /find?q=`, for who is signed in.
pub fn routes(engine: &Engine) -> Router {
    let routes = Router::new().route("/w/{workspace}/find", get(find)).route("/find", get(find_outside));
    routes.with_state(engine.clone())
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
    answer(hits(&engine, &reader, &workspace, &asked.q).await)
}

async fn find_outside(State(engine): State<Engine>, reader: Reader, Query(asked): Query<Asked>) -> Response {
    answer(hits_outside(&engine, &reader, &asked.q).await)
}

fn answer(found: Result<Vec<Hit>>) -> Response {
    match found {
        Ok(hits) => Json(hits).into_response(),
        Err(Error::Forbidden(_)) => Problem::from(Error::NotFound).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn hits(engine: &Engine, reader: &Reader, workspace: &str, text: &str) -> Result<Vec<Hit>> {
    let scope = reader.scope(engine, workspace, Permission::ReadWorkspace).await?;
    let base = format!("/w/{}", scope.workspace.id);
    let here = places(scope.role).map(|(name, path)| page(name, format!("{base}{path}")));
    let hit =
        |found: Found| Hit { kind: found.kind, label: found.label, href: format!("{base}{}", found.place) };
    let found = engine.find(&scope, text).await?.into_iter().map(hit);
    Ok(named(here.chain(elsewhere()), text).chain(found).collect())
}

async fn hits_outside(engine: &Engine, reader: &Reader, text: &str) -> Result<Vec<Hit>> {
    let own = engine.memberships(&reader.user().await?).await?;
    let names = names_apart(own.iter().map(|(workspace, _)| workspace));
    let workspaces = own.iter().map(|(workspace, _)| Hit {
        kind: "workspace",
        label: names.get(&workspace.id).cloned().unwrap_or_default(),
        href: format!("/w/{}", workspace.id),
    });
    Ok(named(workspaces.chain(elsewhere()), text).collect())
}

fn page(name: &str, href: String) -> Hit {
    Hit { kind: "page", label: name.to_owned(), href }
}

fn elsewhere() -> impl Iterator<Item = Hit> {
    ANYWHERE.into_iter().map(|(name, path)| page(name, path.to_owned()))
}

fn named(hits: impl Iterator<Item = Hit>, text: &str) -> impl Iterator<Item = Hit> {
    let typed = text.trim().to_lowercase();
    hits.filter(move |hit| hit.label.to_lowercase().contains(&typed))
}
