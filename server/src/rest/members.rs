//! Members and invitations.

use agentframer::domain::access::Permission;
use agentframer::domain::ids::UserId;
use agentframer::domain::time::Time;
use agentframer::engine::access::members;
use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::{Caller, PathId};
use super::input::{Body, Params};
use super::paging::{List, Paging};
use super::problem::{Problem, Refusals};
use super::words::RoleWord;

/// A person in the workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    /// The person's id.
    id: String,
    /// The person's name.
    name: String,
    /// The person's address.
    email: String,
    /// What the person may do here.
    #[schema(example = "viewer")]
    role: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    joined_at: Time,
    /// When the person was last seen.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_seen_at: Option<Time>,
}

impl From<members::Member> for Member {
    fn from(member: members::Member) -> Self {
        Self {
            id: member.user_id.to_string(),
            name: member.name,
            email: member.email,
            role: member.role.to_string(),
            joined_at: member.joined_at,
            last_seen_at: member.last_seen_at,
        }
    }
}

/// Whom to invite, as what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// The person's address.
    #[schema(example = "ada@example.com")]
    email: String,
    /// As what.
    #[schema(value_type = RoleWord, inline, example = "viewer")]
    role: String,
}

/// An invitation, sent by mail.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invitation {
    /// Its id.
    id: String,
    /// Whom.
    email: String,
    /// As what.
    role: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// Until when its link works.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new().routes(routes!(list, invite)).routes(routes!(change, remove))
}

/// The people of the workspace.
#[utoipa::path(get, path = "/workspaces/{ws}/members", tag = "members", operation_id = "list_members",
    params(("ws" = String, Path, description = "The workspace's id"), Paging),
    responses((status = 200, body = List<Member>), Refusals))]
async fn list(caller: Caller, Params(paging): Params<Paging>) -> Result<Json<List<Member>>, Problem> {
    let scope = caller.may(Permission::ReadMembers).await?;
    let members = caller.engine.members(&scope).await?;
    let members = members.into_iter().map(Member::from).collect();
    Ok(Json(List::cut(members, paging, |member: &Member| member.id.clone())?))
}

/// Invites a person by mail.
#[utoipa::path(post, path = "/workspaces/{ws}/members", tag = "members", operation_id = "invite_member",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = NewInvitation,
    responses((status = 201, body = Invitation), Refusals))]
async fn invite(
    caller: Caller,
    Body(new): Body<NewInvitation>,
) -> Result<(StatusCode, Json<Invitation>), Problem> {
    let scope = caller.may(Permission::ChangeMembers).await?;
    let made = caller.engine.invite(&scope, &new.email, &new.role).await?;
    let invitation = Invitation {
        id: made.id.to_string(),
        email: made.email,
        role: made.role.to_string(),
        created_at: made.created_at,
        expires_at: made.expires_at,
    };
    Ok((StatusCode::CREATED, Json(invitation)))
}

/// Another role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Which.
    #[schema(value_type = RoleWord, inline, example = "viewer")]
    role: String,
}

/// Gives a member another role; the last Admin stays one.
#[utoipa::path(patch, path = "/workspaces/{ws}/members/{id}", tag = "members", operation_id = "change_member",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The person's id")),
    request_body = NewRole, responses((status = 200, body = Member), Refusals))]
async fn change(
    caller: Caller,
    PathId(id): PathId<UserId>,
    Body(new): Body<NewRole>,
) -> Result<Json<Member>, Problem> {
    let scope = caller.may(Permission::ChangeMembers).await?;
    Ok(Json(caller.engine.change_role(&scope, &id, &new.role).await?.into()))
}

/// Takes a person out of the workspace; the last Admin stays.
#[utoipa::path(delete, path = "/workspaces/{ws}/members/{id}", tag = "members", operation_id = "remove_member",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The person's id")),
    responses((status = 204, description = "Removed"), Refusals))]
async fn remove(caller: Caller, PathId(id): PathId<UserId>) -> Result<StatusCode, Problem> {
    let scope = caller.may(Permission::ChangeMembers).await?;
    caller.engine.remove_member(&scope, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
