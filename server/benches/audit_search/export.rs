//! An export in a process of its own, so that its peak of memory is its own too.

use std::process::Command;
use std::time::Instant;

use agentframer::domain::access::Permission;
use agentframer::engine::Engine;
use agentframer::engine::access::scope::{Origin, Principal};
use agentframer::engine::clock::Clock;
use agentframer::engine::log::reading::AuditFilter;
use agentframer_server::downloads::list::Form;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::common::place::{Place, config};
use super::fill::Log;

/// What one export took.
#[derive(Debug, Serialize, Deserialize)]
pub struct Export {
    rows: u64,
    pub rows_per_s: f64,
    pub peak_mb: f64,
}

impl Export {
    pub fn json(&self) -> Value {
        json!(self)
    }
}

/// Runs it in a new process of this program.
pub fn measure(place: &Place, log: &Log) -> Export {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["export", place.folder.path().to_str().unwrap()]);
    command
        .args([log.made.user_id.as_str(), log.made.workspace_id.as_str()])
        .args(place.urls.iter().flatten());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The whole log as NDJSON, counted and thrown away.
pub async fn measure_here(args: &[String]) {
    let urls = args.get(3).map(|control| [control.clone(), args[4].clone()]);
    let engine = Engine::open(config(&args[0], urls.as_ref()), Clock::System).await.unwrap();
    let user = Principal::User(args[1].parse().unwrap());
    let origin = Origin::new(engine.new_request_id(), None);
    let scope =
        engine.scope(&user, &args[2].parse().unwrap(), Permission::ReadActivity, origin).await.unwrap();
    let began = Instant::now();
    let rows = engine.audit_stream(&scope, &AuditFilter::default()).unwrap();
    let mut body = Form::NdJson.answer("audit", rows).into_body().into_data_stream();
    let mut count = 0;
    while let Some(piece) = body.next().await {
        count += piece.unwrap().iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    let rows_per_s = count as f64 / began.elapsed().as_secs_f64();
    println!("{}", json!(Export { rows: count, rows_per_s, peak_mb: peak_mb() }));
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_000.0
}
