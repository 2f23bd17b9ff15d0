//! Agents and their tokens.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::ids::{AgentId, TokenId, WorkspaceId};
use crate::domain::policy::Policy;
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Statement, values};

/// Whether an agent may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// It may.
    Active,
    /// Its calls answer `agent_paused` until somebody resumes it.
    Paused,
    /// Never again.
    Revoked,
}

impl AgentState {
    /// The name in JSON and storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Revoked => "revoked",
        }
    }
}

/// A service identity.
#[derive(Debug, Clone)]
pub struct AgentRow {
    /// Its id, which never changes.
    pub id: AgentId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// `agent.NAME`.
    pub name: String,
    /// What it may do.
    pub policy: Policy,
    /// Whether it may call.
    pub state: AgentState,
    /// Why it was paused.
    pub paused_reason: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Time,
    /// Its last call, to the minute.
    pub last_used_at: Option<Time>,
    /// Its last `get_credits`.
    pub preflight_at: Option<Time>,
    /// When somebody last resumed it: what came before no longer counts against it. The epoch where nobody did.
    pub resumed_at: Time,
}

/// A token without its secret.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// Its agent.
    pub agent_id: AgentId,
    /// Its last four letters.
    pub last4: String,
    /// When it was made.
    pub created_at: Time,
    /// When it is due.
    pub expires_at: Time,
    /// When a rotation or revocation ends it.
    pub ends_at: Option<Time>,
}

/// All agents of a workspace by name.
///
/// # Errors
/// The database's own.
pub async fn list(db: &CellDb, workspace: &WorkspaceId) -> Result<Vec<AgentRow>> {
    let text = "SELECT * FROM agents WHERE workspace_id = $1 ORDER BY name";
    let rows = sqlx::query(text).bind(workspace.as_str()).fetch_all(&db.read).await?;
    rows.iter().map(agent).collect()
}

/// One agent of a workspace.
///
/// # Errors
/// The database's own.
pub async fn get(db: &CellDb, workspace: &WorkspaceId, id: &AgentId) -> Result<Option<AgentRow>> {
    let text = "SELECT * FROM agents WHERE workspace_id = $1 AND id = $2";
    let row = sqlx::query(text).bind(workspace.as_str()).bind(id.as_str()).fetch_optional(&db.read).await?;
    row.as_ref().map(agent).transpose()
}

/// The token whose secret has this fingerprint, and its agent.
///
/// # Errors
/// The database's own.
pub async fn by_secret(db: &CellDb, fingerprint: &str) -> Result<Option<(AgentRow, TokenRow)>> {
    let text = "SELECT * FROM agent_tokens WHERE secret_hash = $1";
    let Some(row) = sqlx::query(text).bind(fingerprint).fetch_optional(&db.read).await? else {
        return Ok(None);
    };
    let token = token(&row)?;
    let workspace = parse(row.try_get::<String, _>("workspace_id")?)?;
    let agent = get(db, &workspace, &token.agent_id).await?;
    Ok(agent.map(|agent| (agent, token)))
}

/// All tokens of a workspace, newest first.
///
/// # Errors
/// The database's own.
pub async fn tokens(db: &CellDb, workspace: &WorkspaceId) -> Result<Vec<TokenRow>> {
    let text = "SELECT * FROM agent_tokens WHERE workspace_id = $1 ORDER BY created_us DESC, id DESC";
    let rows = sqlx::query(text).bind(workspace.as_str()).fetch_all(&db.read).await?;
    rows.iter().map(token).collect()
}

/// Makes an agent.
pub fn insert(agent: &AgentRow) -> Statement {
    let policy = serde_json::to_string(&agent.policy).unwrap_or_default();
    Statement::new(
        "INSERT INTO agents (id, workspace_id, name, policy, state, created_by, created_us) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        values![
            agent.id.as_str(),
            agent.workspace_id.as_str(),
            agent.name.as_str(),
            policy,
            agent.state.as_str(),
            agent.created_by.as_str(),
            agent.created_at.micros()
        ],
    )
}

/// Makes a token from its secret's fingerprint.
pub fn insert_token(workspace: &WorkspaceId, token: &TokenRow, fingerprint: &str) -> Statement {
    Statement::new(
        "INSERT INTO agent_tokens (id, agent_id, workspace_id, secret_hash, last4, created_us, expires_us) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        values![
            token.id.as_str(),
            token.agent_id.as_str(),
            workspace.as_str(),
            fingerprint,
            token.last4.as_str(),
            token.created_at.micros(),
            token.expires_at.micros()
        ],
    )
}

/// Ends every token of an agent at `at`, unless it ends sooner.
pub fn end_tokens(agent: &AgentId, at: Time) -> Statement {
    Statement::new(
        "UPDATE agent_tokens SET ends_us = CASE WHEN ends_us IS NULL OR ends_us > $2 THEN $2 ELSE ends_us END \
         WHERE agent_id = $1",
        values![agent.as_str(), at.micros()],
    )
}

/// Changes an agent's policy.
pub fn set_policy(workspace: &WorkspaceId, id: &AgentId, policy: &Policy) -> Statement {
    let json = serde_json::to_string(policy).unwrap_or_default();
    Statement::new(
        "UPDATE agents SET policy = $1 WHERE workspace_id = $2 AND id = $3 AND state <> 'revoked'",
        values![json, workspace.as_str(), id.as_str()],
    )
}

/// Pauses an agent that calls; changes nothing where it does not.
pub fn pause_active(workspace: &WorkspaceId, id: &AgentId, reason: &str) -> Statement {
    let text = "UPDATE agents SET state = 'paused', paused_reason = $1 \
                WHERE workspace_id = $2 AND id = $3 AND state = 'active'";
    Statement::new(text, values![reason, workspace.as_str(), id.as_str()])
}

/// Lets an agent call again.
pub fn resume(workspace: &WorkspaceId, id: &AgentId, now: Time) -> Statement {
    let text = "UPDATE agents SET state = 'active', paused_reason = NULL, resumed_us = $1 \
                WHERE workspace_id = $2 AND id = $3 AND state <> 'revoked'";
    Statement::new(text, values![now.micros(), workspace.as_str(), id.as_str()])
}

/// Changes whether an agent may call.
pub fn set_state(
    workspace: &WorkspaceId,
    id: &AgentId,
    state: AgentState,
    reason: Option<String>,
) -> Statement {
    Statement::new(
        "UPDATE agents SET state = $1, paused_reason = $2 WHERE workspace_id = $3 AND id = $4 AND state <> 'revoked'",
        values![state.as_str(), reason, workspace.as_str(), id.as_str()],
    )
}

/// Notes when an agent last called, and when it last asked for its credits.
///
/// # Errors
/// The database's own.
pub async fn note_use(db: &CellDb, id: &AgentId, used_at: Time, preflight_at: Option<Time>) -> Result<()> {
    let text = "UPDATE agents SET last_used_us = $1, preflight_us = COALESCE($2, preflight_us) WHERE id = $3";
    let mut transaction = db.begin().await?;
    let query =
        sqlx::query(text).bind(used_at.micros()).bind(preflight_at.map(Time::micros)).bind(id.as_str());
    query.execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

fn agent(row: &AnyRow) -> Result<AgentRow> {
    let state = match row.try_get::<&str, _>("state")? {
        "active" => AgentState::Active,
        "paused" => AgentState::Paused,
        _ => AgentState::Revoked,
    };
    Ok(AgentRow {
        id: parse(row.try_get::<String, _>("id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        name: row.try_get("name")?,
        policy: stored_policy(row.try_get("policy")?)?,
        state,
        paused_reason: row.try_get("paused_reason")?,
        created_by: row.try_get("created_by")?,
        created_at: Time(row.try_get("created_us")?),
        last_used_at: row.try_get::<Option<i64>, _>("last_used_us")?.map(Time),
        preflight_at: row.try_get::<Option<i64>, _>("preflight_us")?.map(Time),
        resumed_at: Time(row.try_get("resumed_us")?),
    })
}

/// A stored policy names models that may have left the library since.
fn stored_policy(json: &str) -> Result<Policy> {
    let value = serde_json::from_str(json).map_err(|error| internal("stored policy", error))?;
    Policy::from_json(&value, |_| true).map_err(|error| internal("stored policy", error))
}

fn token(row: &AnyRow) -> Result<TokenRow> {
    Ok(TokenRow {
        id: parse(row.try_get::<String, _>("id")?)?,
        agent_id: parse(row.try_get::<String, _>("agent_id")?)?,
        last4: row.try_get("last4")?,
        created_at: Time(row.try_get("created_us")?),
        expires_at: Time(row.try_get("expires_us")?),
        ends_at: row.try_get::<Option<i64>, _>("ends_us")?.map(Time),
    })
}
