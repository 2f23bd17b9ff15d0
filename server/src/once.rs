//! The layer that does a form once though it is sent twice. On a double click a browser gives the first answer up and
//! sends the form again; without this, money would move twice, and a token that is shown once would be lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use http::{HeaderMap, Method, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::rest::problem::Problem;

/// So long after the first, the same form from the same session is the same act.
const REMEMBERED: Duration = Duration::from_secs(3);
/// Longer forms are lists that somebody pasted; they are not held.
const LARGEST: usize = 64 * 1024;

type Hash = [u8; 32];
/// An answer that can be given again; `None` where there is none.
type Answer = Shared<BoxFuture<'static, Option<(http::response::Parts, Bytes)>>>;

/// The newest form of each session, on this server.
#[derive(Clone, Default)]
pub struct Newest(Arc<Mutex<HashMap<Hash, Sent>>>);

struct Sent {
    form: Hash,
    at: Instant,
    answer: Answer,
}

impl Newest {
    /// The answer that this form has already, or the one that `work` will give.
    fn answer(&self, session: Hash, form: Hash, work: impl FnOnce() -> Answer) -> Answer {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest.retain(|_, sent| sent.at.elapsed() < REMEMBERED || sent.answer.peek().is_none());
        if let Some(sent) = newest.get(&session).filter(|sent| sent.form == form) {
            return sent.answer.clone();
        }
        let answer = work();
        newest.insert(session, Sent { form, at: Instant::now(), answer: answer.clone() });
        answer
    }
}

/// Runs a form to its end, even where the browser goes away, and gives its answer to whoever sends it again meanwhile.
pub async fn once(State(newest): State<Newest>, request: Request, next: Next) -> Response {
    let Some(session) = session_of_form(&request) else { return next.run(request).await };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST).await else { return cut_off().into_response() };
    let form = hash(&[
        parts.uri.path().as_bytes(),
        value(&parts.headers, "referer"),
        value(&parts.headers, "origin"),
        &body,
    ]);
    let work = move || {
        let request = Request::from_parts(parts, Body::from(body));
        let running = tokio::spawn(async move { whole(next.run(request).await).await });
        running.map(|ended| ended.ok().flatten()).boxed().shared()
    };
    match newest.answer(session, form, work).await {
        Some((parts, body)) => Response::from_parts(parts, Body::from(body)),
        None => Problem::internal().into_response(),
    }
}

async fn whole(response: Response) -> Option<(http::response::Parts, Bytes)> {
    let (parts, body) = response.into_parts();
    Some((parts, to_bytes(body, usize::MAX).await.ok()?))
}

fn cut_off() -> Problem {
    let detail = "The form did not arrive whole, so nothing was done. Send it again.";
    Problem::new(StatusCode::BAD_REQUEST, "cut-off", "Form cut off", detail)
}

/// The session of a page's form; `None` for everything else.
fn session_of_form(request: &Request) -> Option<Hash> {
    let function = request.uri().path().strip_prefix("/api/")?;
    let is_form = request.method() == Method::POST && !function.contains('/');
    let length: usize = std::str::from_utf8(value(request.headers(), "content-length")).ok()?.parse().ok()?;
    let lines = request.headers().get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).map(str::trim);
    let session = cookies.find(|cookie| cookie.starts_with("af=") || cookie.starts_with("__Host-af="))?;
    (is_form && length <= LARGEST).then(|| hash(&[session.as_bytes()]))
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a [u8] {
    headers.get(name).map(http::HeaderValue::as_bytes).unwrap_or_default()
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &'static str) -> Answer {
        let (parts, ()) = Response::new(()).into_parts();
        futures::future::ready(Some((parts, Bytes::from_static(text.as_bytes())))).boxed().shared()
    }

    async fn heard(newest: &Newest, session: u8, form: u8, text: &'static str) -> Bytes {
        newest.answer([session; 32], [form; 32], || said(text)).await.unwrap().1
    }

    #[tokio::test]
    async fn the_same_form_of_the_same_session_is_answered_as_before() {
        let newest = Newest::default();
        assert_eq!(heard(&newest, 1, 1, "first").await, "first");
        assert_eq!(heard(&newest, 1, 1, "again").await, "first");
        assert_eq!(heard(&newest, 2, 1, "another person").await, "another person");
    }

    #[tokio::test]
    async fn what_comes_after_another_form_is_an_act_of_its_own() {
        let newest = Newest::default();
        for text in ["pause", "resume", "pause once more"] {
            let form = if text == "resume" { 2 } else { 1 };
            assert_eq!(heard(&newest, 1, form, text).await, text);
        }
    }

    #[test]
    fn only_forms_of_sessions_are_held() {
        let held = |method: Method, path: &str, cookie: &str| {
            let request = Request::builder().method(method).uri(path);
            let request = request.header("cookie", cookie).header("content-length", "9");
            session_of_form(&request.body(Body::empty()).unwrap()).is_some()
        };
        assert!(held(Method::POST, "/api/top_up", "theme=dark; af=x"));
        assert!(held(Method::POST, "/api/top_up", "__Host-af=x"));
        assert!(!held(Method::POST, "/api/sign_in", "theme=dark"));
        assert!(!held(Method::POST, "/api/v1/workspaces/ws/top-ups", "af=x"));
        assert!(!held(Method::GET, "/api/top_up", "af=x"));
    }
}
