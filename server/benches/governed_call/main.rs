//! What governing a call costs: `generate_image` through the real server, with a provider that answers at once,
//! beside a bare `rmcp` echo server, in one run. Prints a table and writes `results.json`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops where it cannot go on"
)]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each benchmark uses what it needs")]
mod common;
mod echo;
#[path = "../../tests/load/installation.rs"]
#[allow(dead_code, reason = "shared with the load tests, which also kill servers")]
mod installation;
mod load;
mod report;

use std::time::Duration;

use common::Args;
use installation::Installation;
use load::{Load, Measured};
use report::Line;
use serde_json::json;

const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(6);
/// Taken in turn, so that a noisy neighbour hits all alike; the median counts.
const ROUNDS: usize = 3;
const SETTINGS: &str =
    "log = \"warn\"\n[limits]\ncalls_per_minute_per_agent = 4000000000\n[providers.local]\nkind = \"null\"\n";

fn main() {
    match Args::read().as_slice() {
        [what] if what == "echo" => common::runtime().block_on(echo::serve()),
        _ => common::runtime().block_on(compare()),
    }
}

async fn compare() {
    let echo = echo::Process::start();
    let sqlite = Governed::start(Installation::sqlite(SETTINGS));
    let postgres = Governed::start(Installation::postgres(SETTINGS).await);
    let loads = [
        ("rmcp echo", Load::new(&echo.url, "", "echo", json!({ "text": "a fox in the snow" }))),
        ("SQLite", sqlite.load()),
        ("PostgreSQL", postgres.load()),
    ];
    let mut runs: [Vec<Measured>; 3] = Default::default();
    for round in 1..=ROUNDS {
        for ((name, load), runs) in loads.iter().zip(&mut runs) {
            let run = load.run(CONNECTIONS, WARM_UP, MEASURED).await;
            println!("round {round} of {ROUNDS}: {name} {:.0} calls/s", run.calls_per_s);
            runs.push(run);
        }
    }
    let lines: Vec<Line> =
        loads.iter().zip(runs).map(|((name, _), runs)| Line::new(name, report::median(runs))).collect();
    report::print(&lines);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let results =
        json!({ "benchmark": "governed_call", "cores": cores, "connections": CONNECTIONS, "servers": lines });
    common::write("results.json", &results);
    for governed in [&sqlite, &postgres] {
        governed.installation.expect_clean();
    }
    println!("the books are clean; removing the pictures");
}

/// A server with one rich workspace.
struct Governed {
    installation: Installation,
    node: installation::Node,
    made: installation::Made,
}

impl Governed {
    fn start(installation: Installation) -> Self {
        let made = installation.bootstrap("900000");
        let node = installation.start();
        Self { installation, node, made }
    }

    fn load(&self) -> Load {
        let path = url::Url::parse(&self.made.mcp_url).unwrap().path().to_owned();
        let url = format!("{}{path}", self.node.base);
        Load::new(&url, &self.made.agent_token, "generate_image", json!({ "prompt": "a fox in the snow" }))
    }
}
