//! One request to a receiver: bounded in time and memory, without redirects, to public addresses only.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use reqwest::dns::Resolve;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Response};
use tokio::sync::Notify;
use tokio::time::sleep;
use url::Url;

use crate::domain::ids::WebhookId;
use crate::domain::time::Time;
use crate::domain::webhooks::answer::{Answer, retry_after};
use crate::domain::webhooks::endpoint::{Format, may_be_public};
use crate::domain::webhooks::signature;
use crate::engine::outbound::{PublicAddresses, SystemNames, install_tls};
use crate::engine::random;
use crate::engine::webhooks::secrets::Secrets;

/// To connect.
const CONNECT: Duration = Duration::from_secs(5);
/// To answer, once there is a connection.
const ANSWER: Duration = Duration::from_secs(15);
/// A connection that breaks within it is tried once more.
const QUICK: Duration = Duration::from_secs(1);
/// Answers and requests are kept up to this many bytes.
const KEPT: usize = 20_000;
/// Smaller bodies are not worth compressing.
const WORTH_GZIP: usize = 16_384;

/// Sends to receivers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    client: Client,
    allow_private: bool,
    answer: Duration,
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
        Self::resolving(SystemNames, allow_private)
    }

    fn resolving(names: impl Resolve + 'static, allow_private: bool) -> Result<Self, String> {
        install_tls();
        let builder = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .no_proxy()
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("AgentFramer/", env!("CARGO_PKG_VERSION")));
        let builder = if allow_private {
            builder.dns_resolver(Arc::new(names))
        } else {
            builder.dns_resolver(Arc::new(PublicAddresses(names)))
        };
        let client = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { client, allow_private, answer: ANSWER })
    }

    /// Sends, and tells what came back and how long it took.
    pub(super) async fn send(&self, request: &Request<'_>) -> (Answer, Duration) {
        let began = Instant::now();
        let mut answer = self.attempt(request).await;
        if matches!(answer, Err(Fault::Broke)) && began.elapsed() < QUICK {
            answer = self.attempt(request).await;
        }
        let none = |fault: Fault| {
            let timed_out = matches!(fault, Fault::Slow);
            Answer { fault: Some(fault.sentence()), timed_out, ..Answer::default() }
        };
        (answer.unwrap_or_else(none), began.elapsed())
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
        headers.insert(CONTENT_LENGTH, body.len().into());
        let connected = Arc::new(Notify::new());
        let sending = self.client.post(url).headers(headers).body(announced(body, &connected)).send();
        let patience = async {
            // A connection that is never ready for a request counts as one that is not made.
            let _ = tokio::time::timeout(CONNECT, connected.notified()).await;
            sleep(self.answer).await;
        };
        tokio::select! {
            response = sending => Ok(read(response.map_err(|error| Fault::of(&error))?, request.at).await),
            () = patience => Err(Fault::Slow),
        }
    }
}

/// A body that tells when it is asked for: then there is a connection, and the answer's time begins.
fn announced(body: Vec<u8>, connected: &Arc<Notify>) -> Body {
    let connected = Arc::clone(connected);
    Body::wrap_stream(stream::once(async move {
        connected.notify_one();
        Ok::<_, Infallible>(body)
    }))
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
    answer.body = kept(&body);
    answer
}

/// What is kept of a body: text that a database takes, which is no text with a NUL, of [`KEPT`] bytes at most.
pub(super) fn kept(body: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&body[..body.len().min(KEPT)]).replace('\0', "\u{FFFD}");
    // Each byte that is no text has become three.
    text.truncate(text.floor_char_boundary(KEPT));
    text
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

/// Splunk's channel: a UUID that is the same for the endpoint at all times.
pub(super) fn channel(id: &WebhookId) -> String {
    let digest = random::fingerprint(id.as_str());
    format!(
        "{}-{}-4{}-8{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[13..16],
        &digest[17..20],
        &digest[20..32]
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, SocketAddr};

    use reqwest::dns::{Addrs, Name, Resolving};

    use super::*;
    use crate::engine::tests::receiver::{Receiver, Reply};

    /// Leads every name to one address, after a while.
    struct Leads(IpAddr, Duration);

    impl Resolve for Leads {
        fn resolve(&self, _: Name) -> Resolving {
            let (address, pause) = (SocketAddr::new(self.0, 0), self.1);
            Box::pin(async move {
                sleep(pause).await;
                Ok(Box::new(std::iter::once(address)) as Addrs)
            })
        }
    }

    async fn send(sender: &Sender, url: &str) -> Answer {
        let secrets =
            Secrets { secret: "whsec_".into(), old_secret: None, token: None, headers: BTreeMap::new() };
        let request = Request {
            url,
            format: Format::Generic,
            id: "evt_1",
            body: b"{}",
            secrets: &secrets,
            signing: Vec::new(),
            channel: String::new(),
            at: Time(0),
        };
        sender.send(&request).await.0
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_never_connected_to() {
        let receiver = Receiver::start().await;
        let url = receiver.url.replace("127.0.0.1", "siem.example.com");
        let leads = |address: &str| Leads(address.parse().unwrap(), Duration::ZERO);
        for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"] {
            let strict = Sender::resolving(leads(address), false).unwrap();
            let began = Instant::now();
            let refused = send(&strict, &url).await;
            assert!(refused.status.is_none() && refused.fault.unwrap().contains("no public address"));
            assert!(began.elapsed() < Duration::from_secs(1), "{address}: nothing was waited for");
        }
        assert!(receiver.all().is_empty());
        let lax = Sender::resolving(leads("127.0.0.1"), true).unwrap();
        assert_eq!(send(&lax, &url).await.status, Some(200), "the name leads there");
    }

    #[tokio::test]
    async fn the_answer_has_its_time_from_the_connection_on() {
        let receiver = Receiver::start().await;
        let url = receiver.url.replace("127.0.0.1", "siem.example.com");
        // Tenths of seconds stand for seconds.
        let tenths = |count: u64| Duration::from_millis(100 * count);
        let names = Leads("127.0.0.1".parse().unwrap(), tenths(10));
        let sender = Sender { answer: tenths(15), ..Sender::resolving(names, true).unwrap() };
        receiver.then([Reply::Slow(tenths(8)), Reply::Slow(tenths(17))]);
        assert_eq!(send(&sender, &url).await.status, Some(200), "the name took its own time");
        let late = send(&sender, &url).await;
        assert!(late.status.is_none() && late.timed_out, "{late:?}");
        assert_eq!(ANSWER, Duration::from_secs(15));
    }

    #[test]
    fn what_is_kept_is_text_for_any_database_and_no_longer_than_it_may_be() {
        assert_eq!(kept(b"a\0b"), "a\u{FFFD}b");
        for body in
            [vec![0xFF; 30_000], vec![0; 30_000], "\u{e4}".repeat(30_000).into_bytes(), vec![b'x'; 30_000]]
        {
            let kept = kept(&body);
            assert!((KEPT - 2..=KEPT).contains(&kept.len()) && !kept.contains('\0'), "{}", kept.len());
        }
    }
}
