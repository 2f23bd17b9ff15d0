//! Headless first set-up (contract §1, `bootstrap`).

use serde::Serialize;

use crate::domain::access::Role;
use crate::domain::field::FieldError;
use crate::domain::ids::{AgentId, UserId, WorkspaceId};
use crate::domain::money::Usd;
use crate::domain::region::Region;
use crate::engine::Engine;
use crate::engine::access::people::{NewPerson, User};
use crate::engine::access::scope::{Origin, Scope};
use crate::engine::access::workspaces::{NewWorkspace, Workspace};
use crate::engine::error::{Error, Result};
use crate::engine::store::{people, workspaces};

/// The name of the key that it makes.
const KEY: &str = "bootstrap";
/// How long the secrets of the time before still work.
const OVERLAP_HOURS: i64 = 24;

/// What to set up.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The Admin's address; an account is made where there is none.
    pub email: String,
    /// The Admin's password; must be right where there is an account.
    pub password: String,
    /// The workspace's name; an own one of this name is used again.
    pub workspace: String,
    /// The region's name.
    pub region: String,
    /// What a new workspace starts with.
    pub top_up: Usd,
    /// The agent's name; one of this name gets a new token at once.
    pub agent: String,
}

/// What was set up.
#[derive(Debug, Clone, Serialize)]
pub struct Bootstrapped {
    /// The Admin.
    pub user_id: UserId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its region.
    pub region: Region,
    /// Where the agent connects.
    pub mcp_url: String,
    /// The agent.
    pub agent_id: AgentId,
    /// Its token.
    pub agent_token: String,
    /// A REST key with the role Admin.
    pub api_key: String,
}

impl Engine {
    /// Makes, or finds again, an Admin, a workspace and an agent. A second run for the same workspace name makes no
    /// second workspace and moves no money; it answers with a new token and a new key, as secrets are never kept.
    ///
    /// # Errors
    /// Names the wrong field.
    pub async fn bootstrap(&self, wanted: Bootstrap) -> Result<Bootstrapped> {
        let origin = Origin::new(self.new_request_id(), None);
        let new = NewWorkspace { name: wanted.workspace.clone(), region: wanted.region.clone() };
        let (name, region) = new.check()?;
        let user = self.bootstrap_person(&wanted, origin.clone()).await?;
        let found = workspaces::by_name(&self.0.control, &user.id, &name).await?;
        let workspace = match found {
            Some(workspace) if workspace.region == region => workspace,
            Some(_) => {
                return Err(
                    FieldError::new("region", "of this workspace is another, and can never change").into()
                );
            }
            None => self.bootstrap_workspace(&user, new, wanted.top_up, origin.clone()).await?,
        };
        let scope = Scope { workspace, role: Role::Admin, actor: user.id.to_string(), origin };
        let (agent_id, agent_token) = self.bootstrap_agent(&scope, &wanted.agent).await?;
        let api_key = self.bootstrap_key(&scope).await?;
        Ok(Bootstrapped {
            user_id: user.id,
            region: scope.workspace.region,
            mcp_url: self.mcp_url(&scope.workspace),
            workspace_id: scope.workspace.id,
            agent_id,
            agent_token,
            api_key,
        })
    }

    async fn bootstrap_person(&self, wanted: &Bootstrap, origin: Origin) -> Result<User> {
        let email = crate::domain::field::email("email", &wanted.email)?;
        if people::by_email(&self.0.control, &email).await?.is_some() {
            return self.sign_in(&email, &wanted.password, origin).await;
        }
        let name = email.split('@').next().unwrap_or("Admin").to_owned();
        let person = NewPerson { email, name, password: wanted.password.clone() };
        let (user, hash) = self.prepare_person(person).await?;
        let mut transaction = self.0.control.begin().await?;
        people::insert(&mut transaction, &user, &hash)
            .await
            .map_err(crate::engine::access::people::taken_email)?;
        transaction.commit().await?;
        Ok(user)
    }

    async fn bootstrap_workspace(
        &self,
        user: &User,
        new: NewWorkspace,
        top_up: Usd,
        origin: Origin,
    ) -> Result<Workspace> {
        let workspace = self.create_workspace(&user.id, new, origin).await?;
        if top_up.is_positive() {
            let origin = Origin::new(self.new_request_id(), None);
            let actor = user.id.to_string();
            let scope = Scope { workspace: workspace.clone(), role: Role::Admin, actor, origin };
            self.top_up(&scope, top_up, "bootstrap").await?;
        }
        Ok(workspace)
    }

    /// A repeat makes new secrets, as none is kept; what the time before gave out works on for a day.
    async fn bootstrap_key(&self, scope: &Scope) -> Result<String> {
        let before = self.keys(scope).await?.into_iter().find(|key| {
            key.name == KEY
                && key.made_by.as_str() == scope.actor
                && key.expires_at.is_none()
                && key.ended_at.is_none()
        });
        let made = match before {
            Some(key) => self.rotate_key(scope, &key.id, OVERLAP_HOURS).await?,
            None => self.create_key(scope, KEY, "admin", None).await?,
        };
        Ok(made.key)
    }

    async fn bootstrap_agent(&self, scope: &Scope, name: &str) -> Result<(AgentId, String)> {
        let full = format!("agent.{}", name.trim().trim_start_matches("agent."));
        let known = self.agents(scope).await?.into_iter().find(|agent| agent.name == full);
        match known {
            Some(agent) => {
                let rotated = self.rotate_agent(scope, &agent.id, Some(OVERLAP_HOURS)).await?;
                Ok((agent.id, rotated.token))
            }
            None => {
                let made = self.create_agent(scope, name, None).await.map_err(agent_field)?;
                Ok((made.agent.id, made.token))
            }
        }
    }
}

/// The command line calls the agent's name `agent`.
fn agent_field(error: Error) -> Error {
    match error {
        Error::Field(fault) if fault.field == "name" => FieldError::new("agent", fault.message).into(),
        error => error,
    }
}
