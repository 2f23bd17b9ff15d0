//! What finance saves from the pages: usage, ledger, FOCUS, all workspaces. For who is signed in, with the pages' rights.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::time::Time;
use agentframer::engine::Engine;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::money::billing::LedgerFilter;
use agentframer_app::{UsageState, usage_picture};
use axum::extract::{Path, Query, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use super::attachment::attachment;
use super::finance_sheets as sheets;
use crate::reader::Reader;
use crate::rest::UsageAnswer;

/// The paths, as the access expectation names them.
pub const PATHS: [&str; 4] =
    ["/w/{ws}/usage/export", "/w/{ws}/billing/export", "/w/{ws}/billing/focus", "/workspaces/export"];

/// Each of [`PATHS`].
pub fn routes(engine: &Engine) -> Router {
    Router::new()
        .route("/w/{workspace}/usage/export", get(usage))
        .route("/w/{workspace}/billing/export", get(ledger))
        .route("/w/{workspace}/billing/focus", get(focus_of_month))
        .route("/workspaces/export", get(workspaces))
        .with_state(engine.clone())
}

/// What the usage page shows, as `format=csv`, `json` or `svg`.
async fn usage(
    State(engine): State<Engine>,
    reader: Reader,
    Path(workspace): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let made = async {
        let scope = reader.scope(&engine, &workspace, Permission::ReadActivity).await?;
        let query = query.unwrap_or_default();
        let state = UsageState::read(&query, engine.clock().now())?;
        let format = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "format");
        match format.as_ref().map_or("csv", |(_, format)| format) {
            "csv" => Ok(sheets::usage(&engine.usage(&scope, state.query()).await?)),
            "json" => {
                let usage = engine.usage(&scope, state.query()).await?;
                Ok(attachment("usage.json", "application/json", Json(UsageAnswer::from(usage))))
            }
            "svg" => picture(&engine, &scope, &state).await,
            _ => Err(FieldError::new("format", "is not csv, json or svg").into()),
        }
    };
    made.await.unwrap_or_else(|error| reader.refused(error))
}

async fn picture(engine: &Engine, scope: &Scope, state: &UsageState) -> Result<Response> {
    let report = engine.usage_report(scope, state.query(), state.previous()).await?;
    let drawn = usage_picture(&scope.workspace.name, &report, state).ok_or(Error::Internal)?;
    Ok(attachment("usage.svg", "image/svg+xml", drawn))
}

/// The ledger page's filters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filters {
    kind: String,
    agent: String,
    from: String,
    to: String,
}

impl Filters {
    fn read(&self) -> Result<LedgerFilter> {
        let [kind, agent, from, to] = [&self.kind, &self.agent, &self.from, &self.to]
            .map(|text| Some(text.trim()).filter(|text| !text.is_empty()));
        Ok(LedgerFilter::read(kind, agent, from, to)?)
    }
}

async fn ledger(
    State(engine): State<Engine>,
    reader: Reader,
    Path(workspace): Path<String>,
    Query(filters): Query<Filters>,
) -> Response {
    let made = async {
        let scope = reader.scope(&engine, &workspace, Permission::ReadBilling).await?;
        let rows = engine.ledger_stream(&scope, &filters.read()?)?;
        Ok(sheets::ledger(rows))
    };
    made.await.unwrap_or_else(|error| reader.refused(error))
}

/// Which month.
#[derive(Debug, Deserialize)]
struct Month {
    #[serde(default)]
    month: String,
}

/// A month's charges in the columns of FOCUS 1.2.
async fn focus_of_month(
    State(engine): State<Engine>,
    reader: Reader,
    Path(workspace): Path<String>,
    Query(Month { month }): Query<Month>,
) -> Response {
    let made = async {
        let scope = reader.scope(&engine, &workspace, Permission::ReadBilling).await?;
        let wrong = || FieldError::new("month", "is not a month, such as 2026-11");
        let month = match month.as_str() {
            "" => engine.clock().now().month_start(),
            text => Time::parse_month(text).ok_or_else(wrong)?,
        };
        let (payer, charges) = engine.charges(&scope, month).await?;
        Ok(sheets::focus(month, &payer, &charges))
    };
    made.await.unwrap_or_else(|error| reader.refused(error))
}

/// The table of `/`.
async fn workspaces(State(engine): State<Engine>, reader: Reader) -> Response {
    let made = async {
        let rows = engine.portfolio(&reader.user().await?).await?;
        Ok(sheets::workspaces(&rows, engine.clock().now()))
    };
    made.await.unwrap_or_else(|error| reader.refused(error))
}
