//! The table and `results.json`.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;

use super::load::Measured;

/// One server's numbers.
#[derive(Serialize)]
pub struct Line {
    name: String,
    calls_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Line {
    pub fn new(name: &str, run: Measured) -> Self {
        let (p50_ms, p99_ms) = (run.percentile(50), run.percentile(99));
        Self { name: name.to_owned(), calls_per_s: run.calls_per_s, p50_ms, p99_ms }
    }
}

/// The run in the middle by throughput.
pub fn median(mut runs: Vec<Measured>) -> Measured {
    runs.sort_by(|a, b| a.calls_per_s.total_cmp(&b.calls_per_s));
    let middle = runs.len() / 2;
    runs.swap_remove(middle)
}

/// The first line is what the others are compared with.
pub fn print(lines: &[Line]) {
    println!("{:<12} {:>9} {:>9} {:>9} {:>7}", "", "calls/s", "p50 ms", "p99 ms", "ratio");
    for line in lines {
        let Line { name, calls_per_s, p50_ms, p99_ms } = line;
        let ratio = calls_per_s / lines[0].calls_per_s;
        println!("{name:<12} {calls_per_s:>9.0} {p50_ms:>9.2} {p99_ms:>9.2} {ratio:>7.2}");
    }
}

/// To the file that xtask names, or to `target/bench/results.json` of this checkout.
pub fn write(lines: &[Line], connections: usize) {
    let named = std::env::var_os("AGENTFRAMER_BENCH_RESULTS").map(PathBuf::from);
    let file =
        named.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench/results.json").into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let results =
        json!({ "benchmark": "governed_call", "cores": cores, "connections": connections, "servers": lines });
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("{results:#}\n")).unwrap();
    println!("written to {}", file.display());
}
