//! How long the server takes for each page of a demo with `--calls N` calls: p95 over the loopback, one request after the
//! other, on SQLite and PostgreSQL. The promise is made for ten million. Prints a table and writes `pages.json`.
//!
//! `--filled FOLDER --on SQLite` measures what was filled before: there `agentframer demo --data . > demo.txt` ran.
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
#[path = "../../tests/load/installation.rs"]
#[allow(dead_code, reason = "shared with the load tests, which also kill servers")]
mod installation;
mod reader;

use std::path::Path;
use std::time::{Duration, Instant};

use common::Args;
use installation::Installation;
use reader::Reader;
use serde_json::{Value, json};

const DEFAULT_CALLS: i64 = 100_000;
const TIMES: usize = 40;
/// The promise, in milliseconds.
const PROMISED_MS: f64 = 50.0;

/// Below the workspace.
const PAGES: [&str; 25] = [
    "",
    "/agents",
    "/audit",
    "/audit?q=agent%3Agrowth-bot+cost%3A%3E0.05",
    "/audit?tab=refused",
    "/audit?tab=admin",
    "/audit/proof",
    "/generations",
    "/usage",
    "/usage?period=quarter&group=model&interval=day",
    "/usage?period=quarter&group=workspace&interval=day",
    "/usage?period=7d&interval=hour&shape=lines",
    "/billing",
    "/billing?kind=charge&agent=agent.growth-bot",
    "/billing/statement",
    "/members",
    "/caps",
    "/webhooks",
    "/settings",
    "/models",
    "/models/flux-pro-1.1",
    "/data-requests",
    "/retention",
    "/security",
    "/audit?q=before%3A60d",
];

fn main() {
    let args = Args::read();
    let calls = args.number("calls", DEFAULT_CALLS);
    common::runtime().block_on(async {
        let mut results = Vec::new();
        for on in args.databases() {
            results.push(measure(on, demo(on, calls, args.named("filled")).await).await);
        }
        common::write("pages.json", &json!({ "benchmark": "pages", "results": results }));
    });
}

/// An installation with its traffic.
struct Demo {
    installation: Installation,
    /// What the command printed.
    told: String,
    calls: i64,
    /// `None` for one that was filled before.
    seconds: Option<f64>,
}

async fn demo(on: &str, calls: i64, filled: Option<&str>) -> Demo {
    if let Some(folder) = filled {
        let told = std::fs::read_to_string(format!("{folder}/demo.txt")).unwrap();
        let calls = told.split_whitespace().nth(1).unwrap().parse().unwrap();
        return Demo { installation: Installation::existing(folder), told, calls, seconds: None };
    }
    let installation = match on {
        "SQLite" => Installation::sqlite(""),
        _ => Installation::postgres("").await,
    };
    let began = Instant::now();
    let told = installation.run(&["demo", "--calls", &calls.to_string()], "");
    let seconds = began.elapsed().as_secs_f64();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    println!("\n{on}: demo of {calls} calls in {seconds:.0} s, {:.0} calls/s", calls as f64 / seconds);
    Demo { installation, told: String::from_utf8(told.stdout).unwrap(), calls, seconds: Some(seconds) }
}

async fn measure(on: &str, demo: Demo) -> Value {
    let node = demo.installation.start();
    let reader = Reader::sign_in(&node.base, &demo.told).await;
    let workspace = reader.workspace("Growth").await;
    let agent = reader.first_link(&format!("{workspace}/agents"), &format!("{workspace}/agents/")).await;
    let entry = reader.first_link(&format!("{workspace}/audit"), &format!("{workspace}/audit/req_")).await;
    let first = async |place: &str| {
        let list = format!("{workspace}/{place}");
        reader.first_link(&list, &format!("{list}/")).await
    };
    let (webhook, request) = (first("webhooks").await, first("data-requests").await);
    let paid = paid_call(&reader, &workspace).await;
    let certificate = certificate(&reader, &workspace).await;
    let invitation = invitation(&reader, &workspace, demo.installation.path()).await;
    let own = PAGES.iter().map(|page| format!("{workspace}{page}"));
    let shared = ["/", "/account", "/reference"].map(str::to_owned);
    let made = [agent, entry, paid, webhook, request, certificate];
    let pages = shared.into_iter().chain(made).chain(own).map(|page| (&reader, page));
    let guest = reader.signed_out();
    let pages = pages.chain(["/login".to_owned(), invitation].map(|page| (&guest, page)));
    println!("{:<56} {:>8} {:>8}", format!("{on}, {} calls: p95 in ms", demo.calls), "", "");
    let mut lines = Vec::new();
    for (reader, page) in pages {
        let p95 = p95(reader, &page).await;
        let shown = page.replace(&workspace, "/w/{id}");
        println!("{shown:<56} {p95:>8.1} {:>8}", if p95 <= PROMISED_MS { "" } else { "SLOW" });
        lines.push(json!({ "page": shown, "p95_ms": p95 }));
    }
    json!({ "on": on, "calls": demo.calls, "demo_s": demo.seconds, "pages": lines })
}

/// A call with its reservation, its charge, its picture and its prompt.
async fn paid_call(reader: &Reader, workspace: &str) -> String {
    let list = format!("{workspace}/audit?q=agent%3Agrowth-bot+cost%3A%3E0.01");
    reader.first_link(&list, &format!("{workspace}/audit/req_")).await
}

/// That of an erasure which matches nothing, so that the demo stays as it is.
async fn certificate(reader: &Reader, workspace: &str) -> String {
    let id = workspace.trim_start_matches("/w/");
    let today = agentframer::engine::clock::Clock::System.now().date().to_string();
    let unused = ["user_id", "request_ids", "prompt_text", "from", "to", "note"].map(|name| (name, ""));
    let filled = [
        ("workspace", id),
        ("step", "file"),
        ("kind", "erasure"),
        ("subject", "nobody-of-that-name"),
        ("received_on", &today),
        ("requested_by", "The benchmark"),
    ];
    let page = reader.send("file_data_request", &[&filled[..], &unused[..]].concat()).await;
    let request = page.rsplit('/').next().unwrap();
    reader
        .send("approve_data_request", &[("workspace", id), ("request", request), ("identity", "Known.")])
        .await;
    let certificate = format!("{page}/certificate");
    for _ in 0..600 {
        if reader.finds(&certificate).await {
            return certificate;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{page} has no certificate after a minute");
}

/// The page behind the link of an invitation that was just sent.
async fn invitation(reader: &Reader, workspace: &str, folder: &Path) -> String {
    let email = format!("bench-{}@example.com", std::process::id());
    let id = workspace.trim_start_matches("/w/");
    reader.send("invite", &[("workspace", id), ("email", &email), ("role", "viewer")]).await;
    for _ in 0..100 {
        let mails = std::fs::read_dir(folder.join("mail")).into_iter().flatten().flatten();
        let texts = mails.filter_map(|mail| std::fs::read_to_string(mail.path()).ok());
        // Quoted-printable: long lines are broken.
        let texts = texts.map(|text| text.replace("=\r\n", ""));
        for text in texts.filter(|text| text.contains(&email)) {
            if let Some((_, token)) = text.split_once("/invite/") {
                return format!("/invite/{}", token.split_whitespace().next().unwrap());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no mail to {email} was written");
}

async fn p95(reader: &Reader, page: &str) -> f64 {
    reader.assert_shown(page).await;
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let began = Instant::now();
        reader.open(page).await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    common::percentile(&mut times, 95)
}
