//! The log: in pages, or streamed whole for a warehouse or a spreadsheet.

use agentframer::domain::access::Permission;
use agentframer::domain::audit::Linked;
use agentframer::domain::field::FieldError;
use agentframer::domain::money::Usd;
use agentframer::domain::search::{Condition, Field, Moment, Search};
use agentframer::domain::time::Time;
use agentframer::engine::log::reading::{AuditFilter, EntryKind};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::Caller;
use super::input::{Params, parsed};
use super::paging::{List, Paging, page};
use super::problem::{Problem, Refusals};
use super::words::EntryWord;
use crate::downloads::list::Form;

/// Which entries; each given field must match.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Rows, 1 to 200; 50 where absent. Not for streams.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The `next_cursor` of the page before. Not for streams.
    cursor: Option<String>,
    /// At or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// `agent.NAME`, or a person's or key's id.
    user_id: Option<String>,
    /// The tool.
    tool: Option<String>,
    /// The model.
    model: Option<String>,
    /// The call or act.
    request_id: Option<String>,
    /// `sha256:…`.
    prompt_hash: Option<String>,
    /// At least this cost.
    #[param(value_type = Option<f64>)]
    min_cost_usd: Option<String>,
    /// At most this cost.
    #[param(value_type = Option<f64>)]
    max_cost_usd: Option<String>,
    /// A query in the words of the log's page, such as `agent:growth-bot cost:>0.5 -status:free`; what stands in other
    /// parameters must match too. Refused and failed calls are no entries of the log: `status:refused` answers 422.
    q: Option<String>,
    /// Which entries; both kinds where absent.
    #[param(value_type = Option<EntryWord>, inline)]
    kind: Option<String>,
}

impl Filter {
    fn read(&self) -> Result<AuditFilter, FieldError> {
        const TIME: &str = "a time, such as 2026-04-29T14:22:08.413Z";
        const AMOUNT: &str = "an amount in US dollars, such as 0.042";
        let amount = |text: &str| text.parse::<Usd>().ok();
        let from = parsed("from", self.from.as_deref(), Time::parse, TIME)?;
        let to = parsed("to", self.to.as_deref(), Time::parse, TIME)?;
        let least = parsed("min_cost_usd", self.min_cost_usd.as_deref(), amount, AMOUNT)?;
        let most = parsed("max_cost_usd", self.max_cost_usd.as_deref(), amount, AMOUNT)?;
        let texts = [
            (Field::User, &self.user_id),
            (Field::Tool, &self.tool),
            (Field::Model, &self.model),
            (Field::Request, &self.request_id),
            (Field::Hash, &self.prompt_hash),
        ];
        let named = texts
            .into_iter()
            .filter_map(|(field, value)| Some(Condition::OneOf(field, vec![value.clone()?])));
        let cost = (least.or(most).is_some()).then_some(Condition::Cost(least, most));
        let times = [from.map(Moment::At).map(Condition::After), to.map(Moment::At).map(Condition::Before)];
        let named = named.chain(cost).chain(times.into_iter().flatten());
        let asked = self.q.as_deref().unwrap_or_default().parse::<Search>();
        let asked = asked.map_err(|error| error.of_parameter("q"))?;
        if asked.is_of_attempts() {
            let message = "asks for refused or failed calls, which are not entries of the log: the tab “Refused and failed” \
                           of the log’s page lists and exports them, and kind=administration has event:generation.failed";
            return Err(FieldError::new("q", message));
        }
        Ok(AuditFilter {
            kind: parsed("kind", self.kind.as_deref(), kind, "calls or administration")?,
            search: named.fold(asked, Search::and),
        })
    }
}

fn kind(text: &str) -> Option<EntryKind> {
    match text {
        "calls" => Some(EntryKind::Calls),
        "administration" => Some(EntryKind::Administration),
        _ => None,
    }
}

/// An entry of the log in its place in the chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    ts: Time,
    /// The call's or the act's id.
    request_id: String,
    /// The workspace.
    workspace_id: String,
    /// `agent.NAME`, or a person's or key's id.
    user_id: String,
    /// The tool, for a call.
    #[schema(required = true)]
    tool: Option<String>,
    /// The model, where the tool has one.
    #[schema(required = true)]
    model: Option<String>,
    /// `sha256:…` of the prompt.
    #[schema(required = true)]
    prompt_hash: Option<String>,
    /// What was charged.
    #[schema(value_type = f64)]
    cost_usd: Usd,
    /// Where the result is, unsigned.
    #[schema(required = true)]
    result_url: Option<String>,
    /// The workspace's region.
    region: String,
    /// How long the result is kept, in days.
    retention_days: u32,
    /// What happened, for an administrative act.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    /// The act's details.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// Its place, from 1, without gaps.
    seq: i64,
    /// The hash of the entry before it.
    prev_hash: String,
    /// Its own hash.
    hash: String,
}

impl From<Linked> for AuditEntry {
    fn from(row: Linked) -> Self {
        let Linked { entry, seq, prev_hash, hash } = row;
        Self {
            ts: entry.ts,
            request_id: entry.request_id.to_string(),
            workspace_id: entry.workspace_id.to_string(),
            user_id: entry.user_id,
            tool: entry.tool,
            model: entry.model,
            prompt_hash: entry.prompt_hash,
            cost_usd: entry.cost_usd,
            result_url: entry.result_url,
            region: entry.region.to_string(),
            retention_days: entry.retention_days,
            event: entry.event,
            data: entry.data,
            seq,
            prev_hash,
            hash,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new().routes(routes!(read)).routes(routes!(checkpoints))
}

/// The log, newest first in pages. With `Accept: application/x-ndjson` or `text/csv` the whole match streams, oldest
/// first, ready for `agentframer audit verify`.
#[utoipa::path(get, path = "/workspaces/{ws}/audit", tag = "audit", operation_id = "read_audit",
    params(("ws" = String, Path, description = "The workspace's id"), Filter),
    responses(
        (status = 200, content((List<AuditEntry> = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"))),
        Refusals))]
async fn read(
    caller: Caller,
    Params(query): Params<Filter>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = caller.may(Permission::ReadActivity).await?;
    let filter = query.read()?;
    let Some(form) = Form::accepted(&headers) else {
        let page = page(query.limit.as_deref(), query.cursor)?;
        let page: List<AuditEntry> = caller.engine.audit(&scope, &filter, page).await?.into();
        return Ok(Json(page).into_response());
    };
    let rows = caller.engine.audit_stream(&scope, &filter)?;
    Ok(form.answer(&format!("audit-{}", scope.workspace.id), rows))
}

/// Hourly signed checkpoints of the log, the newest first; their public keys are at `/reference/keys.json`.
#[utoipa::path(get, path = "/workspaces/{ws}/audit/checkpoints", tag = "audit", operation_id = "list_checkpoints",
    params(("ws" = String, Path, description = "The workspace's id"), Paging),
    responses((status = 200, body = List<Checkpoint>), Refusals))]
async fn checkpoints(caller: Caller, Params(paging): Params<Paging>) -> Result<Json<List<Value>>, Problem> {
    let scope = caller.may(Permission::ReadActivity).await?;
    Ok(Json(caller.engine.checkpoints(&scope, paging.page()?).await?.into()))
}

/// How far the log had come at a full hour.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the shape in the OpenAPI document; the domain writes it")]
struct Checkpoint {
    /// The workspace.
    workspace_id: String,
    /// From 1, without gaps.
    number: i64,
    /// The first row that is new since the checkpoint before.
    first_seq: i64,
    /// The last row.
    last_seq: i64,
    /// How many rows are new.
    count: i64,
    /// The last row's hash.
    head_hash: String,
    /// Rows from this time on …
    #[schema(format = DateTime)]
    from: String,
    /// … to before this one.
    #[schema(format = DateTime)]
    to: String,
    /// SHA-256 of the checkpoint before.
    previous: String,
    /// Ed25519 over the RFC 8785 JSON of all other fields.
    #[schema(value_type = Object)]
    signature: Value,
}
