//! Who asks, where, and with which right. Every operation on a workspace takes a [`Scope`], and only
//! [`Engine::scope`] makes one: no right, no object with the method.

use std::net::IpAddr;

use serde_json::Value;

use crate::domain::access::{Permission, Role};
use crate::domain::audit::Entry;
use crate::domain::ids::{RequestId, UserId, WorkspaceId};
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::domain::webhooks::event::is_known;
use crate::engine::Engine;
use crate::engine::error::{Error, Result};
use crate::engine::money::ledger_writer::Act;
use crate::engine::store::accounts::{self, AccountRow};
use crate::engine::store::keys::KeyRow;
use crate::engine::store::sql::Statement;
use crate::engine::store::workspaces;
pub use crate::engine::store::workspaces::Workspace;

/// Who is signed in or sent a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A person in a browser.
    User(UserId),
    /// A program with a REST key.
    Key(KeyRow),
}

/// The request behind an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Goes through HTTP, MCP, REST and log.
    pub request_id: RequestId,
    /// Where from.
    pub address: Option<IpAddr>,
}

impl Origin {
    /// A request from `address`.
    pub const fn new(request_id: RequestId, address: Option<IpAddr>) -> Self {
        Self { request_id, address }
    }
}

/// A right to act in one workspace.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Where.
    pub workspace: Workspace,
    /// As what.
    pub role: Role,
    /// `user_…`, `key_…` or `agent.NAME`: what the log calls the actor.
    pub actor: String,
    /// The request.
    pub origin: Origin,
}

impl Engine {
    /// The right to use `permission` in a workspace.
    ///
    /// # Errors
    /// [`Error::NotFound`] to whoever does not belong to it, [`Error::Forbidden`] where the role lacks it. The role is
    /// read anew each time: a change of it works at once (ASVS 8.3.2).
    pub async fn scope(
        &self,
        principal: &Principal,
        workspace: &WorkspaceId,
        permission: Permission,
        origin: Origin,
    ) -> Result<Scope> {
        let user = match principal {
            Principal::User(user) => user,
            Principal::Key(key) if &key.workspace_id == workspace => &key.made_by,
            Principal::Key(_) => return Err(Error::NotFound),
        };
        let (workspace, person) =
            workspaces::role(&self.0.control, workspace, user).await?.ok_or(Error::NotFound)?;
        let (role, actor) = match principal {
            Principal::User(user) => (person, user.to_string()),
            // A key never does more than its maker may now.
            Principal::Key(key) => (key.role.min(person), key.id.to_string()),
        };
        if !role.may(permission) {
            return Err(Error::Forbidden(permission));
        }
        Ok(Scope { workspace, role, actor, origin })
    }

    /// The right of the system itself.
    pub(crate) fn system_scope(&self, workspace: Workspace) -> Scope {
        let origin = Origin::new(self.new_request_id(), None);
        Scope { workspace, role: Role::Admin, actor: "system".into(), origin }
    }

    /// As [`Engine::system_scope`], by id; `None` where the workspace was deleted.
    pub(crate) async fn system_in(&self, id: &WorkspaceId) -> Result<Option<Scope>> {
        let workspace = workspaces::get(&self.0.control, id).await?;
        Ok(workspace.map(|workspace| self.system_scope(workspace)))
    }

    /// The workspace's account.
    pub(crate) async fn account(&self, workspace: &Workspace) -> Result<AccountRow> {
        accounts::get(&self.cell(workspace)?.db, &workspace.id).await?.ok_or(Error::NotFound)
    }

    /// An administrative act by `scope`, with the changes that belong to its log entry.
    pub(crate) async fn act(
        &self,
        scope: &Scope,
        event: &str,
        data: Value,
        changes: Vec<Statement>,
    ) -> Result<Act> {
        let retention_days = self.account(&scope.workspace).await?.media_retention_days;
        let entry = act_entry(scope, event, data, retention_days);
        Ok(Act { entry, changes, tell_nodes: true })
    }
}

/// From where somebody acted; what the system does by itself comes from nowhere.
fn with_address(mut data: Value, address: Option<IpAddr>) -> Value {
    if let (Value::Object(fields), Some(address)) = (&mut data, address) {
        fields.insert("address".into(), address.to_canonical().to_string().into());
    }
    data
}

fn act_entry(scope: &Scope, event: &str, data: Value, retention_days: u32) -> Entry {
    debug_assert!(is_known(event), "{event} is missing among the events of webhooks");
    let data = with_address(data, scope.origin.address);
    Entry {
        ts: Time::default(),
        request_id: scope.origin.request_id.clone(),
        workspace_id: scope.workspace.id.clone(),
        user_id: scope.actor.clone(),
        tool: None,
        model: None,
        prompt_hash: None,
        cost_usd: Usd::ZERO,
        result_url: None,
        region: scope.workspace.region,
        retention_days,
        event: Some(event.to_owned()),
        data: Some(data),
    }
}
