//! A vendor on this machine whose answers are scripted, and the checks that every adapter passes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use url::Url;

use crate::engine::calls::providers::config::Secret;
use crate::engine::calls::providers::http::{Auth, Http};
use crate::engine::calls::providers::{
    Job, JobId, MediaKind, Output, Poll, Provider, ProviderError, Submitted,
};

/// Starts like a PNG; adapters look no further.
pub(super) const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";
/// Starts like an MP4.
pub(super) const MP4: &[u8] = b"\0\0\0\x20ftypisomrest";
/// The time that the adapters under test give a call.
const TIMEOUT: Duration = Duration::from_millis(300);

pub(super) fn image_job() -> Job {
    Job {
        kind: MediaKind::Image,
        prompt: "a lighthouse".into(),
        model: "gpt-image-2.5".into(),
        width: 1024,
        height: 1024,
        count: 1,
        seed: None,
        duration_s: None,
    }
}

pub(super) fn video_job() -> Job {
    Job { kind: MediaKind::Video, width: 320, height: 180, duration_s: Some(5), ..image_job() }
}

pub(super) fn done(answer: Result<Submitted, ProviderError>) -> Vec<Output> {
    match answer {
        Ok(Submitted::Done(outputs)) => outputs,
        other => panic!("expected outputs, not {other:?}"),
    }
}

pub(super) fn pending(answer: Result<Submitted, ProviderError>) -> JobId {
    match answer {
        Ok(Submitted::Pending(id)) => id,
        other => panic!("expected a job, not {other:?}"),
    }
}

#[derive(Clone)]
enum Reply {
    Body { status: u16, retry_after: Option<&'static str>, bytes: Bytes },
    Hang,
}

/// A request as the vendor saw it.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) line: String,
    headers: axum::http::HeaderMap,
    pub(super) body: Value,
}

impl Seen {
    /// The header's value, empty where it was not sent.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

#[derive(Default)]
struct Script {
    replies: BTreeMap<String, VecDeque<Reply>>,
    seen: Vec<Seen>,
}

/// Answers each `METHOD /path` with its scripted replies in turn, and 404 after the last.
pub(super) struct Vendor {
    pub(super) url: String,
    script: Arc<Mutex<Script>>,
}

impl Vendor {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new().fallback(reply).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, script }
    }

    pub(super) fn http(&self, auth: Auth) -> Http {
        Http::new(Url::parse(&self.url).unwrap(), auth, &Secret::new("test-key"), Some(TIMEOUT)).unwrap()
    }

    pub(super) fn answer(&self, line: &str, status: u16, body: Value) {
        self.push(line, Reply::Body { status, retry_after: None, bytes: body.to_string().into() });
    }

    pub(super) fn file(&self, line: &str, bytes: &'static [u8]) {
        self.push(line, Reply::Body { status: 200, retry_after: None, bytes: Bytes::from_static(bytes) });
    }

    /// Gives `line` the same replies as `like`.
    pub(super) fn repeat(&self, like: &str, line: &str) {
        let mut script = self.script.lock().unwrap();
        let replies = script.replies.get(like).cloned().unwrap_or_default();
        script.replies.insert(line.to_owned(), replies);
    }

    pub(super) fn requests(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }

    fn push(&self, line: &str, reply: Reply) {
        self.script.lock().unwrap().replies.entry(line.to_owned()).or_default().push_back(reply);
    }
}

async fn reply(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1_000_000).await.unwrap();
    let line = format!("{} {}", head.method, head.uri.path());
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let next = {
        let mut script = script.lock().unwrap();
        let next = script.replies.get_mut(&line).and_then(VecDeque::pop_front);
        script.seen.push(Seen { line, headers: head.headers, body });
        next
    };
    match next {
        Some(Reply::Hang) => std::future::pending().await,
        Some(Reply::Body { status, retry_after, bytes }) => {
            let builder = Response::builder().status(status);
            let builder =
                retry_after.into_iter().fold(builder, |builder, after| builder.header("retry-after", after));
            builder.body(Body::from(bytes)).unwrap()
        }
        None => Response::builder().status(404).body(Body::empty()).unwrap(),
    }
}

/// What every adapter makes of a vendor's faults at the submit that `line` names.
pub(super) async fn check_submit_faults(line: &str, make: impl Fn(&Vendor) -> Box<dyn Provider>) {
    let vendor = Vendor::start().await;
    let reply =
        |status, retry_after, text: &'static str| Reply::Body { status, retry_after, bytes: text.into() };
    let provider = make(&vendor);
    let cases = [
        (reply(402, None, "{}"), "unavailable"),
        (reply(401, None, "not json"), "unavailable"),
        (reply(429, Some("7"), "{}"), "busy 7"),
        (
            reply(500, None, "{\"error\":{\"message\":\"key sk-1 at https://x.y\"}}"),
            "failed key […] at […] (HTTP 500)",
        ),
        (reply(200, None, "<html>"), "failed its answer is not JSON"),
        (reply(307, None, "{}"), "failed no reason was given (HTTP 307)"),
        (Reply::Hang, "timeout"),
    ];
    for (reply, expected) in cases {
        vendor.push(line, reply);
        let error = provider.submit(&image_job(), "req_1").await.unwrap_err();
        assert_eq!(word(&error), expected);
        assert_eq!(error.is_retryable(), expected.starts_with("busy"));
    }
    assert!(vendor.requests().iter().all(|request| request.line == line));
}

/// What every adapter that polls makes of faults at the poll that `line` names. `ready` is the answer of a
/// finished job whose file is at a URL; `make` builds the adapter for files of a largest size, and the job.
pub(super) async fn check_poll_faults(
    line: &str,
    ready: impl Fn(&str) -> Value,
    make: impl Fn(&Vendor, usize) -> (Box<dyn Provider>, JobId),
) {
    for (reply, expected) in [
        (Reply::Body { status: 429, retry_after: Some("2"), bytes: "{}".into() }, "busy 2"),
        (Reply::Body { status: 502, retry_after: None, bytes: "<html>".into() }, "busy"),
        (
            Reply::Body { status: 200, retry_after: None, bytes: "<html>".into() },
            "failed its answer is not JSON",
        ),
        (Reply::Hang, "busy"),
    ] {
        let vendor = Vendor::start().await;
        vendor.push(line, reply);
        let (provider, id) = make(&vendor, 1_000);
        assert_eq!(word(&provider.poll(&id).await.unwrap_err()), expected);
    }
    for (file, largest, expected) in [
        (PNG, 1_000, "done"),
        (PNG, 5, "failed its answer is larger than 5 bytes"),
        (b"<svg></svg>", 1_000, "failed the result is not an image or video of a known type"),
    ] {
        let vendor = Vendor::start().await;
        vendor.push(
            line,
            Reply::Body {
                status: 200,
                retry_after: None,
                bytes: ready(&format!("{}/f", vendor.url)).to_string().into(),
            },
        );
        vendor.file("GET /f", file);
        let (provider, id) = make(&vendor, largest);
        let outcome = match provider.poll(&id).await {
            Ok(Poll::Done(_)) => "done".to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(error) => word(&error),
        };
        assert_eq!(outcome, expected);
    }
    let vendor = Vendor::start().await;
    vendor.push(
        line,
        Reply::Body {
            status: 200,
            retry_after: None,
            bytes: ready("https://127.0.0.1/f").to_string().into(),
        },
    );
    let (provider, id) = make(&vendor, 1_000);
    assert_eq!(
        word(&provider.poll(&id).await.unwrap_err()),
        "failed its result is at an address that is not allowed"
    );
}

fn word(error: &ProviderError) -> String {
    match error {
        ProviderError::Refused(text) => format!("refused {text}"),
        ProviderError::Failed(text) => format!("failed {text}"),
        ProviderError::Timeout => "timeout".into(),
        ProviderError::Unavailable(_) => "unavailable".into(),
        ProviderError::Busy { retry_after: Some(after) } => format!("busy {}", after.as_secs()),
        ProviderError::Busy { retry_after: None } => "busy".into(),
    }
}
