//! A receiver that takes what comes: counts events, and remembers when each request's arrived. Two of its paths are slow.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use flate2::read::GzDecoder;
use serde_json::Value;

#[derive(Default)]
struct Seen {
    events: AtomicU64,
    requests: Mutex<HashMap<String, Instant>>,
}

/// It ends with the benchmark.
#[derive(Clone)]
pub struct Receiver {
    seen: Arc<Seen>,
    pub url: String,
}

impl Receiver {
    pub async fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let router = Router::new().route("/batches", post(count)).route("/one", post(remember));
        let router = router.route("/hanging", post(|| after(60))).route("/slow", post(|| after(2)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = router.with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { seen, url }
    }

    pub fn events(&self) -> u64 {
        self.seen.events.load(Ordering::Relaxed)
    }

    /// When the event of a request arrived.
    pub fn arrived(&self, request: &str) -> Option<Instant> {
        self.seen.requests.lock().unwrap().get(request).copied()
    }
}

/// Lines of Splunk's, or the objects of a Datadog array, each of which has one `ddsource`.
async fn count(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> &'static str {
    let text = match headers.contains_key("content-encoding") {
        true => std::io::read_to_string(GzDecoder::new(body.as_ref())).unwrap(),
        false => String::from_utf8(body.to_vec()).unwrap(),
    };
    let mark = if text.starts_with('[') { "\"ddsource\"" } else { "\"sourcetype\"" };
    let events = text.matches(mark).count();
    seen.events.fetch_add(events as u64, Ordering::Relaxed);
    "{\"text\":\"Success\",\"code\":0}"
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn remember(State(seen): State<Arc<Seen>>, body: Bytes) {
    let now = Instant::now();
    let event: Value = serde_json::from_slice(&body).unwrap();
    let request = event["request_id"].as_str().unwrap().to_owned();
    seen.requests.lock().unwrap().insert(request, now);
}
