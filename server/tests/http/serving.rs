//! `agentframer serve` as a process: how it greets, what it logs, what works beside it, and how it ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::command_line::{agentframer, bootstrap, code, errors};
use super::support::{Databases, Mcp, NEW, both_engines, client, path_of, read};

/// A running process; dropping it kills it.
struct Server {
    databases: Databases,
    process: Child,
    base: String,
    greeting: Vec<String>,
}

impl Server {
    /// With the lines of `settings` before the databases' own.
    async fn start(databases: Databases, settings: &str) -> Self {
        let folder = databases.folder.path();
        std::fs::write(folder.join("agentframer.toml"), format!("{settings}\n{}", databases.toml())).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_agentframer"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut greeting = Vec::new();
        let base = tokio::task::block_in_place(|| {
            lines
                .inspect(|line| greeting.push(line.clone()))
                .find_map(|line| line.strip_prefix("AgentFramer serves ").map(str::to_owned))
        });
        let base = base.unwrap_or_else(|| panic!("{}", std::fs::read_to_string(folder.join("log")).unwrap()));
        Self { databases, process, base, greeting }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.databases.folder.path().join("log")).unwrap()
    }

    /// Runs `bootstrap` beside the server; `region` is `eu-west-1` or `us-east-1`.
    fn bootstrap(&self, region: &str) -> Value {
        let output =
            tokio::task::block_in_place(|| bootstrap(self.databases.folder.path(), &["--region", region]));
        assert_eq!(code(&output), 0, "{}", errors(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn run(&self, args: &[&str]) -> i32 {
        code(&tokio::task::block_in_place(|| agentframer(self.databases.folder.path(), args, "")))
    }

    fn mcp<'a>(&self, http: &'a reqwest::Client, made: &Value) -> Mcp<'a> {
        let url = format!("{}{}", self.base, path_of(made["mcp_url"].as_str().unwrap()));
        Mcp { http, url, token: made["agent_token"].as_str().map(str::to_owned), version: NEW }
    }

    async fn get(&self, http: &reqwest::Client, made: &Value, below: &str) -> Value {
        let url =
            format!("{}/api/v1/workspaces/{}{below}", self.base, made["workspace_id"].as_str().unwrap());
        read(http.get(url).bearer_auth(made["api_key"].as_str().unwrap()).send().await.unwrap()).await.1
    }

    fn terminate(&self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    async fn end(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(40), "it does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only where it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A vendor that tells when it was asked, and answers when it is told to.
struct SlowVendor {
    base: String,
    asked: Arc<Notify>,
    answer: Arc<Notify>,
}

impl SlowVendor {
    async fn start() -> Self {
        let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (asked.clone(), answer.clone());
        let generate = move || async move {
            tell.notify_one();
            wait.notified().await;
            Json(json!({ "data": [{ "b64_json": PICTURE }] }))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/v1/images/generations", post(generate));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, asked, answer }
    }

    fn settings(&self) -> String {
        format!("[providers.openai]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"key\"\n", self.base)
    }
}

/// A PNG of one pixel.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUISwAAAABJRU5ErkJggg==";

both_engines! {
    async fn the_first_start_prints_a_link_that_the_log_never_has(on) {
        let server = Server::start(on, "").await;
        let link = format!("Set up at {}/setup?token=", server.base);
        let links: Vec<&String> = server.greeting.iter().filter(|line| line.starts_with(&link)).collect();
        assert_eq!(links.len(), 1, "{:?}", server.greeting);
        assert!(links[0].len() > link.len() + 40, "a token that nobody guesses");
        assert!(!server.log().contains("setup_"), "{}", server.log());
    }

    async fn commands_work_beside_it_and_are_in_force_within_a_second(on) {
        let server = Server::start(on, "").await;
        let http = client();
        let made = server.bootstrap("eu-west-1");
        let mcp = server.mcp(&http, &made);
        assert_eq!(mcp.send("tools/list", json!({})).await.0, StatusCode::OK);
        let again = server.bootstrap("eu-west-1");
        assert_eq!((&again["workspace_id"], &again["agent_id"]), (&made["workspace_id"], &made["agent_id"]));
        tokio::time::sleep(Duration::from_secs(1)).await;
        for mcp in [mcp, server.mcp(&http, &again)] {
            assert_eq!(mcp.send("tools/list", json!({})).await.0, StatusCode::OK, "the token before works for a day");
        }
        assert_eq!(server.get(&http, &again, "/credits").await["balance_usd"], 100, "no money moved twice");
        assert_eq!((server.run(&["check"]), server.run(&["migrate"])), (0, 0));
    }

    async fn a_request_has_one_id_in_answer_result_audit_and_log(on) {
        let server = Server::start(on, "log_format = \"json\"").await;
        let http = client();
        let made = server.bootstrap("eu-west-1");
        let call = json!({ "name": "generate_image", "arguments": { "prompt": "a fox", "width": 64, "height": 64 } });
        let response = server.mcp(&http, &made).request("tools/call", call).send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(read(response).await.1["result"]["structuredContent"]["request_id"], *id);
        let found = server.get(&http, &made, &format!("/audit?request_id={id}")).await;
        assert_eq!(found["items"][0]["request_id"], *id);
        let lines: Vec<Value> = server.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_call = |line: &&Value| line["span"]["id"] == *id && line["message"] == "answered";
        let line = lines.iter().find(of_call).unwrap_or_else(|| panic!("{lines:?}"));
        assert_eq!((&line["status"], &line["span"]["method"]), (&json!(200), &json!("POST")));
        let (_, url_key) = made["mcp_url"].as_str().unwrap().rsplit_once('/').unwrap();
        for secret in [url_key, made["agent_token"].as_str().unwrap(), made["api_key"].as_str().unwrap()] {
            assert!(!server.log().contains(secret), "{}", server.log());
        }
    }

    async fn a_signal_during_a_slow_generation_lets_it_settle_and_answer(on) {
        let vendor = SlowVendor::start().await;
        let mut server = Server::start(on, &vendor.settings()).await;
        let http = client();
        let made = server.bootstrap("us-east-1");
        let mcp = server.mcp(&http, &made);
        let call = json!({ "name": "generate_image", "arguments": { "prompt": "a fox", "model": "gpt-image-1-mini" } });
        let answer = tokio::spawn(mcp.request("tools/call", call).send());
        vendor.asked.notified().await;
        server.terminate();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(client().get(format!("{}/healthz", server.base)).send().await.is_err(), "no new connections");
        vendor.answer.notify_one();
        let (_, answer) = read(answer.await.unwrap().unwrap()).await;
        assert_eq!(answer["result"]["structuredContent"]["cost_usd"], 0.036, "{answer}");
        assert!(server.end().await.success());
        assert_settled(&server, &made);
    }

    async fn a_signal_after_the_client_hung_up_lets_the_call_settle(on) {
        let vendor = SlowVendor::start().await;
        let mut server = Server::start(on, &vendor.settings()).await;
        let http = client();
        let made = server.bootstrap("us-east-1");
        let call = json!({ "name": "generate_image", "arguments": { "prompt": "a fox", "model": "gpt-image-1-mini" } });
        let request = tokio::spawn(server.mcp(&http, &made).request("tools/call", call).send());
        vendor.asked.notified().await;
        request.abort();
        server.terminate();
        tokio::time::sleep(Duration::from_millis(300)).await;
        vendor.answer.notify_one();
        assert!(server.end().await.success());
        assert_settled(&server, &made);
    }
}

/// One charge, nothing reserved, in the books that the process left.
fn assert_settled(server: &Server, made: &Value) {
    assert_eq!(server.run(&["check"]), 0);
    let again = server.bootstrap("us-east-1");
    assert_eq!(again["workspace_id"], made["workspace_id"]);
    let books = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(books(server)));
    assert_eq!(books, (99_964_000, 0));
}

/// Available and reserved micro-dollars of the one workspace.
async fn books(server: &Server) -> (i64, i64) {
    let config = server.databases.config();
    let cell = config.cells().into_iter().find(|cell| cell.region.as_str() == "us-east-1").unwrap();
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&config.cell_url(&cell)).await.unwrap();
    let books = sqlx::query_as("SELECT available, reserved FROM accounts").fetch_one(&pool).await.unwrap();
    pool.close().await;
    books
}
