//! Who asks for a page or sends a form, and with which right.

use std::net::IpAddr;

use agentframer::domain::access::Permission;
use agentframer::domain::ids::{RequestId, UserId, WorkspaceId};
use agentframer::engine::Engine;
use agentframer::engine::access::scope::{Origin, Principal, Scope};
use agentframer::engine::error::{Error, Result};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;
use leptos_router::location::Url;

use crate::flash::Flash;

/// The key under which a session names its person.
pub const SESSION_USER: &str = "user";

/// What the server tells the app about a request.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// Who is signed in.
    pub user: Option<UserId>,
    /// The session's name in the list of the person's sessions.
    pub session: Option<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Names the request in the log.
    pub request_id: RequestId,
}

/// One request with everything that answers it. Taken before the first `await`, where leptos's context still is.
#[derive(Clone)]
pub struct Ask {
    pub engine: Engine,
    pub info: RequestInfo,
    pub parts: Parts,
    pub response: ResponseOptions,
}

impl Ask {
    /// `None` outside a request: leptos runs the app once at start-up to list its routes.
    pub fn here() -> Option<Self> {
        Some(Self {
            engine: use_context()?,
            info: use_context()?,
            parts: use_context()?,
            response: use_context()?,
        })
    }

    /// The person who is signed in.
    pub fn user(&self) -> Result<&UserId> {
        self.info.user.as_ref().ok_or(Error::Unauthenticated)
    }

    /// The right to use `permission` in the workspace called `id`.
    pub async fn scope(&self, id: &str, permission: Permission) -> Result<Scope> {
        let user = Principal::User(self.user()?.clone());
        let id: WorkspaceId = id.parse().map_err(|_| Error::NotFound)?;
        self.engine.scope(&user, &id, permission, self.origin()).await
    }

    /// The request, as the engine records it.
    pub fn origin(&self) -> Origin {
        Origin::new(self.info.request_id.clone(), self.info.address)
    }

    /// The path's part after `/`, counted from 0: `/w/{1}/audit/{3}`.
    pub fn segment(&self, number: usize) -> &str {
        self.parts.uri.path().trim_matches('/').split('/').nth(number).unwrap_or_default()
    }

    /// The path from that part on, decoded: a name that may itself hold `/`, such as a model's.
    pub fn rest(&self, number: usize) -> String {
        let path = self.parts.uri.path().trim_matches('/');
        Url::unescape(path.splitn(number + 1, '/').nth(number).unwrap_or_default())
    }

    /// A value of the query, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query().unwrap_or_default();
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
    }

    /// What the form before this page left to say; said once.
    pub fn flash(&self) -> Flash {
        let flash = Flash::read(&self.parts);
        if flash.is_some() {
            self.header(header::SET_COOKIE, Flash::cleared());
        }
        flash.unwrap_or_default()
    }

    /// Answers with another page.
    pub fn redirect(&self, to: &str) {
        self.response.set_status(StatusCode::SEE_OTHER);
        self.header(header::LOCATION, to.to_owned());
    }

    /// Adds a header to the answer.
    pub fn header(&self, name: HeaderName, value: String) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            self.response.append_header(name, value);
        }
    }

    /// A cookie that the browser sent.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        cookie(&self.parts, name)
    }
}

/// The sign-in page that leads on to `path`.
pub fn login(path: &str) -> String {
    let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    format!("/login?next={next}")
}

/// A cookie's value.
pub fn cookie<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let texts = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}
