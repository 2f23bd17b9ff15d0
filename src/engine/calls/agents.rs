//! Service identities: policy, tokens, pausing.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::alerts::paused;
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, TokenId};
use crate::domain::money::Usd;
use crate::domain::policy::Policy;
use crate::domain::time::{DAY, HOUR, Time};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::random;
pub use crate::engine::store::agents::AgentState;
use crate::engine::store::agents::{self, AgentRow, TokenRow};
use crate::engine::store::alerts;
use crate::engine::store::sql::Statement;
use crate::engine::store::usage;

/// How long calls work after a token is due, while admins are warned.
pub const GRACE: i64 = 7 * DAY;
/// The longest overlap of a rotation in hours.
const LONGEST_OVERLAP: i64 = 168;

/// How a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenState {
    /// Works.
    Current,
    /// Works until a rotation's overlap ends.
    Overlap,
    /// Past its due date; works for the grace.
    Grace,
    /// Over.
    Ended,
}

/// A token as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct TokenView {
    /// Its id.
    pub id: TokenId,
    /// Such as `af_agent_…k3x9`.
    pub prefix_last4: String,
    /// When it was made.
    pub created_at: Time,
    /// When it is due.
    pub expires_at: Time,
    /// When calls with it end.
    pub grace_ends_at: Time,
    /// When a rotation or revocation ends it.
    pub ends_at: Option<Time>,
    /// How it stands.
    pub state: TokenState,
}

/// An agent as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct AgentView {
    /// Its id.
    pub id: AgentId,
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
    /// Its tokens, newest first.
    pub tokens: Vec<TokenView>,
    /// Spent this UTC month.
    #[serde(rename = "month_to_date_usd")]
    pub month_to_date: Usd,
    /// Successful calls this UTC month.
    pub calls_this_month: i64,
}

impl AgentView {
    /// The brief's JSON document.
    pub fn document(&self, scope: &Scope) -> Value {
        let mut document = json!({
            "identity": self.name, "workspace_id": scope.workspace.id, "role": "developer",
        });
        let policy = serde_json::to_value(&self.policy).unwrap_or_default();
        if let (Some(document), Value::Object(policy)) = (document.as_object_mut(), policy) {
            document.extend(policy);
            document.insert("created_by".into(), json!(self.created_by));
            document.insert("created_at".into(), json!(self.created_at));
        }
        document
    }

    /// The token that works the longest; `None` where every token is over.
    pub fn current_token(&self) -> Option<&TokenView> {
        self.tokens.iter().find(|token| token.state != TokenState::Ended)
    }
}

/// A new agent with its token, which is shown once.
#[derive(Debug, Clone)]
pub struct NewAgent {
    /// The agent.
    pub agent: AgentView,
    /// The secret.
    pub token: String,
    /// When it is due.
    pub expires_at: Time,
}

/// A rotation's answer.
#[derive(Debug, Clone, Serialize)]
pub struct Rotated {
    /// The new secret, shown once.
    pub token: String,
    /// When it is due.
    pub expires_at: Time,
    /// When the older tokens end.
    pub previous_ends_at: Option<Time>,
}

impl Engine {
    /// Makes an agent. `name` is with or without `agent.`; without `policy` it gets the brief's sample.
    ///
    /// # Errors
    /// Names the field: `name`, or the policy's.
    pub async fn create_agent(&self, scope: &Scope, name: &str, policy: Option<Value>) -> Result<NewAgent> {
        let name = agent_name(name)?;
        let policy = policy.map_or_else(|| Ok(Policy::default()), |policy| self.read_policy(&policy))?;
        let agent = self.new_agent(scope, name, policy);
        let (token, row, fingerprint) = self.new_token(&agent);
        let changes =
            vec![agents::insert(&agent), agents::insert_token(&scope.workspace.id, &row, &fingerprint)];
        let data = json!({ "agent_id": agent.id, "name": agent.name, "policy": agent.policy });
        let act = self.act(scope, "agent.created", data, changes).await?;
        self.submit_act(scope, act).await.map_err(|error| match error {
            Error::Conflict(_) => {
                FieldError::new("name", "is the name of another agent of this workspace").into()
            }
            error => error,
        })?;
        Ok(NewAgent { agent: self.agent(scope, &agent.id).await?, token, expires_at: row.expires_at })
    }

    fn new_agent(&self, scope: &Scope, name: String, policy: Policy) -> AgentRow {
        let now = self.0.clock.now();
        AgentRow {
            id: random::id(now),
            workspace_id: scope.workspace.id.clone(),
            name,
            policy,
            state: AgentState::Active,
            paused_reason: None,
            created_by: scope.actor.clone(),
            created_at: now,
            last_used_at: None,
            preflight_at: None,
            resumed_at: Time::default(),
        }
    }

    fn new_token(&self, agent: &AgentRow) -> (String, TokenRow, String) {
        let (secret, now) = (random::secret("af_agent_"), self.0.clock.now());
        let row = TokenRow {
            id: random::id(now),
            agent_id: agent.id.clone(),
            last4: secret[secret.len() - 4..].to_owned(),
            created_at: now,
            expires_at: now.plus(i64::from(agent.policy.token_rotation_days) * DAY),
            ends_at: None,
        };
        let fingerprint = random::fingerprint(&secret);
        (secret, row, fingerprint)
    }

    pub(in crate::engine) fn read_policy(&self, policy: &Value) -> Result<Policy> {
        Ok(Policy::from_json(policy, |model| self.0.catalog.get(model).is_some())?)
    }

    /// All agents of a workspace by name.
    ///
    /// # Errors
    /// The database's own.
    pub async fn agents(&self, scope: &Scope) -> Result<Vec<AgentView>> {
        let (db, workspace, now) =
            (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let rows = agents::list(db, workspace).await?;
        let tokens = agents::tokens(db, workspace).await?;
        let spend = usage::by_day(db, workspace, now.month_start(), now.next_month()).await?;
        Ok(rows.into_iter().map(|row| view(row, &tokens, &spend, now)).collect())
    }

    /// As [`Engine::agents`], without what they spent: their states and tokens cost less to read.
    pub(in crate::engine) async fn agents_unspent(&self, scope: &Scope) -> Result<Vec<AgentView>> {
        let (db, workspace, now) =
            (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let tokens = agents::tokens(db, workspace).await?;
        let rows = agents::list(db, workspace).await?.into_iter();
        Ok(rows.map(|row| view(row, &tokens, &[], now)).collect())
    }

    /// One agent.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the workspace has none such.
    pub async fn agent(&self, scope: &Scope, id: &AgentId) -> Result<AgentView> {
        self.agents(scope).await?.into_iter().find(|agent| &agent.id == id).ok_or(Error::NotFound)
    }

    async fn agent_row(&self, scope: &Scope, id: &AgentId) -> Result<AgentRow> {
        let row = agents::get(&self.cell(&scope.workspace)?.db, &scope.workspace.id, id).await?;
        let row = row.ok_or(Error::NotFound)?;
        if row.state == AgentState::Revoked {
            return Err(Error::Conflict(
                "This agent was revoked, which cannot be undone. Make a new one.".into(),
            ));
        }
        Ok(row)
    }

    /// Replaces an agent's policy; the next call follows it.
    ///
    /// # Errors
    /// Names the policy's field.
    pub async fn update_policy(&self, scope: &Scope, id: &AgentId, policy: Value) -> Result<AgentView> {
        let (before, after) = (self.agent_row(scope, id).await?, self.read_policy(&policy)?);
        let data = json!({ "agent_id": id, "name": before.name, "from": before.policy, "to": after });
        let change = agents::set_policy(&scope.workspace.id, id, &after);
        self.change_agent(scope, id, "agent.policy_changed", data, vec![change]).await
    }

    /// Makes a new token; the older ones work for `overlap_hours` more (0 to 168, 24 by default).
    ///
    /// # Errors
    /// The field `overlap_hours`.
    pub async fn rotate_agent(
        &self,
        scope: &Scope,
        id: &AgentId,
        overlap_hours: Option<i64>,
    ) -> Result<Rotated> {
        let hours = overlap_hours.unwrap_or(24);
        if !(0..=LONGEST_OVERLAP).contains(&hours) {
            return Err(FieldError::new("overlap_hours", "is not a number of hours from 0 to 168").into());
        }
        let agent = self.agent_row(scope, id).await?;
        let previous_ends_at = self.0.clock.now().plus(hours * HOUR);
        let (token, row, fingerprint) = self.new_token(&agent);
        let changes = vec![
            agents::end_tokens(id, previous_ends_at),
            agents::insert_token(&scope.workspace.id, &row, &fingerprint),
        ];
        let data = json!({ "agent_id": id, "name": agent.name, "previous_ends_at": previous_ends_at });
        self.change_agent(scope, id, "agent.token_rotated", data, changes).await?;
        Ok(Rotated { token, expires_at: row.expires_at, previous_ends_at: Some(previous_ends_at) })
    }

    /// Stops an agent's calls until somebody resumes it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for a revoked agent.
    pub async fn pause_agent(&self, scope: &Scope, id: &AgentId) -> Result<AgentView> {
        self.set_agent_state(scope, id, AgentState::Paused, Some(format!("paused by {}", scope.actor))).await
    }

    /// Lets a paused agent call again.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for a revoked agent.
    pub async fn resume_agent(&self, scope: &Scope, id: &AgentId) -> Result<AgentView> {
        self.set_agent_state(scope, id, AgentState::Active, None).await
    }

    /// Ends an agent and its tokens for good; its history stays.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for a revoked agent.
    pub async fn revoke_agent(&self, scope: &Scope, id: &AgentId) -> Result<AgentView> {
        self.set_agent_state(scope, id, AgentState::Revoked, None).await
    }

    async fn set_agent_state(
        &self,
        scope: &Scope,
        id: &AgentId,
        state: AgentState,
        reason: Option<String>,
    ) -> Result<AgentView> {
        let before = self.agent_row(scope, id).await?;
        let (workspace, now) = (&scope.workspace.id, self.0.clock.now());
        let mut changes = vec![match state {
            AgentState::Active => agents::resume(workspace, id, now),
            _ => agents::set_state(workspace, id, state, reason.clone()),
        }];
        if let (AgentState::Paused, AgentState::Active, Some(why)) = (state, before.state, &reason) {
            let alert = paused(&before.name, id, why, &scope.origin.request_id);
            changes.push(alerts::fire(workspace, &alert, now));
        }
        let event = match state {
            AgentState::Active => "agent.resumed",
            AgentState::Paused => "agent.paused",
            AgentState::Revoked => "agent.revoked",
        };
        if state == AgentState::Revoked {
            changes.push(agents::end_tokens(id, now));
        }
        let data = json!({ "agent_id": id, "name": before.name, "from": before.state, "to": state, "reason": reason });
        self.change_agent(scope, id, event, data, changes).await
    }

    async fn change_agent(
        &self,
        scope: &Scope,
        id: &AgentId,
        event: &str,
        data: Value,
        changes: Vec<Statement>,
    ) -> Result<AgentView> {
        let act = self.act(scope, event, data, changes).await?;
        self.submit_act(scope, act).await?;
        self.agent(scope, id).await
    }
}

/// `growth-bot` or `agent.growth-bot` as `agent.growth-bot`.
fn agent_name(name: &str) -> std::result::Result<String, FieldError> {
    let plain = name.trim().strip_prefix("agent.").unwrap_or(name.trim());
    let sound = (1..=60).contains(&plain.len())
        && plain
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
        && plain.starts_with(|first: char| first.is_ascii_alphanumeric());
    if sound {
        return Ok(format!("agent.{plain}"));
    }
    Err(FieldError::new("name", "needs 1 to 60 lower-case letters, digits, - or _, such as growth-bot"))
}

fn view(row: AgentRow, tokens: &[TokenRow], spend: &[usage::DayOfAgent], now: Time) -> AgentView {
    let own = spend.iter().filter(|day| day.user_id == row.name);
    let (month_to_date, calls_this_month) =
        own.fold((Usd::ZERO, 0), |(cost, calls), day| (cost.saturating_add(day.cost), calls + day.calls));
    let tokens =
        tokens.iter().filter(|token| token.agent_id == row.id).map(|token| token_view(token, now)).collect();
    AgentView {
        id: row.id,
        name: row.name,
        policy: row.policy,
        state: row.state,
        paused_reason: row.paused_reason,
        created_by: row.created_by,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        tokens,
        month_to_date,
        calls_this_month,
    }
}

fn token_view(token: &TokenRow, now: Time) -> TokenView {
    TokenView {
        id: token.id.clone(),
        prefix_last4: format!("af_agent_…{}", token.last4),
        created_at: token.created_at,
        expires_at: token.expires_at,
        grace_ends_at: token.expires_at.plus(GRACE),
        ends_at: token.ends_at,
        state: token_state(token, now),
    }
}

/// How a token stands at `now`: a token works for seven days after it is due (issue “The governed call”, 6).
pub(crate) fn token_state(token: &TokenRow, now: Time) -> TokenState {
    let ended = token.ends_at.is_some_and(|end| end <= now) || token.expires_at.plus(GRACE) <= now;
    match (ended, token.expires_at <= now, token.ends_at) {
        (true, _, _) => TokenState::Ended,
        (false, true, _) => TokenState::Grace,
        (false, false, Some(_)) => TokenState::Overlap,
        (false, false, None) => TokenState::Current,
    }
}
