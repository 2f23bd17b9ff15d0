//! The one way in which adapters talk to vendors: bounded in time and size, without redirects, and with the
//! key only where it belongs.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::{Host, Url};

use crate::engine::calls::providers::config::{Secret, host_region, is_loopback};
use crate::engine::calls::providers::output::LARGEST_OUTPUT;
use crate::engine::calls::providers::{Output, ProviderError};
use crate::engine::outbound::{PublicAddresses, SystemNames, install_tls};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A submit may be synchronous, so it takes as long as an image may.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(120);
/// A poll only asks for a state.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// JSON that carries no media is far below this.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// Longer texts of a provider are cut, in characters.
const LONGEST_TEXT: usize = 200;
/// Words from this length on that hold a digit are taken for keys or tokens.
const KEY_LENGTH: usize = 20;

/// The header that carries the key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Auth {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// `Authorization: Key KEY`
    Key,
    /// `x-key: KEY`
    XKey,
}

/// A vendor's API.
pub(super) struct Http {
    base: Url,
    api: Client,
    /// For results on other hosts: never sends the key, never reaches a private address.
    downloads: Client,
    submit_timeout: Duration,
    /// Largest answer of the API in bytes.
    pub(super) largest_answer: usize,
    /// Largest file that is copied, in bytes.
    pub(super) largest_output: usize,
}

/// An answer of the API, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    retry_after: Option<Duration>,
    /// Null where the answer was not JSON.
    pub(super) body: Value,
}

impl Http {
    /// Talks to `base`; `timeout` bounds each submit.
    pub(super) fn new(
        base: Url,
        auth: Auth,
        key: &Secret,
        timeout: Option<Duration>,
    ) -> Result<Self, String> {
        install_tls();
        let headers = key_header(auth, key).ok_or("api_key has characters that a header cannot carry")?;
        let (mut api, mut downloads) = (client().default_headers(headers), client());
        if is_loopback(&base) {
            (api, downloads) = (api.no_proxy(), downloads.no_proxy());
        }
        let downloads = downloads.dns_resolver(Arc::new(PublicAddresses(SystemNames)));
        Ok(Self {
            base,
            api: api.build().map_err(|error| error.to_string())?,
            downloads: downloads.build().map_err(|error| error.to_string())?,
            submit_timeout: timeout.unwrap_or(SUBMIT_TIMEOUT),
            largest_answer: LARGEST_ANSWER,
            largest_output: LARGEST_OUTPUT,
        })
    }

    /// The base and `path` below it. A base that already ends with the path's first part, such as `/v1`,
    /// keeps one.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let last = url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let below = if last == Some(first) { rest } else { path };
        let below: Vec<_> = below.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(below);
        }
        url
    }

    /// A URL that the vendor named for asking again: it must be the vendor's own, since the key goes with it.
    ///
    /// Own means the same scheme and the same registrable domain (its last two labels), and the same region
    /// where the configured host names one. On plain addresses, host and port must be equal.
    pub(super) fn own_url(&self, text: &str) -> Result<Url, ProviderError> {
        let foreign = || ProviderError::Failed("it named an address that is not its own".into());
        let url = Url::parse(text).map_err(|_| foreign())?;
        let same_host = match (self.base.host(), url.host()) {
            (Some(Host::Domain(base)), Some(Host::Domain(host))) => {
                base == host || host.ends_with(&domain_of(base))
            }
            (base, host) => base == host,
        };
        let own = same_host
            && url.scheme() == self.base.scheme()
            && url.port_or_known_default() == self.base.port_or_known_default()
            && has_no_login(&url)
            && self.same_region(&url);
        if own { Ok(url) } else { Err(foreign()) }
    }

    fn same_region(&self, url: &Url) -> bool {
        host_region(&self.base).is_none_or(|region| host_region(url) == Some(region))
    }

    /// Hands a job over. A refused connection is [`ProviderError::Busy`]: nothing was accepted.
    pub(super) async fn submit(
        &self,
        url: Url,
        request_id: &str,
        body: &Value,
    ) -> Result<Answer, ProviderError> {
        let request = self.api.post(url).json(body).header("x-client-request-id", request_id);
        self.send(request.timeout(self.submit_timeout)).await
    }

    /// Asks for a state. What may pass by itself, a timeout or a server's fault, is `Busy`: ask again later.
    pub(super) async fn get(&self, url: Url) -> Result<Answer, ProviderError> {
        let request = self.api.get(url).timeout(self.submit_timeout.min(POLL_TIMEOUT));
        let answer = self.send(request).await.map_err(again)?;
        if answer.status.is_server_error() {
            return Err(ProviderError::Busy { retry_after: answer.retry_after });
        }
        Ok(answer)
    }

    /// Asks to stop, by the vendor's method; an answer of any status will do.
    pub(super) async fn cancel(&self, method: reqwest::Method, url: Url) -> Result<(), ProviderError> {
        let request = self.api.request(method, url).timeout(self.submit_timeout.min(POLL_TIMEOUT));
        self.send(request).await.map(drop)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ProviderError> {
        let response = request.send().await.map_err(fault)?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let bytes = read(response, self.largest_answer).await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, retry_after, body })
    }

    /// Copies a result from where the vendor put it.
    ///
    /// # Errors
    /// `Busy` where asking again may help; `Failed` for foreign addresses, other types and too large files.
    pub(super) async fn download(&self, text: &str) -> Result<Output, ProviderError> {
        let url = self.result_url(text)?;
        let response = self
            .downloads
            .get(url)
            .timeout(self.submit_timeout)
            .send()
            .await
            .map_err(fault)
            .map_err(again)?;
        match response.status() {
            status if status.is_success() => {}
            status if status.is_server_error() => return Err(ProviderError::Busy { retry_after: None }),
            status => return Err(ProviderError::Failed(format!("its result answered {}", status.as_u16()))),
        }
        Output::new(read(response, self.largest_output).await.map_err(again)?)
    }

    /// The results' URL: a public host over https, or the configured host itself.
    fn result_url(&self, text: &str) -> Result<Url, ProviderError> {
        let wrong = || ProviderError::Failed("its result is at an address that is not allowed".into());
        let url = Url::parse(text).map_err(|_| wrong())?;
        let public =
            url.scheme() == "https" && matches!(url.host(), Some(Host::Domain(name)) if name.contains('.'));
        let allowed =
            (public || url.origin() == self.base.origin()) && has_no_login(&url) && self.same_region(&url);
        if allowed { Ok(url) } else { Err(wrong()) }
    }
}

impl Answer {
    /// The body of a success. `moderated` recognises a refusal by moderation in the body of an error.
    pub(super) fn success(self, moderated: fn(&Value) -> bool) -> Result<Value, ProviderError> {
        if self.status.is_success() {
            let garbage = || ProviderError::Failed("its answer is not JSON".into());
            return Some(self.body).filter(|body| !body.is_null()).ok_or_else(garbage);
        }
        let text = message(&self.body);
        if moderated(&self.body) {
            return Err(ProviderError::Refused(text));
        }
        Err(match self.status.as_u16() {
            401 | 403 => ProviderError::Unavailable("it does not accept this installation's key".into()),
            402 => ProviderError::Unavailable("this installation's credits there are used up".into()),
            408 | 504 => ProviderError::Timeout,
            429 => ProviderError::Busy { retry_after: self.retry_after },
            status => ProviderError::Failed(format!("{text} (HTTP {status})")),
        })
    }
}

fn client() -> ClientBuilder {
    Client::builder()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("AgentFramer/", env!("CARGO_PKG_VERSION")))
}

fn key_header(auth: Auth, key: &Secret) -> Option<HeaderMap> {
    let (name, text) = match auth {
        Auth::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        Auth::Key => (AUTHORIZATION, format!("Key {}", key.expose())),
        Auth::XKey => (HeaderName::from_static("x-key"), key.expose().to_owned()),
    };
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(HeaderMap::from_iter([(name, value)]))
}

/// `.bfl.ai` for `api.eu.bfl.ai`. Vendors' hosts have no suffix of two parts, such as `.co.uk`.
fn domain_of(host: &str) -> String {
    let labels: Vec<_> = host.rsplitn(3, '.').take(2).collect();
    labels.iter().rev().fold(String::new(), |domain, label| domain + "." + label)
}

fn has_no_login(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

fn fault(error: reqwest::Error) -> ProviderError {
    if error.is_connect() {
        ProviderError::Busy { retry_after: None }
    } else if error.is_timeout() {
        ProviderError::Timeout
    } else {
        ProviderError::Failed("the connection broke".into())
    }
}

/// A broken or slow connection while asking, which may be asked again.
fn again(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Timeout => ProviderError::Busy { retry_after: None },
        other => other,
    }
}

/// `Retry-After` in seconds; its other form, a date, is not used by these vendors.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The whole body, given up as soon as it is beyond `limit` bytes.
async fn read(mut response: Response, limit: usize) -> Result<Bytes, ProviderError> {
    let too_large = || ProviderError::Failed(format!("its answer is larger than {limit} bytes"));
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The text of an error, wherever the vendors put it, cleaned.
pub(super) fn message(body: &Value) -> String {
    const PLACES: [&str; 6] = ["/error/message", "/detail/0/msg", "/detail", "/error", "/message", "/title"];
    let text = PLACES.iter().find_map(|place| body.pointer(place)?.as_str());
    text.map(clean).filter(|text| !text.is_empty()).unwrap_or_else(|| "no reason was given".into())
}

/// A provider's text as it may be shown: one line, cut to 200 characters, without addresses and keys.
pub(super) fn clean(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<_> = spaced.split_whitespace().map(clean_word).collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn clean_word(word: &str) -> Cow<'_, str> {
    let is_key =
        word.starts_with("sk-") || (word.len() >= KEY_LENGTH && word.bytes().any(|b| b.is_ascii_digit()));
    if word.contains("://") || is_key { Cow::Borrowed("[…]") } else { Cow::Borrowed(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(base: &str) -> Http {
        Http::new(Url::parse(base).unwrap(), Auth::Bearer, &Secret::new("k"), None).unwrap()
    }

    #[test]
    fn paths_join_below_the_base() {
        assert_eq!(http("https://a.b").url("v1/x").as_str(), "https://a.b/v1/x");
        assert_eq!(http("https://a.b/v1").url("v1/x").as_str(), "https://a.b/v1/x");
        assert_eq!(http("https://a.b/proxy/").url("v1/x").as_str(), "https://a.b/proxy/v1/x");
        assert_eq!(http("https://a.b").url("v1/../../x?y#z").as_str(), "https://a.b/v1/x%3Fy%23z");
    }

    #[test]
    fn the_key_goes_to_the_vendor_only() {
        let global = http("https://api.bfl.ai");
        for own in ["https://api.bfl.ai/x", "https://api.eu2.bfl.ai/x?id=1"] {
            assert!(global.own_url(own).is_ok(), "{own}");
        }
        for foreign in [
            "http://api.bfl.ai/x",
            "https://evilbfl.ai/",
            "https://bfl.ai.evil.com/",
            "https://api.bfl.ai:8443/",
            "https://user@api.bfl.ai/",
            "https://127.0.0.1/",
            "file:///etc/passwd",
            "nonsense",
        ] {
            assert!(global.own_url(foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn a_regional_host_accepts_answers_of_its_region_only() {
        let eu = http("https://api.eu.bfl.ai");
        assert!(eu.own_url("https://api.eu2.bfl.ai/x").is_ok());
        assert!(eu.own_url("https://api.us1.bfl.ai/x").is_err());
        assert!(eu.own_url("https://api.bfl.ai/x").is_err());
        assert!(eu.result_url("https://delivery-eu1.bfl.ai/x").is_ok());
        assert!(eu.result_url("https://delivery-us1.bfl.ai/x").is_err());
    }

    #[test]
    fn results_come_from_public_hosts_over_https() {
        let vendor = http("https://queue.fal.run");
        assert!(vendor.result_url("https://v3.fal.media/files/a.mp4").is_ok());
        for wrong in [
            "http://v3.fal.media/a",
            "https://localhost/a",
            "https://10.0.0.1/a",
            "https://[::1]/a",
            "data:,a",
        ] {
            assert!(vendor.result_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_lose_keys_addresses_and_length() {
        let text = "Incorrect API key\nprovided: sk-abc. See https://x.y/z with 0123456789abcdef01234567";
        assert_eq!(clean(text), "Incorrect API key provided: […] See […] with […]");
        assert_eq!(clean(&"long ".repeat(100)).chars().count(), LONGEST_TEXT + 1);
        assert_eq!(message(&serde_json::json!({"detail": [{"msg": "no"}]})), "no");
        assert_eq!(message(&Value::Null), "no reason was given");
    }
}
