//! Agents: their policies, tokens and pauses.

use agentframer::domain::access::Permission;
use agentframer::domain::ids::AgentId;
use agentframer::domain::money::Usd;
use agentframer::domain::policy::Policy;
use agentframer::domain::time::Time;
use agentframer::engine::calls::agents::{AgentState, AgentView, Rotated, TokenState, TokenView};
use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Rest;
use super::auth::{Caller, PathId};
use super::input::{Body, OptionalBody, Params};
use super::paging::{List, Paging};
use super::problem::{Problem, Refusals};

/// What an agent may do: the brief's JSON.
#[derive(Debug, ToSchema)]
#[schema(as = Policy)]
#[expect(dead_code, reason = "the shape of a policy in the OpenAPI document; the domain reads and writes it")]
pub struct PolicyDocument {
    /// Tools it may call.
    #[schema(example = json!(["generate_image", "get_credits"]))]
    permissions: Option<Vec<String>>,
    /// Tools it may never call; wins over `permissions`.
    #[schema(example = json!(["delete_workspace"]))]
    denied: Option<Vec<String>>,
    /// Models it may use; absent means every model.
    models: Option<Vec<String>>,
    /// Networks its calls may come from; empty means any.
    #[schema(example = json!(["10.0.0.0/8"]))]
    ip_allowlist: Option<Vec<String>>,
    /// Days after which a token ends.
    #[schema(minimum = 1, maximum = 365)]
    token_rotation_days: Option<u16>,
    /// Limits in US dollars.
    caps: Option<AgentCaps>,
}

/// Limits of one agent.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the shape of an agent's caps in the OpenAPI document")]
struct AgentCaps {
    /// At most this much a UTC day.
    day_usd: Option<f64>,
    /// At most this much a UTC month.
    month_usd: Option<f64>,
    /// At most this much a call.
    call_usd: Option<f64>,
}

/// A new agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    /// Its name, with or without `agent.`.
    #[schema(example = "growth-bot")]
    name: String,
    /// What it may do; generating and reading where absent.
    #[schema(value_type = Option<PolicyDocument>)]
    #[serde(default)]
    policy: Option<Value>,
}

/// A new policy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentChange {
    /// Replaces the policy; the next call follows it.
    #[schema(value_type = PolicyDocument)]
    policy: Value,
}

/// How the older tokens end.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    /// Hours for which the older tokens still work, 0 to 168; 24 where absent.
    #[schema(minimum = 0, maximum = 168)]
    overlap_hours: Option<i64>,
}

/// A new agent with its token, which is shown only here.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedAgent {
    /// The agent.
    #[serde(flatten)]
    agent: Agent,
    /// The secret to connect with.
    #[schema(example = "af_agent_…")]
    token: String,
    /// When the token is due.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
}

/// A rotation's answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewToken {
    /// The new secret, shown only here.
    #[schema(example = "af_agent_…")]
    token: String,
    /// When it is due.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
    /// When the older tokens end.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    previous_ends_at: Option<Time>,
}

impl From<Rotated> for NewToken {
    fn from(rotated: Rotated) -> Self {
        let Rotated { token, expires_at, previous_ends_at } = rotated;
        Self { token, expires_at, previous_ends_at }
    }
}

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Agent {
    /// Its id, which never changes.
    id: String,
    /// `agent.NAME`.
    #[schema(example = "agent.growth-bot")]
    name: String,
    /// What it may do.
    #[schema(value_type = PolicyDocument)]
    policy: Policy,
    /// `active`, `paused` or `revoked`.
    #[schema(value_type = String, example = "active")]
    state: AgentState,
    /// Why it was paused.
    #[schema(required = true)]
    paused_reason: Option<String>,
    /// Who made it.
    created_by: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// Its last call, to the minute.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_used_at: Option<Time>,
    /// Its tokens, newest first.
    tokens: Vec<Token>,
    /// Spent this UTC month.
    #[schema(value_type = f64)]
    month_to_date_usd: Usd,
    /// Successful calls this UTC month.
    calls_this_month: i64,
}

impl From<AgentView> for Agent {
    fn from(view: AgentView) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name,
            policy: view.policy,
            state: view.state,
            paused_reason: view.paused_reason,
            created_by: view.created_by,
            created_at: view.created_at,
            last_used_at: view.last_used_at,
            tokens: view.tokens.into_iter().map(Token::from).collect(),
            month_to_date_usd: view.month_to_date,
            calls_this_month: view.calls_this_month,
        }
    }
}

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    /// Its id.
    id: String,
    /// Its beginning and last letters.
    #[schema(example = "af_agent_…k3x9")]
    prefix_last4: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// When it is due.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
    /// When calls with it end.
    #[schema(value_type = String, format = DateTime)]
    grace_ends_at: Time,
    /// When a rotation or revocation ends it.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    ends_at: Option<Time>,
    /// `current`, `overlap`, `grace` or `ended`.
    #[schema(value_type = String, example = "current")]
    state: TokenState,
}

impl From<TokenView> for Token {
    fn from(view: TokenView) -> Self {
        Self {
            id: view.id.to_string(),
            prefix_last4: view.prefix_last4,
            created_at: view.created_at,
            expires_at: view.expires_at,
            grace_ends_at: view.grace_ends_at,
            ends_at: view.ends_at,
            state: view.state,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Rest> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, revoke))
        .routes(routes!(rotate))
        .routes(routes!(pause))
        .routes(routes!(resume))
}

/// The agents of the workspace by name.
#[utoipa::path(get, path = "/workspaces/{ws}/agents", tag = "agents", operation_id = "list_agents",
    params(("ws" = String, Path, description = "The workspace's id"), Paging),
    responses((status = 200, body = List<Agent>), Refusals))]
async fn list(caller: Caller, Params(paging): Params<Paging>) -> Result<Json<List<Agent>>, Problem> {
    let scope = caller.may(Permission::ReadAgents).await?;
    let agents = caller.engine.agents(&scope).await?;
    let agents = agents.into_iter().map(Agent::from).collect();
    Ok(Json(List::cut(agents, paging, |agent: &Agent| agent.id.clone())?))
}

/// Makes an agent; its token is shown once, in this answer.
#[utoipa::path(post, path = "/workspaces/{ws}/agents", tag = "agents", operation_id = "create_agent",
    params(("ws" = String, Path, description = "The workspace's id")), request_body = NewAgent,
    responses((status = 201, body = CreatedAgent), Refusals))]
async fn create(
    caller: Caller,
    Body(new): Body<NewAgent>,
) -> Result<(StatusCode, Json<CreatedAgent>), Problem> {
    let scope = caller.may(Permission::ChangeAgents).await?;
    let made = caller.engine.create_agent(&scope, &new.name, new.policy).await?;
    let created = CreatedAgent { agent: made.agent.into(), token: made.token, expires_at: made.expires_at };
    Ok((StatusCode::CREATED, Json(created)))
}

/// One agent.
#[utoipa::path(get, path = "/workspaces/{ws}/agents/{id}", tag = "agents", operation_id = "get_agent",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The agent's id")),
    responses((status = 200, body = Agent), Refusals))]
async fn get(caller: Caller, PathId(id): PathId<AgentId>) -> Result<Json<Agent>, Problem> {
    let scope = caller.may(Permission::ReadAgents).await?;
    Ok(Json(caller.engine.agent(&scope, &id).await?.into()))
}

/// Replaces an agent's policy.
#[utoipa::path(patch, path = "/workspaces/{ws}/agents/{id}", tag = "agents", operation_id = "update_agent",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The agent's id")),
    request_body = AgentChange, responses((status = 200, body = Agent), Refusals))]
async fn update(
    caller: Caller,
    PathId(id): PathId<AgentId>,
    Body(change): Body<AgentChange>,
) -> Result<Json<Agent>, Problem> {
    let scope = caller.may(Permission::ChangeAgents).await?;
    Ok(Json(caller.engine.update_policy(&scope, &id, change.policy).await?.into()))
}

/// Revokes an agent and its tokens for good; its history stays.
#[utoipa::path(delete, path = "/workspaces/{ws}/agents/{id}", tag = "agents", operation_id = "revoke_agent",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The agent's id")),
    responses((status = 200, body = Agent), Refusals))]
async fn revoke(caller: Caller, PathId(id): PathId<AgentId>) -> Result<Json<Agent>, Problem> {
    let scope = caller.may(Permission::ChangeAgents).await?;
    Ok(Json(caller.engine.revoke_agent(&scope, &id).await?.into()))
}

/// Makes a new token, shown once in this answer; the older ones end after the overlap.
#[utoipa::path(post, path = "/workspaces/{ws}/agents/{id}/rotate", tag = "agents", operation_id = "rotate_agent",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The agent's id")),
    request_body = Option<Rotation>, responses((status = 200, body = NewToken), Refusals))]
async fn rotate(
    caller: Caller,
    PathId(id): PathId<AgentId>,
    OptionalBody(rotation): OptionalBody<Rotation>,
) -> Result<Json<NewToken>, Problem> {
    let scope = caller.may(Permission::ChangeAgents).await?;
    Ok(Json(caller.engine.rotate_agent(&scope, &id, rotation.overlap_hours).await?.into()))
}

/// Stops an agent's calls until it is resumed.
#[utoipa::path(post, path = "/workspaces/{ws}/agents/{id}/pause", tag = "agents", operation_id = "pause_agent",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The agent's id")),
    responses((status = 200, body = Agent), Refusals))]
async fn pause(caller: Caller, PathId(id): PathId<AgentId>) -> Result<Json<Agent>, Problem> {
    let scope = caller.may(Permission::ChangeAgents).await?;
    Ok(Json(caller.engine.pause_agent(&scope, &id).await?.into()))
}

/// Lets a paused agent call again.
#[utoipa::path(post, path = "/workspaces/{ws}/agents/{id}/resume", tag = "agents", operation_id = "resume_agent",
    params(("ws" = String, Path, description = "The workspace's id"), ("id" = String, Path, description = "The agent's id")),
    responses((status = 200, body = Agent), Refusals))]
async fn resume(caller: Caller, PathId(id): PathId<AgentId>) -> Result<Json<Agent>, Problem> {
    let scope = caller.may(Permission::ChangeAgents).await?;
    Ok(Json(caller.engine.resume_agent(&scope, &id).await?.into()))
}
