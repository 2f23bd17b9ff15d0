//! One request to a receiver: bounded in time and memory, without redirects, to public addresses only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::Url;

use crate::domain::time::Time;
use crate::domain::webhooks::answer::{Answer, retry_after};
use crate::domain::webhooks::endpoint::{Format, may_be_public};
use crate::domain::webhooks::signature;
use crate::engine::outbound::{PublicAddresses, install_tls};
use crate::engine::webhooks::secrets::Secrets;

/// To connect.
const CONNECT: Duration = Duration::from_secs(5);
/// To answer.
const ANSWER: Duration = Duration::from_secs(15);
/// A connection that breaks within it is tried once more.
const QUICK: Duration = Duration::from_secs(1);
/// Answers and requests are kept up to this many bytes.
pub(super) const KEPT: usize = 20_000;
/// Smaller bodies are not worth compressing.
const WORTH_GZIP: usize = 16_384;

/// Sends to receivers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    client: Client,
    allow_private: bool,
}

/// What goes out.
pub(super) struct Request<'a> {
    pub(super) url: &'a str,
    pub(super) format: Format,
    pub(super) id: &'a str,
    pub(super) body: &'a [u8],
    pub(super) secrets: &'a Secrets,
    pub(super) signing: Vec<String>,
    /// The endpoint's id as a UUID, Splunk's channel.
    pub(super) channel: String,
    pub(super) at: Time,
}

impl Sender {
    /// A client that follows no redirect and resolves to public addresses, unless private ones are allowed.
    ///
    /// # Errors
    /// A sentence, where TLS cannot be set up.
    pub(crate) fn new(allow_private: bool) -> Result<Self, String> {
        install_tls();
        let builder = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .no_proxy()
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("AgentFramer/", env!("CARGO_PKG_VERSION")));
        let builder = if allow_private { builder } else { builder.dns_resolver(Arc::new(PublicAddresses)) };
        Ok(Self { client: builder.build().map_err(|error| error.to_string())?, allow_private })
    }

    /// Sends, and tells what came back and how long it took.
    pub(super) async fn send(&self, request: &Request<'_>) -> (Answer, Duration) {
        let began = Instant::now();
        let mut answer = self.attempt(request).await;
        if matches!(answer, Err(Fault::Broke)) && began.elapsed() < QUICK {
            answer = self.attempt(request).await;
        }
        let answer =
            answer.unwrap_or_else(|fault| Answer { fault: Some(fault.sentence()), ..Answer::default() });
        (answer, began.elapsed())
    }

    /// Posts JSON elsewhere under the same rules; answers the status.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) async fn post_json(&self, url: &str, body: &serde_json::Value) -> Result<u16, String> {
        let url = self.allowed(url).map_err(|fault| fault.sentence())?;
        let sent = self.client.post(url).json(body).timeout(ANSWER).send().await;
        sent.map(|response| response.status().as_u16()).map_err(|error| Fault::of(&error).sentence())
    }

    /// A literal address never reaches the resolver, so it is judged here.
    fn allowed(&self, url: &str) -> Result<Url, Fault> {
        let url = Url::parse(url).map_err(|_| Fault::Forbidden)?;
        if self.allow_private || may_be_public(&url) { Ok(url) } else { Err(Fault::Forbidden) }
    }

    async fn attempt(&self, request: &Request<'_>) -> Result<Answer, Fault> {
        let url = self.allowed(request.url)?;
        let (body, zipped) = pack(request);
        let mut headers = headers(request, &body);
        if zipped {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let sending = self.client.post(url).headers(headers).body(body).send();
        let response = tokio::time::timeout(CONNECT + ANSWER, sending).await.map_err(|_| Fault::Slow)?;
        let response = response.map_err(|error| Fault::of(&error))?;
        Ok(read(response, request.at).await)
    }
}

/// Batches are compressed; the generic body stays as any receiver can read it.
fn pack(request: &Request<'_>) -> (Vec<u8>, bool) {
    if request.format == Format::Generic || request.body.len() < WORTH_GZIP {
        return (request.body.to_vec(), false);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let zipped = std::io::Write::write_all(&mut encoder, request.body).and_then(|()| encoder.finish());
    zipped.map_or_else(|_| (request.body.to_vec(), false), |zipped| (zipped, true))
}

/// The user's own headers, and ours over them. What is signed is what is sent.
fn headers(request: &Request<'_>, body: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.secrets.headers {
        add(&mut headers, name, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let seconds = request.at.micros() / 1_000_000;
    add(&mut headers, "x-agentframer-signature", &signature::ours(&request.signing, seconds, body));
    add(&mut headers, "x-agentframer-event-id", request.id);
    add(&mut headers, "webhook-id", request.id);
    add(&mut headers, "webhook-timestamp", &seconds.to_string());
    add(&mut headers, "webhook-signature", &signature::standard(&request.signing, request.id, seconds, body));
    let token = request.secrets.token.as_deref();
    match (request.format, token) {
        (Format::Datadog, Some(token)) => add(&mut headers, "dd-api-key", token),
        (Format::SplunkHec, Some(token)) => {
            add(&mut headers, "authorization", &format!("Splunk {token}"));
            add(&mut headers, "x-splunk-request-channel", &request.channel);
        }
        (Format::Generic, Some(token)) => add(&mut headers, "authorization", &format!("Bearer {token}")),
        (_, None) => {}
    }
    headers
}

/// Names and values were checked when they were set.
fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

/// The status decides; of the body only the beginning is read, and a body that breaks or hangs changes nothing.
async fn read(mut response: Response, now: Time) -> Answer {
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let mut answer = Answer {
        status: Some(response.status().as_u16()),
        retry_after: after.and_then(|text| retry_after(text, now)),
        ..Answer::default()
    };
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(KEPT - body.len())]);
            if body.len() == KEPT {
                break;
            }
        }
    };
    // An answer that trickles is judged by what came of it.
    let _ = tokio::time::timeout(CONNECT, reading).await;
    answer.body = String::from_utf8_lossy(&body).into_owned();
    answer
}

/// Why no answer came.
enum Fault {
    Forbidden,
    Unreachable,
    Broke,
    Slow,
}

impl Fault {
    fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Slow
        } else if error.is_connect() {
            Self::Unreachable
        } else {
            Self::Broke
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Forbidden => "the address is not public, so nothing was sent",
            Self::Unreachable => "no connection: the host does not answer, has no public address, or its certificate is not valid",
            Self::Broke => "the connection broke before an answer came",
            Self::Slow => "no answer within 15 seconds",
        }
        .into()
    }
}
