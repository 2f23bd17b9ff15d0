//! Money: credits, ledger, top-ups.

use agentframer::domain::access::Permission;
use agentframer::domain::money::Usd;
use agentframer::domain::time::Time;
use agentframer::engine::money::billing::{self, CapView, LedgerFilter};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::Caller;
use super::input::{Body, Params};
use super::paging::{List, page};
use super::problem::{Problem, Refusals};
use super::usage::wants_csv;
use crate::downloads::finance_sheets;

/// The balance, this month and the caps.
#[derive(Debug, Serialize, ToSchema)]
pub struct Credits {
    /// Available and reserved.
    #[schema(value_type = f64)]
    balance_usd: Usd,
    /// Set aside for calls that run.
    #[schema(value_type = f64)]
    reserved_usd: Usd,
    /// What a call can still reserve.
    #[schema(value_type = f64)]
    available_usd: Usd,
    /// Below it, agents are asked to stop.
    #[schema(value_type = Option<f64>, required = true)]
    floor_usd: Option<Usd>,
    /// Whether the available money is below the floor.
    below_floor: bool,
    /// Spent this UTC month.
    #[schema(value_type = f64)]
    month_to_date_usd: Usd,
    /// What a month usually costs; null until there is one to tell from.
    #[schema(value_type = Option<f64>, required = true)]
    typical_month_usd: Option<Usd>,
    /// The soft alert.
    soft_alert: SoftAlert,
    /// The caps that are set.
    caps: Vec<Cap>,
}

/// The soft alert's state.
#[derive(Debug, Serialize, ToSchema)]
pub struct SoftAlert {
    /// Per cent of the typical month.
    threshold_pct: u32,
    /// Whether this month has reached it.
    reached: bool,
}

/// A cap and how far it is used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cap {
    /// `workspace_month`, `call`, `agent_day`, `agent_month` or `agent_call`.
    cap: String,
    /// The agent, for an agent's cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    /// The limit.
    #[schema(value_type = f64)]
    limit_usd: Usd,
    /// Charged and reserved in its period.
    #[schema(value_type = f64)]
    used_usd: Usd,
    /// When it begins anew; null for a cap per call.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    resets_at: Option<Time>,
}

impl From<CapView> for Cap {
    fn from(view: CapView) -> Self {
        let CapView { cap, agent, limit_usd, used_usd, resets_at } = view;
        Self { cap: cap.to_owned(), agent, limit_usd, used_usd, resets_at }
    }
}

impl From<billing::Credits> for Credits {
    fn from(credits: billing::Credits) -> Self {
        let alert = credits.soft_alert;
        Self {
            balance_usd: credits.balance_usd,
            reserved_usd: credits.reserved_usd,
            available_usd: credits.available_usd,
            floor_usd: credits.floor_usd,
            below_floor: credits.below_floor,
            month_to_date_usd: credits.month_to_date_usd,
            typical_month_usd: credits.typical_month_usd,
            soft_alert: SoftAlert { threshold_pct: alert.threshold_pct, reached: alert.reached },
            caps: credits.caps.into_iter().map(Cap::from).collect(),
        }
    }
}

/// A movement of money.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerEntry {
    /// Its id.
    id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    ts: Time,
    /// `top_up` or `charge`.
    #[schema(example = "charge")]
    kind: String,
    /// Above zero where money came in.
    #[schema(value_type = f64)]
    amount_usd: Usd,
    /// Available and reserved afterwards.
    #[schema(value_type = f64)]
    balance_after_usd: Usd,
    /// The call or act.
    request_id: String,
    /// Who caused it.
    actor: String,
    /// A top-up's reference.
    #[schema(required = true)]
    reference: Option<String>,
}

impl From<billing::LedgerRow> for LedgerEntry {
    fn from(row: billing::LedgerRow) -> Self {
        Self {
            id: row.id.to_string(),
            ts: row.ts,
            kind: row.kind.to_owned(),
            amount_usd: row.amount_usd,
            balance_after_usd: row.balance_after_usd,
            request_id: row.request_id.to_string(),
            actor: row.actor,
            reference: row.reference,
        }
    }
}

/// Money to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTopUp {
    /// How much; at most six decimals.
    #[schema(value_type = f64, example = 100)]
    amount_usd: Usd,
    /// What it was paid with, such as an invoice's number.
    #[schema(example = "INV-2026-117")]
    reference: String,
}

/// Money that was added.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopUp {
    /// The ledger entry.
    id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    ts: Time,
    /// How much.
    #[schema(value_type = f64)]
    amount_usd: Usd,
    /// What it was paid with.
    reference: String,
    /// The balance afterwards.
    #[schema(value_type = f64)]
    balance_usd: Usd,
}

impl From<billing::TopUp> for TopUp {
    fn from(made: billing::TopUp) -> Self {
        let billing::TopUp { id, ts, amount_usd, reference, balance_usd } = made;
        Self { id: id.to_string(), ts, amount_usd, reference, balance_usd }
    }
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new().routes(routes!(credits)).routes(routes!(ledger)).routes(routes!(top_up))
}

/// Balance, month and caps.
#[utoipa::path(get, path = "/workspaces/{ws}/credits", tag = "billing", operation_id = "get_credits",
    params(("ws" = String, Path, description = "The workspace's id")),
    responses((status = 200, body = Credits), Refusals))]
async fn credits(caller: Caller) -> Result<Json<Credits>, Problem> {
    let scope = caller.may(Permission::ReadBilling).await?;
    Ok(Json(caller.engine.credits(&scope).await?.into()))
}

/// Which movements of money.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerParams {
    /// Rows, 1 to 200; 50 where absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// `top_up` or `charge`; both where absent.
    kind: Option<String>,
    /// Who caused it: `agent.NAME`, a person's or key's id, `system`.
    actor: Option<String>,
    /// The beginning: a moment or a UTC date; whole hours.
    from: Option<String>,
    /// The end: a moment (exclusive) or a UTC date (its whole day).
    to: Option<String>,
}

/// Every movement of money, newest first in pages. With `Accept: text/csv` the whole match streams as a sheet.
#[utoipa::path(get, path = "/workspaces/{ws}/ledger", tag = "billing", operation_id = "list_ledger",
    params(("ws" = String, Path, description = "The workspace's id"), LedgerParams),
    responses(
        (status = 200, content((List<LedgerEntry> = "application/json"), (String = "text/csv"))),
        Refusals))]
async fn ledger(
    caller: Caller,
    Params(params): Params<LedgerParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = caller.may(Permission::ReadBilling).await?;
    let LedgerParams { limit, cursor, kind, actor, from, to } = params;
    let filter = LedgerFilter::read(kind.as_deref(), actor.as_deref(), from.as_deref(), to.as_deref())?;
    if wants_csv(&headers) {
        return Ok(finance_sheets::ledger(caller.engine.ledger_stream(&scope, &filter)?));
    }
    let page = page(limit.as_deref(), cursor)?;
    let list: List<LedgerEntry> = caller.engine.ledger(&scope, &filter, page).await?.into();
    Ok(Json(list).into_response())
}

/// Adds money to the balance.
#[utoipa::path(post, path = "/workspaces/{ws}/top-ups", tag = "billing", operation_id = "top_up",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = NewTopUp,
    responses((status = 201, body = TopUp), Refusals))]
async fn top_up(caller: Caller, Body(new): Body<NewTopUp>) -> Result<(StatusCode, Json<TopUp>), Problem> {
    let scope = caller.may(Permission::ChangeBilling).await?;
    let made = caller.engine.top_up(&scope, new.amount_usd, &new.reference).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}
