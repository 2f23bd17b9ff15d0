//! How fast the log is searched and taken as a file when it is long: each search's first page and page 1,000, and an
//! export's rate and peak memory, on SQLite and PostgreSQL. `--rows 10000000` makes the log as long as the promise.
//! Prints a table and writes `search.json`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints and measures, and stops where it cannot go on"
)]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each benchmark uses what it needs")]
mod common;
mod export;
mod fill;

use std::time::Instant;

use agentframer::engine::Engine;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::log::reading::{AuditFilter, EntryKind, Page};
use common::Args;
use common::place::Place;
use serde_json::{Value, json};

const DEFAULT_ROWS: i64 = 1_000_000;
/// Measurements of each page; they begin at places a little apart, so that no answer is merely remembered.
const TIMES: usize = 40;
/// The page that is far down.
const FAR: usize = 1_000;
/// Pages that one step of the way there takes.
const STEP: usize = 4;
/// The promise, in milliseconds.
const PROMISED_MS: f64 = 50.0;

/// Common, rare, none; alone, combined, excluded; and kinds that are common but not where the search begins.
const SEARCHES: [&str; 26] = [
    "",
    "agent:bot-00",
    "agent:rare",
    "agent:retired",
    "agent:nobody",
    "-agent:bot-00",
    "tool:generate_video",
    "model:model-3",
    "cost:>0.5",
    "cost:>0.0415",
    "cost:>9",
    "cost:0.042",
    "status:free",
    "-status:paid",
    "after:2026-03-01 before:2026-03-02",
    "after:2026-03-01",
    "hash:{common}",
    "hash:{rare}",
    "request:{request}",
    "region:eu-west-1",
    "agent:retired tool:generate_video",
    "agent:bot-00 model:model-3 cost:>0.5",
    "agent:rare hash:{common}",
    "agent:bot-01,bot-02 -tool:generate_image -model:model-1 cost:<0.1",
    "agent:retired after:2026-06-01",
    "-hash:{common} -agent:bot-00,bot-01 status:paid",
];

fn main() {
    let args = Args::read();
    match args.as_slice() {
        [what, rest @ ..] if what == "export" => common::runtime().block_on(export::measure_here(rest)),
        _ => common::runtime().block_on(compare(&args)),
    }
}

async fn compare(args: &Args) {
    let rows = args.number("rows", DEFAULT_ROWS);
    let mut results = Vec::new();
    for on in args.databases() {
        let place = Place::new(on).await;
        let log = fill::fill(&place, rows).await;
        println!("\n{on}, {rows} rows, filled at {:.0} rows/s", log.rows_per_s);
        let searches = measure(&log).await;
        log.engine.shutdown().await;
        let export = export::measure(&place, &log);
        println!("export: {:.0} rows/s, peak memory {:.0} MB", export.rows_per_s, export.peak_mb);
        results.push(json!({ "on": on, "rows": rows, "searches": searches, "export": export.json() }));
        place.remove().await;
    }
    common::write("search.json", &json!({ "benchmark": "audit_search", "results": results }));
}

async fn measure(log: &fill::Log) -> Vec<Value> {
    println!("{:<72} {:>9} {:>12} {:>6}", "p95 in ms", "page 1", "page 1,000", "");
    let mut lines = Vec::new();
    for text in SEARCHES {
        let query = log.named(text);
        let filter = AuditFilter { kind: Some(EntryKind::Calls), search: query.parse().unwrap() };
        let first = p95(&log.engine, &log.scope, &filter, None).await;
        let (far, page) = far(&log.engine, &log.scope, &filter).await;
        let far = p95(&log.engine, &log.scope, &filter, far).await;
        let verdict = if first.max(far) <= PROMISED_MS { "" } else { "SLOW" };
        let shown = if text.is_empty() { "(everything)" } else { text };
        println!("{shown:<72} {first:>9.2} {far:>12.2} {verdict:>6}");
        lines.push(json!({ "search": text, "first_ms": first, "far_ms": far, "far_page": page }));
    }
    lines
}

/// Where page 1,000 of 50 rows begins, or the last page of a shorter list; walked there in longer steps.
async fn far(engine: &Engine, scope: &Scope, filter: &AuditFilter) -> (Option<String>, usize) {
    let mut cursor = None;
    for step in 1..FAR / STEP {
        let page = Page { limit: Some(50 * STEP as u32), cursor: cursor.clone() };
        let next = engine.audit(scope, filter, page).await.unwrap().next_cursor;
        if next.is_none() {
            return (cursor, step * STEP);
        }
        cursor = next;
    }
    (cursor, FAR)
}

async fn p95(engine: &Engine, scope: &Scope, filter: &AuditFilter, cursor: Option<String>) -> f64 {
    let mut times = Vec::with_capacity(TIMES);
    for time in 0..TIMES {
        let at = cursor.as_deref().and_then(|cursor| cursor.parse::<i64>().ok());
        let cursor = at.map(|at| (at - time as i64).to_string());
        let began = Instant::now();
        engine.audit(scope, filter, Page { limit: None, cursor }).await.unwrap();
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    common::percentile(&mut times, 95)
}
