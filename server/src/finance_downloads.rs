//! What finance saves from the pages: usage, ledger, FOCUS, all workspaces. For who is signed in, with the pages' rights.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::focus;
use agentframer::domain::ids::{UserId, WorkspaceId};
use agentframer::domain::time::Time;
use agentframer::engine::Engine;
use agentframer::engine::access::scope::{Principal, Scope};
use agentframer::engine::error::{Error, Result};
use agentframer::engine::money::billing::LedgerFilter;
use agentframer::engine::money::portfolio::PortfolioRow;
use agentframer_app::{UsageState, usage_picture};
use axum::extract::{Extension, Path, Query, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use tower_sessions::Session;

use crate::rest::problem::Problem;
use crate::rest::{UsageAnswer, ledger_sheet, usage_sheet};
use crate::session_store::USER;
use crate::sheet::{CSV, Cell, file, line, sheet};
use crate::visit::Visit;

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

async fn user(session: &Session) -> Result<UserId> {
    let user = session.get::<UserId>(USER).await.map_err(|_| Error::Internal)?;
    user.ok_or(Error::Unauthenticated)
}

async fn scope(
    engine: &Engine,
    session: &Session,
    visit: &Visit,
    workspace: &str,
    permission: Permission,
) -> Result<Scope> {
    let user = Principal::User(user(session).await?);
    let workspace: WorkspaceId = workspace.parse().map_err(|_| Error::NotFound)?;
    engine.scope(&user, &workspace, permission, visit.origin()).await
}

/// As the pages answer: to who may not know of it, it does not exist.
fn answered(made: Result<Response>) -> Response {
    match made {
        Ok(answer) => answer,
        Err(Error::Unauthenticated) => Redirect::to("/login").into_response(),
        Err(Error::Forbidden(_)) => Problem::from(Error::NotFound).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// What the usage page shows, as `format=csv`, `json` or `svg`.
async fn usage(
    State(engine): State<Engine>,
    session: Session,
    Extension(visit): Extension<Visit>,
    Path(workspace): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let made = async {
        let scope = scope(&engine, &session, &visit, &workspace, Permission::ReadActivity).await?;
        let query = query.unwrap_or_default();
        let state = UsageState::read(&query, engine.clock().now())?;
        let format = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "format");
        match format.as_ref().map_or("csv", |(_, format)| format) {
            "csv" => Ok(file("usage.csv", CSV, usage_sheet(&engine.usage(&scope, state.query()).await?))),
            "json" => {
                let usage = engine.usage(&scope, state.query()).await?;
                Ok(file("usage.json", "application/json", Json(UsageAnswer::from(usage))))
            }
            "svg" => picture(&engine, &scope, &state).await,
            _ => Err(FieldError::new("format", "is not csv, json or svg").into()),
        }
    };
    answered(made.await)
}

async fn picture(engine: &Engine, scope: &Scope, state: &UsageState) -> Result<Response> {
    let report = engine.usage_report(scope, state.query()).await?;
    let drawn = usage_picture(&report, state).ok_or(Error::Internal)?;
    Ok(file("usage.svg", "image/svg+xml", drawn))
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
    fn read(&self, now: Time) -> Result<LedgerFilter> {
        let [kind, agent, from, to] = [&self.kind, &self.agent, &self.from, &self.to]
            .map(|text| Some(text.trim()).filter(|text| !text.is_empty()));
        Ok(LedgerFilter::read(kind, agent, from, to, now)?)
    }
}

async fn ledger(
    State(engine): State<Engine>,
    session: Session,
    Extension(visit): Extension<Visit>,
    Path(workspace): Path<String>,
    Query(filters): Query<Filters>,
) -> Response {
    let made = async {
        let scope = scope(&engine, &session, &visit, &workspace, Permission::ReadBilling).await?;
        let rows = engine.ledger_stream(&scope, &filters.read(engine.clock().now())?)?;
        Ok(ledger_sheet(rows))
    };
    answered(made.await)
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
    session: Session,
    Extension(visit): Extension<Visit>,
    Path(workspace): Path<String>,
    Query(Month { month }): Query<Month>,
) -> Response {
    let made = async {
        let scope = scope(&engine, &session, &visit, &workspace, Permission::ReadBilling).await?;
        let wrong = || FieldError::new("month", "is not a month, such as 2026-11");
        let month = match month.as_str() {
            "" => engine.clock().now().month_start(),
            text => Time::parse_month(text).ok_or_else(wrong)?,
        };
        let (payer, charges) = engine.charges(&scope, month).await?;
        let rows = charges.iter().map(|charge| line(focus::cells(&payer, charge).map(Cell::text)));
        let text = rows.fold(line(focus::COLUMNS.map(Cell::plain)), |sheet, line| sheet + &line);
        Ok(file(&format!("focus-{}.csv", month.month_key()), CSV, text))
    };
    answered(made.await)
}

/// The table of `/`.
async fn workspaces(State(engine): State<Engine>, session: Session) -> Response {
    let made = async {
        let rows = engine.portfolio(&user(&session).await?).await?;
        Ok(file("workspaces.csv", CSV, workspaces_sheet(&rows)))
    };
    answered(made.await)
}

fn workspaces_sheet(rows: &[PortfolioRow]) -> String {
    let columns = [
        "workspace_id",
        "workspace",
        "region",
        "cost_centre",
        "calls",
        "month_to_date_usd",
        "same_days_last_month_usd",
        "forecast_usd",
        "balance_usd",
        "runs_out_on",
        "alerts",
    ];
    sheet(columns, rows.iter().map(workspace_line))
}

fn workspace_line(row: &PortfolioRow) -> [Cell; 11] {
    let of = row.standing.as_ref();
    let alerts: Vec<&str> = of.iter().flat_map(|of| &of.notices).map(|notice| notice.text.as_str()).collect();
    [
        Cell::plain(&row.workspace.id),
        Cell::text(&*row.workspace.name),
        Cell::plain(row.workspace.region),
        Cell::text(of.and_then(|of| of.cost_centre.clone()).unwrap_or_default()),
        Cell::plain(of.map(|of| of.month.calls.to_string()).unwrap_or_default()),
        Cell::amount(of.map(|of| of.month.cost)),
        Cell::amount(of.map(|of| of.before)),
        Cell::amount(of.map(|of| of.forecast)),
        Cell::amount(of.and_then(|of| of.balance)),
        Cell::plain(of.and_then(|of| of.runs_out).map(Time::day_key).unwrap_or_default()),
        Cell::text(alerts.join(" ")),
    ]
}
