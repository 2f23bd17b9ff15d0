//! What a great purge costs those who call meanwhile: a steady load of paid calls before it and during it, and the
//! process's memory. `--objects 1000000` is the promise's number; half are pictures, half their thumbnails, all real files.
//! Prints a table and writes `purge.json`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints and measures, and stops where it cannot go on"
)]

mod fill;
mod load;
#[path = "../audit_search/place.rs"]
mod place;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agentframer::domain::money::Usd;
use agentframer::engine::Engine;
use agentframer::engine::calls::providers::{Null, Providers};
use agentframer::engine::clock::Clock;
use load::{Latencies, Load, Steady};
use place::Place;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const DEFAULT_OBJECTS: i64 = 100_000;
/// The promise: the calls' p99 in relation to their normal.
const PROMISED: f64 = 1.5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let named = |name: &str| args.iter().position(|arg| arg == name).map(|at| args[at + 1].clone());
    let objects = named("--objects").map_or(DEFAULT_OBJECTS, |text| text.parse().unwrap());
    let only = named("--on");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut results = Vec::new();
        for on in
            ["SQLite", "PostgreSQL"].into_iter().filter(|on| only.as_deref().is_none_or(|only| only == *on))
        {
            results.push(measure(on, objects).await);
        }
        write(&results);
    });
}

async fn measure(on: &str, objects: i64) -> Value {
    let place = Place::new(on).await;
    let providers = Providers::default().with("local", Arc::new(Null), Duration::from_secs(5));
    let engine = Engine::open_with(place.config(), Clock::System, providers).await.unwrap();
    let made = engine.bootstrap(place::bootstrap(Usd::dollars(1_000_000))).await.unwrap();
    let began = Instant::now();
    fill::fill(&place, &engine, &made, objects / 2).await;
    println!("\n{on}: {objects} objects, filled in {:.0} s", began.elapsed().as_secs_f64());
    let load = Load::of(&engine, &made).await;
    let normal = Steady::start(load.clone()).for_a_while().await;
    let memory = resident_mb();
    let (during, purge) = purge(&engine, load).await;
    let (ratio, grown) = (during.percentile(99) / normal.percentile(99), purge.peak_mb - memory);
    for (when, seen) in [("normal", &normal), ("while it purges", &during)] {
        let (p50, p99) = (seen.percentile(50), seen.percentile(99));
        println!("{when:<16} p50 {p50:>7.2} ms  p99 {p99:>7.2} ms  {} calls", seen.calls());
    }
    let verdict = if ratio <= PROMISED { "" } else { "  SLOW" };
    println!(
        "p99 x {ratio:.2}{verdict}, {:.0} objects/s, memory {memory:.0} MB + {grown:.0} MB",
        purge.objects_per_s
    );
    engine.shutdown().await;
    place.remove().await;
    json!({
        "on": on, "objects": objects, "objects_per_s": purge.objects_per_s, "normal_p99_ms": normal.percentile(99),
        "p99_ms": during.percentile(99), "ratio": ratio, "memory_mb": memory, "grown_mb": grown,
    })
}

struct Purged {
    objects_per_s: f64,
    peak_mb: f64,
}

/// Purges all that is due, under load.
async fn purge(engine: &Engine, load: Load) -> (Latencies, Purged) {
    let (steady, memory) = (Steady::start(load), Watch::start());
    let began = Instant::now();
    let report = engine.purge().await.unwrap();
    let objects_per_s = 2.0 * report.generations as f64 / began.elapsed().as_secs_f64();
    assert_eq!((report.failed, report.held), (0, 0));
    (steady.end().await, Purged { objects_per_s, peak_mb: memory.end() })
}

/// Samples of the process's memory, ten a second.
struct Watch {
    peak: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Watch {
    fn start() -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let seen = peak.clone();
        let task = tokio::spawn(async move {
            loop {
                seen.fetch_max(resident_mb() as u64, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { peak, task }
    }

    fn end(self) -> f64 {
        self.task.abort();
        self.peak.load(Ordering::Relaxed) as f64
    }
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_000.0
}

fn write(results: &[Value]) {
    let named = std::env::var_os("AGENTFRAMER_BENCH_RESULTS").map(PathBuf::from);
    let file =
        named.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench/results.json").into());
    let file = file.with_file_name("purge.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("{:#}\n", json!({ "benchmark": "purge", "results": results }))).unwrap();
    println!("written to {}", file.display());
}
