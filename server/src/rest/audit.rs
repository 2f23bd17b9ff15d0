//! The log: in pages, or streamed whole for a warehouse or a spreadsheet.

use agentframer::domain::access::Permission;
use agentframer::domain::audit::Linked;
use agentframer::domain::field::FieldError;
use agentframer::domain::money::Usd;
use agentframer::domain::time::Time;
use agentframer::engine::error::Error;
use agentframer::engine::reading::{AuditFilter, EntryKind};
use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::Caller;
use super::csv;
use super::input::{Params, parsed};
use super::paging::{List, Paging, page};
use super::problem::{Problem, Refusals};

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
    /// `calls` or `administration`; both where absent.
    kind: Option<String>,
}

impl Filter {
    fn read(&self) -> Result<AuditFilter, FieldError> {
        const TIME: &str = "a time, such as 2026-04-29T14:22:08.413Z";
        const AMOUNT: &str = "an amount in US dollars, such as 0.042";
        let amount = |text: &str| text.parse::<Usd>().ok();
        Ok(AuditFilter {
            from: parsed("from", self.from.as_deref(), Time::parse, TIME)?,
            to: parsed("to", self.to.as_deref(), Time::parse, TIME)?,
            user_id: self.user_id.clone(),
            tool: self.tool.clone(),
            model: self.model.clone(),
            request_id: self.request_id.clone(),
            prompt_hash: self.prompt_hash.clone(),
            min_cost: parsed("min_cost_usd", self.min_cost_usd.as_deref(), amount, AMOUNT)?,
            max_cost: parsed("max_cost_usd", self.max_cost_usd.as_deref(), amount, AMOUNT)?,
            kind: parsed("kind", self.kind.as_deref(), kind, "calls or administration")?,
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
    Ok(form.answer(scope.workspace.id.as_str(), rows))
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

/// How a stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    NdJson,
    Csv,
}

impl Form {
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let mut types =
            lines.flat_map(|line| line.split(',')).map(|entry| entry.split(';').next().unwrap_or("").trim());
        types.find_map(|essence| match essence {
            "application/x-ndjson" => Some(Self::NdJson),
            "text/csv" => Some(Self::Csv),
            _ => None,
        })
    }

    /// A fault breaks the stream off, so that nobody takes a part for the whole.
    fn answer(self, workspace: &str, rows: BoxStream<'static, Result<Linked, Error>>) -> Response {
        let lines = rows.map_ok(move |row| self.line(&row));
        let head = stream::iter((self == Self::Csv).then(|| Ok(csv::head())));
        let body = Body::from_stream(head.chain(lines).map_err(std::io::Error::other));
        let (content_type, ending) = match self {
            Self::NdJson => ("application/x-ndjson", "ndjson"),
            Self::Csv => ("text/csv; charset=utf-8", "csv"),
        };
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(value) =
            HeaderValue::from_str(&format!("attachment; filename=\"audit-{workspace}.{ending}\""))
        {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        response
    }

    fn line(self, row: &Linked) -> String {
        match self {
            Self::NdJson => serde_json::to_string(row).map(|line| line + "\n").unwrap_or_default(),
            Self::Csv => csv::line(row),
        }
    }
}
