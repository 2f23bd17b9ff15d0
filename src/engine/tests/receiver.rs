//! A receiver of webhooks on a real socket: it keeps what came and answers as told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// With a status and a body.
    Status(u16, String),
    /// With a status and `Retry-After`.
    After(u16, &'static str),
    /// With a redirect.
    Redirect(&'static str),
    /// After a while.
    Slow(Duration),
    /// After a while, with a status.
    Late(Duration, u16),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, String::new())
    }
}

/// What came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    /// As it came, compressed or not: what is signed.
    pub(crate) raw: Vec<u8>,
    /// The status that it was answered with.
    pub(crate) status: u16,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        if self.header("content-encoding") != "gzip" {
            return String::from_utf8(self.raw.clone()).unwrap();
        }
        std::io::read_to_string(GzDecoder::new(self.raw.as_slice())).unwrap()
    }

    /// The events of any format.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.text();
        if text.starts_with('[') {
            return serde_json::from_str(&text).unwrap();
        }
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

type Judge = Box<dyn Fn(&Received) -> Option<Reply> + Send + Sync>;

#[derive(Default)]
struct Kept {
    received: Vec<Received>,
    replies: VecDeque<Reply>,
    always: Option<Reply>,
    judge: Option<Judge>,
}

/// A receiver; it ends with the test.
#[derive(Clone)]
pub(crate) struct Receiver {
    kept: Arc<Mutex<Kept>>,
    serving: Arc<Mutex<Option<JoinHandle<()>>>>,
    address: SocketAddr,
    pub(crate) url: String,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self {
            kept: Arc::default(),
            serving: Arc::default(),
            address,
            url: format!("http://{address}/hook"),
        };
        receiver.serve(listener);
        receiver
    }

    fn serve(&self, listener: TcpListener) {
        let router = Router::new().fallback(answer).with_state(self.kept.clone());
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        // Each connection ends with its answer, so that nothing is left of a receiver that stopped.
        let router = router.layer(axum::middleware::map_response(closing));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        *self.serving.lock().unwrap() = Some(serving);
    }

    /// Refuses connections from now on.
    pub(crate) async fn stop(&self) {
        let serving = self.serving.lock().unwrap().take().expect("it runs");
        serving.abort();
        let _ = serving.await;
    }

    /// Serves again at the same address, with what came before still known.
    pub(crate) async fn restart(&self) {
        self.serve(TcpListener::bind(self.address).await.unwrap());
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    /// Answers the next requests so, then 200 again.
    pub(crate) fn then(&self, replies: impl IntoIterator<Item = Reply>) {
        self.kept().replies.extend(replies);
    }

    /// Answers every request so, until told otherwise.
    pub(crate) fn always(&self, reply: Option<Reply>) {
        self.kept().always = reply;
    }

    /// Judges each request that nothing else is said about.
    pub(crate) fn judge(&self, judge: impl Fn(&Received) -> Option<Reply> + Send + Sync + 'static) {
        self.kept().judge = Some(Box::new(judge));
    }

    /// Everything that came.
    pub(crate) fn all(&self) -> Vec<Received> {
        self.kept().received.clone()
    }

    /// The events that were acknowledged, in the order of their coming.
    pub(crate) fn acknowledged(&self) -> Vec<Value> {
        self.all().iter().filter(|request| request.status < 300).flat_map(Received::events).collect()
    }
}

async fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn answer(State(kept): State<Arc<Mutex<Kept>>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut received = Received { headers, raw: body.to_vec(), status: 200 };
    let reply = {
        let mut kept = kept.lock().unwrap();
        let said = kept.replies.pop_front().or_else(|| kept.always.clone());
        said.or_else(|| kept.judge.as_ref().and_then(|judge| judge(&received)))
    };
    let response = match reply {
        None => StatusCode::OK.into_response(),
        Some(Reply::Status(status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Some(Reply::After(status, after)) => {
            (StatusCode::from_u16(status).unwrap(), [("retry-after", after)]).into_response()
        }
        Some(Reply::Redirect(to)) => (StatusCode::FOUND, [("location", to)]).into_response(),
        Some(Reply::Slow(time)) => {
            tokio::time::sleep(time).await;
            StatusCode::OK.into_response()
        }
        Some(Reply::Late(time, status)) => {
            tokio::time::sleep(time).await;
            StatusCode::from_u16(status).unwrap().into_response()
        }
    };
    received.status = response.status().as_u16();
    kept.lock().unwrap().received.push(received);
    response
}
