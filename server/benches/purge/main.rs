//! What a great purge costs those who call meanwhile: a steady load of paid calls before it and during it, and the
//! process's memory. `--objects 1000000` is the promise's number; half are pictures, half their thumbnails, all real files; each
//! generation has a sealed prompt, each day a key.
//! Prints a table and writes `purge.json`.
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
mod fill;
mod load;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agentframer::domain::money::Usd;
use agentframer::engine::Engine;
use agentframer::engine::calls::providers::{Null, Providers};
use agentframer::engine::clock::Clock;
use common::Args;
use common::place::{self, Place};
use load::{Latencies, Load, Steady};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const DEFAULT_OBJECTS: i64 = 100_000;
/// The promise: the calls' p99 in relation to their normal.
const PROMISED: f64 = 1.5;
/// Memory is flat where the purge's second half needs no more than its first: by then caches are full, and only what grows
/// with the number of objects would still grow.
const FLAT_MB: f64 = 8.0;

fn main() {
    let args = Args::read();
    let objects = args.number("objects", DEFAULT_OBJECTS);
    common::runtime().block_on(async {
        let mut results = Vec::new();
        for on in args.databases() {
            results.push(measure(on, objects).await);
        }
        common::write("purge.json", &json!({ "benchmark": "purge", "results": results }));
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
    place.settle().await;
    let load = Load::of(&engine, &made).await;
    // The first calls find every cache empty.
    Steady::start(load.clone()).for_a_while().await;
    let normal = Steady::start(load.clone()).for_a_while().await;
    let (during, purge) = purge(&engine, load, objects / 2).await;
    let ratio = during.percentile(99) / normal.percentile(99);
    let (first_half, second_half) = purge.peaks_mb;
    for (when, seen) in [("normal", &normal), ("while it purges", &during)] {
        let (p50, p99) = (seen.percentile(50), seen.percentile(99));
        println!("{when:<16} p50 {p50:>7.2} ms  p99 {p99:>7.2} ms  {} calls", seen.calls());
    }
    let slow = if ratio <= PROMISED { "" } else { "  SLOW" };
    let grew = if second_half - first_half <= FLAT_MB { "" } else { "  GREW" };
    println!(
        "p99 x {ratio:.2}{slow}, {:.0} objects/s, memory at most {first_half:.0} MB in the first half, {second_half:.0} MB in the second{grew}",
        purge.objects_per_s
    );
    engine.shutdown().await;
    place.remove().await;
    json!({
        "on": on, "objects": objects, "objects_per_s": purge.objects_per_s, "normal_p99_ms": normal.percentile(99),
        "p99_ms": during.percentile(99), "ratio": ratio, "first_half_mb": first_half, "second_half_mb": second_half,
    })
}

struct Purged {
    objects_per_s: f64,
    peaks_mb: (f64, f64),
}

/// Purges all that is due, under load: the `filled` generations.
async fn purge(engine: &Engine, load: Load, filled: i64) -> (Latencies, Purged) {
    let (steady, memory) = (Steady::start(load), Watch::start());
    let began = Instant::now();
    let report = engine.purge().await.unwrap();
    let objects_per_s = 2.0 * report.generations as f64 / began.elapsed().as_secs_f64();
    assert_eq!((report.failed, report.held, report.stopped_by), (0, 0, None));
    assert_eq!(report.generations, filled as u64, "all that was filled, and nothing else");
    assert!(report.keys > 0, "with the last prompt of a day its key goes");
    (steady.end().await, Purged { objects_per_s, peaks_mb: memory.end() })
}

/// Samples of the process's memory, ten a second.
struct Watch {
    samples: Arc<Mutex<Vec<f64>>>,
    task: JoinHandle<()>,
}

impl Watch {
    fn start() -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let seen = samples.clone();
        let task = tokio::spawn(async move {
            loop {
                seen.lock().unwrap().push(resident_mb());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { samples, task }
    }

    /// The peak of the first half of the time, and of the second.
    fn end(self) -> (f64, f64) {
        self.task.abort();
        let samples = self.samples.lock().unwrap();
        let (first, second) = samples.split_at(samples.len() / 2);
        let peak = |half: &[f64]| half.iter().copied().fold(0.0, f64::max);
        (peak(first), peak(second))
    }
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_000.0
}
