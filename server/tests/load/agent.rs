//! The agent's side, and a look at the books by REST.

use std::collections::HashSet;

use reqwest::Client;
use serde_json::{Value, json};

use super::installation::{Made, Node};

/// reqwest asks for a TLS implementation even where none is used.
fn client() -> Client {
    // Fails only where a test before this one did it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

/// What became of a call, as its caller sees it.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Made and paid.
    Paid(Paid),
    /// Refused with this code.
    Refused(String),
    /// The server went away.
    Lost,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Paid {
    pub request_id: String,
    /// Path and query of the result; the port is another one after a restart.
    pub link: String,
}

/// An agent of `made` that speaks with one node.
#[derive(Clone)]
pub struct Agent {
    http: Client,
    url: String,
    token: String,
}

impl Agent {
    pub fn new(made: &Made, node: &Node) -> Self {
        let path = url::Url::parse(&made.mcp_url).unwrap().path().to_owned();
        Self { http: client(), url: format!("{}{path}", node.base), token: made.agent_token.clone() }
    }

    /// A request as a client of the revision 2025-11-25 sends it.
    pub async fn generate(&self, arguments: Value) -> Answer {
        let params = json!({ "name": "generate_image", "arguments": arguments });
        let request = self
            .http
            .post(&self.url)
            .bearer_auth(&self.token)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }));
        let Ok(response) = request.send().await else { return Answer::Lost };
        match response.json::<Value>().await {
            Ok(body) => read(&body["result"]["structuredContent"]).unwrap_or_else(|| panic!("{body}")),
            Err(_) => Answer::Lost,
        }
    }
}

fn read(content: &Value) -> Option<Answer> {
    if let Some(code) = content["error"]["code"].as_str() {
        return Some(Answer::Refused(code.to_owned()));
    }
    let result = url::Url::parse(content["result_url"].as_str()?).ok()?;
    let link = format!("{}?{}", result.path(), result.query()?);
    Some(Answer::Paid(Paid { request_id: content["request_id"].as_str()?.to_owned(), link }))
}

/// An Admin's look at the workspace.
pub struct Books {
    http: Client,
    base: String,
    workspace: String,
    key: String,
}

impl Books {
    pub fn of(made: &Made, node: &Node) -> Self {
        let (workspace, key) = (made.workspace_id.clone(), made.api_key.clone());
        Self { http: client(), base: node.base.clone(), workspace, key }
    }

    async fn get(&self, below: &str, accept: &str) -> String {
        let url = format!("{}/api/v1/workspaces/{}{below}", self.base, self.workspace);
        let answer = self.http.get(url).bearer_auth(&self.key).header("accept", accept).send().await;
        answer.unwrap().error_for_status().unwrap().text().await.unwrap()
    }

    /// The balance and what is reserved of it, in micro-dollars.
    pub async fn money(&self) -> (i64, i64) {
        let credits: Value = serde_json::from_str(&self.get("/credits", "application/json").await).unwrap();
        (micros(&credits["balance_usd"]), micros(&credits["reserved_usd"]))
    }

    /// The request ids of all images in the audit log.
    pub async fn images(&self) -> HashSet<String> {
        let ids = self.images_in_order().await;
        let unique: HashSet<String> = ids.iter().cloned().collect();
        assert_eq!(unique.len(), ids.len(), "a call is in the log twice");
        unique
    }

    /// The same in the log's order.
    pub async fn images_in_order(&self) -> Vec<String> {
        let rows = self.get("/audit?tool=generate_image&kind=calls", "application/x-ndjson").await;
        let id = |row: &str| {
            serde_json::from_str::<Value>(row).unwrap()["request_id"].as_str().unwrap().to_owned()
        };
        rows.lines().map(id).collect()
    }

    /// Sends every image's event to `url`.
    pub async fn send_images_to(&self, url: &str) {
        let webhooks = format!("{}/api/v1/workspaces/{}/webhooks", self.base, self.workspace);
        let made = json!({ "url": url, "format": "generic", "events": ["generation.completed"] });
        let answer = self.http.post(webhooks).bearer_auth(&self.key).json(&made).send().await;
        answer.unwrap().error_for_status().unwrap();
    }

    /// Whether the file behind a result's link is there and whole.
    pub async fn has_file(&self, link: &str) -> bool {
        let answer = self.http.get(format!("{}{link}", self.base)).send().await.unwrap();
        answer.status().is_success() && answer.bytes().await.unwrap().ends_with(b"IEND\xae\x42\x60\x82")
    }
}

/// An amount with at most six decimals.
fn micros(amount: &Value) -> i64 {
    (amount.as_f64().unwrap() * 1e6).round() as i64
}
