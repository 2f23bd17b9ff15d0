//! Usage over time (contract §3).

use agentframer::domain::access::Permission;
use agentframer::domain::money::Usd;
use agentframer::domain::time::Time;
use agentframer::domain::usage::UsageQuery;
use agentframer::engine::search::Pieces;
use agentframer::engine::usage::{Sums, UsageRow, UsageView};
use axum::Json;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::Caller;
use super::csv::{Line, Record};
use super::input::{Params, parsed};
use super::problem::{Problem, Refusals};
use crate::export::Form;

/// Which usage.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// From this time on; 30 days before `to` where absent.
    #[param(format = DateTime)]
    from: Option<String>,
    /// To before this time; now where absent.
    #[param(format = DateTime)]
    to: Option<String>,
    /// `hour` (at most 31 days), `day` (two years) or `month` (ten years).
    interval: Option<String>,
    /// `user`, `tool`, `model` or `kind`.
    group_by: Option<String>,
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
    /// Refused calls; nothing was charged.
    refused: i64,
    /// Failed calls; nothing was charged.
    failed: i64,
}

impl From<Sums> for UsageSums {
    fn from(sums: Sums) -> Self {
        let Sums { calls, cost_usd, images, video_seconds, refused, failed } = sums;
        Self { calls, cost_usd, images, video_seconds, refused, failed }
    }
}

/// A bucket and a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageItem {
    /// The bucket's first moment in UTC.
    #[schema(value_type = String, format = DateTime)]
    start: Time,
    /// The agent, tool, model or kind.
    key: String,
    /// What was counted.
    #[serde(flatten)]
    sums: UsageSums,
}

/// Usage of a span: only buckets in which something happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    /// The first bucket's first moment.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
    /// The end of the last bucket.
    #[schema(value_type = String, format = DateTime)]
    to: Time,
    /// `hour`, `day` or `month`.
    interval: &'static str,
    /// `user`, `tool`, `model` or `kind`.
    group_by: &'static str,
    /// In order of time.
    items: Vec<UsageItem>,
    /// Always null: it is one page.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// All of it.
    totals: UsageSums,
    /// The same span right before.
    previous: UsageSums,
    /// This month's spend, if the rest of it goes on as the last fortnight did.
    #[schema(value_type = f64)]
    forecast_month_usd: Usd,
}

impl From<UsageView> for Usage {
    fn from(view: UsageView) -> Self {
        let item = |row: UsageRow| UsageItem { start: row.start, key: row.key, sums: row.sums.into() };
        Self {
            from: view.query.from,
            to: view.query.to,
            interval: view.query.interval.as_str(),
            group_by: view.query.group_by.as_str(),
            items: view.rows.into_iter().map(item).collect(),
            next_cursor: None,
            totals: view.totals.into(),
            previous: view.before.into(),
            forecast_month_usd: view.forecast_month_usd,
        }
    }
}

impl Record for UsageRow {
    const COLUMNS: &'static [&'static str] =
        &["start", "key", "calls", "cost_usd", "images", "video_seconds", "refused", "failed"];

    fn write(&self, line: &mut Line<'_>) {
        line.plain(self.start);
        line.text(&self.key);
        line.plain(self.sums.calls);
        line.plain(self.sums.cost_usd);
        line.plain(self.sums.images);
        line.plain(self.sums.video_seconds);
        line.plain(self.sums.refused);
        line.plain(self.sums.failed);
    }
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new().routes(routes!(usage))
}

/// Calls, spend and output by bucket and group, as JSON or, with `Accept: text/csv` or `application/x-ndjson`, as a file.
#[utoipa::path(get, path = "/workspaces/{ws}/usage", tag = "usage", operation_id = "get_usage",
    params(("ws" = String, Path, description = "The workspace's id"), Query),
    responses((status = 200, body = Usage), Refusals))]
async fn usage(
    caller: Caller,
    Params(query): Params<Query>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = caller.may(Permission::ReadActivity).await?;
    let from = parsed("from", query.from.as_deref(), Time::parse, "a time such as 2026-04-29T00:00:00Z")?;
    let to = parsed("to", query.to.as_deref(), Time::parse, "a time such as 2026-04-30T00:00:00Z")?;
    let now = caller.engine.clock().now();
    let query = UsageQuery::read((from, to), query.interval.as_deref(), query.group_by.as_deref(), now)?;
    let view = caller.engine.usage(&scope, query).await?;
    Ok(match Form::accepted(&headers) {
        Some(form) => form.answer("usage", rows(view)),
        None => Json(Usage::from(view)).into_response(),
    })
}

/// The rows as a download takes them.
pub fn rows(view: UsageView) -> Pieces<UsageRow> {
    Box::pin(stream::once(async { Ok(view.rows) }))
}
