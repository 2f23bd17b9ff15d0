//! Who calls the REST API: a program with a key of the workspace. An agent's token or a session does not work here.

use std::str::FromStr;

use agentframer::domain::access::Permission;
use agentframer::domain::ids::WorkspaceId;
use agentframer::engine::Engine;
use agentframer::engine::access::scope::{Principal, Scope};
use agentframer::engine::error::Error;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use http::{HeaderMap, header};

use super::Rest;
use super::problem::Problem;
use crate::visit::Visit;

/// What begins a REST key.
const KEY: &str = "af_key_";

/// A key that is valid for the workspace in the path.
pub struct Caller {
    /// The engine to ask.
    pub engine: Engine,
    principal: Principal,
    workspace: WorkspaceId,
    visit: Visit,
}

impl Caller {
    /// The right to use `permission`.
    ///
    /// # Errors
    /// 404 or 403, as the engine says.
    pub async fn may(&self, permission: Permission) -> Result<Scope, Problem> {
        let origin = self.visit.origin();
        Ok(self.engine.scope(&self.principal, &self.workspace, permission, origin).await?)
    }
}

impl FromRequestParts<Rest> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Problem> {
        let secret =
            bearer(&parts.headers).filter(|secret| secret.starts_with(KEY)).ok_or(Error::Unauthenticated)?;
        // The key first: who has none learns nothing about what exists.
        let principal = rest.engine.key_principal(secret).await?.ok_or(Error::Unauthenticated)?;
        let workspace: WorkspaceId = parameter(parts, rest, "ws").await?;
        let visit = parts.extensions.get::<Visit>().cloned().ok_or_else(Problem::internal)?;
        Ok(Self { engine: rest.engine.clone(), principal, workspace, visit })
    }
}

/// The `{id}` of the path. What cannot be an id names nothing: 404.
pub struct PathId<I>(pub I);

impl<I: FromStr> FromRequestParts<Rest> for PathId<I> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Problem> {
        parameter(parts, rest, "id").await.map(Self)
    }
}

async fn parameter<I: FromStr>(parts: &mut Parts, rest: &Rest, name: &str) -> Result<I, Problem> {
    let params = RawPathParams::from_request_parts(parts, rest).await.map_err(|_| Error::NotFound)?;
    let found = params.iter().find(|(key, _)| *key == name);
    found.and_then(|(_, value)| value.parse().ok()).ok_or_else(|| Error::NotFound.into())
}

/// The token of `Authorization: Bearer …`; the scheme's letters may be of any case.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_bearer_token_is_read_whatever_its_schemes_case() {
        let with = |line| HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(line))]);
        assert_eq!(bearer(&with("bearer af_key_1")), Some("af_key_1"));
        assert_eq!(bearer(&with("Bearer  af_key_1 ")), Some("af_key_1"));
        assert_eq!(bearer(&with("Basic af_key_1")), None);
        assert_eq!(bearer(&with("af_key_1")), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
