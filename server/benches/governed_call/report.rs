//! The table, and each server's numbers.

use serde::Serialize;

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
