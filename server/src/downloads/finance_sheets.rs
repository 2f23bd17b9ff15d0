//! The sheets that finance saves, from pages and over REST.

use agentframer::domain::focus::{self, Charge, Payer};
use agentframer::domain::time::Time;
use agentframer::domain::usage::Usage;
use agentframer::engine::error::Result;
use agentframer::engine::money::billing::LedgerRow;
use agentframer::engine::money::portfolio::PortfolioRow;
use axum::body::Body;
use axum::response::Response;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::attachment::attachment;
use super::sheet::{CSV, Cell, line, sheet};

/// Calls and spend by time and group.
pub fn usage(usage: &Usage) -> Response {
    let columns =
        ["start", "end", "group", "calls", "cost_usd", "images", "video_seconds", "refused", "failed"];
    let rows = usage.rows.iter().map(|row| {
        let sums = &row.sums;
        [
            Cell::plain(row.start),
            Cell::plain(row.end),
            Cell::text(&*row.group),
            Cell::plain(sums.calls),
            Cell::amount(Some(sums.cost)),
            Cell::plain(sums.images),
            Cell::plain(sums.video_seconds()),
            Cell::plain(sums.refused),
            Cell::plain(sums.failed),
        ]
    });
    attachment("usage.csv", CSV, sheet(columns, rows))
}

/// The ledger, streamed. A fault in the middle ends the connection, so that nobody takes a part for the whole.
pub fn ledger(rows: BoxStream<'static, Result<LedgerRow>>) -> Response {
    let columns = ["id", "ts", "kind", "amount_usd", "balance_after_usd", "request_id", "actor", "reference"];
    let head = stream::once(async move { Ok(written(columns.map(Cell::plain))) });
    let lines = rows.map_ok(|row| written(ledger_line(row)));
    attachment("ledger.csv", CSV, Body::from_stream(head.chain(lines)))
}

fn ledger_line(row: LedgerRow) -> [Cell; 8] {
    [
        Cell::plain(row.id),
        Cell::plain(row.ts),
        Cell::plain(row.kind),
        Cell::amount(Some(row.amount_usd)),
        Cell::amount(Some(row.balance_after_usd)),
        Cell::plain(row.request_id),
        Cell::text(row.actor),
        Cell::text(row.reference.unwrap_or_default()),
    ]
}

fn written<const N: usize>(cells: [Cell; N]) -> Vec<u8> {
    let mut text = Vec::new();
    line(cells, &mut text);
    text
}

/// A month's charges in the columns of FOCUS 1.2.
pub fn focus(month: Time, payer: &Payer, charges: &[Charge]) -> Response {
    let rows = charges.iter().map(|charge| focus::cells(payer, charge).map(Cell::text));
    attachment(&format!("focus-{}.csv", month.month_key()), CSV, sheet(focus::COLUMNS, rows))
}

/// All of a person's workspaces with their balance and month; `state` says why the figures of one are not there.
pub fn workspaces(rows: &[PortfolioRow], now: Time) -> Response {
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
        "state",
    ];
    let lines = rows.iter().map(|row| workspace_line(row, now));
    attachment("workspaces.csv", CSV, sheet(columns, lines))
}

fn workspace_line(row: &PortfolioRow, now: Time) -> [Cell; 12] {
    let of = row.standing.as_ref().ok();
    let alerts: Vec<&str> = of.iter().flat_map(|of| &of.notices).map(|notice| notice.text.as_str()).collect();
    let runs_out = of.and_then(|of| of.runway).and_then(|runway| runway.end(now));
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
        Cell::plain(runs_out.map(Time::day_key).unwrap_or_default()),
        Cell::text(alerts.join(" ")),
        Cell::plain(row.standing.as_ref().map_or_else(|unknown| unknown.as_str(), |_| "ok")),
    ]
}
