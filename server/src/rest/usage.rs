//! Usage by time and group, from the roll-ups.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::money::Usd;
use agentframer::domain::time::Time;
use agentframer::domain::usage::{self, Sums};
use agentframer::engine::log::reading::{Page, Paged, cursor_of};
use agentframer::engine::money::usage::read_query;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::Caller;
use super::input::Params;
use super::paging::page;
use super::problem::{Problem, Refusals};
use super::words::{GroupingWord, IntervalWord};
use crate::downloads::finance_sheets;

/// What usage is asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct UsageParams {
    /// The beginning: a moment or a UTC date; the first of this month where absent. Whole hours are counted.
    #[param(example = "2026-04-01")]
    from: Option<String>,
    /// The end: a moment (exclusive) or a UTC date (its whole day); now where absent.
    #[param(example = "2026-04-30")]
    to: Option<String>,
    /// `hour`, `day` (where absent) or `month`, in UTC.
    #[param(value_type = Option<IntervalWord>, inline)]
    interval: Option<String>,
    /// `user`, `tool`, `model`, `kind` or `workspace`; one row an interval where absent.
    #[param(value_type = Option<GroupingWord>, inline)]
    group_by: Option<String>,
    /// Rows, 1 to 200; all of them where absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What is counted.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageSums {
    /// Successful calls.
    calls: i64,
    /// What was charged.
    #[schema(value_type = f64)]
    cost_usd: Usd,
    /// Images made.
    images: i64,
    /// Seconds of video made.
    video_seconds: f64,
    /// Calls that the rules refused; not charged.
    refused: i64,
    /// Calls that failed; not charged.
    failed: i64,
}

impl From<Sums> for UsageSums {
    fn from(sums: Sums) -> Self {
        let Sums { calls, cost, images, video_ms, refused, failed } = sums;
        Self { calls, cost_usd: cost, images, video_seconds: video_ms as f64 / 1_000.0, refused, failed }
    }
}

/// The sums of one group in one interval.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageRow {
    /// The interval's beginning, or the span's.
    #[schema(value_type = String, format = DateTime)]
    start: Time,
    /// Its end, or the span's.
    #[schema(value_type = String, format = DateTime)]
    end: Time,
    /// The agent, tool, model, kind or workspace; null where usage is not grouped or a tool has no model.
    #[schema(required = true)]
    group: Option<String>,
    /// The sums.
    #[serde(flatten)]
    sums: UsageSums,
}

/// Usage of a span; whole, where no `limit` is given.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageAnswer {
    /// The beginning.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// The end, exclusive.
    #[schema(value_type = String, format = DateTime)]
    to: Time,
    /// `hour`, `day` or `month`.
    interval: &'static str,
    /// `user`, `tool`, `model`, `kind`, `workspace` or null.
    #[schema(required = true)]
    group_by: Option<&'static str>,
    /// All rows together.
    total: UsageSums,
    /// Intervals and groups in which anything happened, in order.
    items: Vec<UsageRow>,
    /// The next page's `cursor`; null on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl From<usage::Usage> for UsageAnswer {
    fn from(usage: usage::Usage) -> Self {
        let row = |row: usage::Row| UsageRow {
            start: row.start,
            end: row.end,
            group: Some(row.group).filter(|group| !group.is_empty()),
            sums: row.sums.into(),
        };
        Self {
            from: usage.span.from,
            to: usage.span.to,
            interval: usage.interval.as_str(),
            group_by: usage.grouping.map(usage::Grouping::as_str),
            total: usage.total().into(),
            items: usage.rows.into_iter().map(row).collect(),
            next_cursor: None,
        }
    }
}

impl UsageAnswer {
    /// One page of the rows; the total stays that of all.
    fn cut(self, page: &Page) -> Result<Self, FieldError> {
        let id = |row: &UsageRow| cursor_of(row.start, row.group.as_deref().unwrap_or_default());
        let Paged { items, next_cursor } = Paged::cut(self.items, page, id)?;
        Ok(Self { items, next_cursor, ..self })
    }
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new().routes(routes!(get_usage))
}

/// Calls and spend by time, and by user, tool, model, kind or workspace. With `Accept: text/csv` as a sheet.
#[utoipa::path(get, path = "/workspaces/{ws}/usage", tag = "usage", operation_id = "get_usage",
    params(("ws" = String, Path, description = "The workspace's id"), UsageParams),
    responses(
        (status = 200, content((UsageAnswer = "application/json"), (String = "text/csv"))),
        Refusals))]
async fn get_usage(
    caller: Caller,
    Params(params): Params<UsageParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = caller.may(Permission::ReadActivity).await?;
    let UsageParams { from, to, interval, group_by, limit, cursor } = &params;
    let now = caller.engine.clock().now();
    let query = read_query(from.as_deref(), to.as_deref(), interval.as_deref(), group_by.as_deref(), now)?;
    let usage = caller.engine.usage(&scope, query).await?;
    if wants_csv(&headers) {
        return Ok(finance_sheets::usage(&usage));
    }
    let answer = UsageAnswer::from(usage);
    if limit.is_none() && cursor.is_none() {
        return Ok(Json(answer).into_response());
    }
    Ok(Json(answer.cut(&page(limit.as_deref(), cursor.clone())?)?).into_response())
}

/// Whether a sheet is asked for rather than JSON.
pub fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.split(',').any(|kind| kind.trim().starts_with("text/csv")))
}
