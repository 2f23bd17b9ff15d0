//! Who reads in a browser, for what is answered beside the pages.

use agentframer::domain::access::Permission;
use agentframer::domain::ids::{UserId, WorkspaceId};
use agentframer::engine::Engine;
use agentframer::engine::access::scope::{Principal, Scope};
use agentframer::engine::error::{Error, Result};
use agentframer_app::login;
use axum::extract::{Extension, FromRequestParts};
use axum::response::{IntoResponse, Redirect, Response};
use http::request::Parts;
use http::uri::PathAndQuery;
use tower_sessions::Session;

use crate::rest::problem::Problem;
use crate::session_store::USER;
use crate::visit::Visit;

/// One who may be signed in.
pub struct Reader {
    session: Session,
    visit: Visit,
    /// What was asked for.
    path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, Response> {
        let session = Session::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
        let visit = Extension::<Visit>::from_request_parts(parts, state).await;
        let Extension(visit) = visit.map_err(IntoResponse::into_response)?;
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        Ok(Self { session, visit, path })
    }
}

impl Reader {
    /// The person who is signed in.
    pub async fn user(&self) -> Result<UserId> {
        let user = self.session.get::<UserId>(USER).await.map_err(|_| Error::Internal)?;
        user.ok_or(Error::Unauthenticated)
    }

    /// The person's right to `permission` in a workspace.
    pub async fn scope(&self, engine: &Engine, workspace: &str, permission: Permission) -> Result<Scope> {
        let user = Principal::User(self.user().await?);
        let workspace: WorkspaceId = workspace.parse().map_err(|_| Error::NotFound)?;
        engine.scope(&user, &workspace, permission, self.visit.origin()).await
    }

    /// As pages answer a refusal: who is not signed in is sent to do so and comes back; what the reader may not know of is
    /// not there.
    pub fn refused(&self, error: Error) -> Response {
        match error {
            Error::Unauthenticated => Redirect::to(&login(&self.path)).into_response(),
            Error::Forbidden(_) => Problem::from(Error::NotFound).into_response(),
            error => Problem::from(error).into_response(),
        }
    }
}
