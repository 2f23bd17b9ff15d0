//! Workspaces: making them, listing them, their addresses.

use serde_json::json;

use crate::domain::access::Role;
use crate::domain::field::{self, FieldError};
use crate::domain::ids::UserId;
use crate::domain::money::Usd;
use crate::domain::region::Region;
use crate::domain::retention::Retention;
use crate::domain::settings::{Caps, Inference};
use crate::domain::time::HOUR;
use crate::domain::time::Time;
use crate::engine::Engine;
use crate::engine::access::scope::{Origin, Scope};
use crate::engine::error::{Error, Result, internal};
use crate::engine::money::ledger_writer::{Act, Work};
use crate::engine::random;
use crate::engine::store::accounts::{self, AccountRow};
pub use crate::engine::store::url_keys::FormerKey;
use crate::engine::store::workspaces;
pub use crate::engine::store::workspaces::Workspace;
use crate::engine::store::{pending_acts, url_keys, usage};

/// What a new workspace needs.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// Its name, unique among its maker's own.
    pub name: String,
    /// Its region's name; never changes.
    pub region: String,
}

impl NewWorkspace {
    /// Checks both fields.
    ///
    /// # Errors
    /// Names the field.
    pub fn check(&self) -> std::result::Result<(String, Region), FieldError> {
        Ok((field::text("workspace_name", &self.name, 1, 80)?, self.region.parse()?))
    }
}

/// A line of the list of one's workspaces.
#[derive(Debug, Clone)]
pub struct WorkspaceRow {
    /// Which.
    pub workspace: Workspace,
    /// As what one belongs to it.
    pub role: Role,
    /// Available and reserved.
    pub balance: Usd,
    /// Set aside for calls that run.
    pub reserved: Usd,
    /// Spent this UTC month.
    pub month_to_date: Usd,
    /// Successful calls this UTC month.
    pub calls_this_month: i64,
    /// Agents that are not revoked.
    pub agents: i64,
}

/// The longest time for which an old MCP URL works, in hours.
const LONGEST_GRACE: i64 = 168;

impl Engine {
    /// Makes a workspace in the emptiest cell of its region; its maker is its first Admin.
    ///
    /// # Errors
    /// The field `workspace_name` when it is missing, too long or taken by one's own; `region` when there is none such
    /// or no cell here serves it.
    pub async fn create_workspace(
        &self,
        maker: &UserId,
        new: NewWorkspace,
        origin: Origin,
    ) -> Result<Workspace> {
        let (name, region) = new.check()?;
        if workspaces::by_name(&self.0.control, maker, &name).await?.is_some() {
            return Err(name_is_taken("workspace_name"));
        }
        let workspace = self.new_workspace(maker, name, region).await?;
        let account = self.new_account(region);
        let cell = self.cell(&workspace)?;
        // The account first: a directory entry without one would be a workspace that cannot be opened.
        accounts::insert(&cell.db, &workspace.id, region, &account).await?;
        let scope =
            Scope { workspace: workspace.clone(), role: Role::Admin, actor: maker.to_string(), origin };
        let data = json!({ "name": workspace.name, "region": region });
        let act = self.note_act(&scope, "workspace.created", data).await?;
        let mut transaction = self.0.control.begin().await?;
        let inserted = workspaces::insert(&mut transaction, &workspace).await;
        inserted.map_err(|error| taken_name("workspace_name", error))?;
        workspaces::insert_member(&mut transaction, &workspace.id, maker, Role::Admin, workspace.created_at)
            .await?;
        pending_acts::insert(&mut transaction, &act).await?;
        transaction.commit().await?;
        self.write_noted(&scope, act).await;
        Ok(workspace)
    }

    async fn new_workspace(&self, maker: &UserId, name: String, region: Region) -> Result<Workspace> {
        let now = self.0.clock.now();
        Ok(Workspace {
            id: random::id(now),
            name,
            region,
            cell: self.emptiest_cell(region).await?,
            url_key: hex::encode(random::bytes::<20>()),
            created_by: maker.clone(),
            created_at: now,
        })
    }

    async fn emptiest_cell(&self, region: Region) -> Result<String> {
        let counts = workspaces::count_by_cell(&self.0.control).await?;
        let held = |name: &str| counts.iter().find(|(cell, _)| cell == name).map_or(0, |(_, held)| *held);
        let here = self.0.cells.values().filter(|node| node.cell.region == region);
        let emptiest =
            here.map(|node| node.cell.name.as_str()).min_by_key(|name| (held(name), name.to_string()));
        let nowhere =
            || FieldError::new("region", format!("{region} has no cell on this server; choose another"));
        emptiest.map(str::to_owned).ok_or_else(|| nowhere().into())
    }

    fn new_account(&self, region: Region) -> AccountRow {
        let retention = Retention::default();
        AccountRow {
            available: Usd::ZERO,
            reserved: Usd::ZERO,
            suspended: false,
            caps: Caps::default(),
            // EU workspaces stay in the EU unless an Admin says otherwise (issue “Data”, residency).
            inference: if region == Region::EuWest1 { Inference::RegionOnly } else { Inference::Any },
            media_retention_days: retention.media_retention_days,
            log_retention_days: retention.log_retention_days,
            cost_centre: None,
            replicate_to: None,
            forbidden_models: Vec::new(),
            checklist: accounts::ChecklistNotes::default(),
            salt: random::bytes::<32>().to_vec(),
            created_at: self.0.clock.now(),
        }
    }

    /// Every workspace that a person belongs to, with its figures. One that another node serves has none here.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspaces_of(&self, user: &UserId) -> Result<Vec<WorkspaceRow>> {
        let mut rows = Vec::new();
        for (workspace, role) in workspaces::of_user(&self.0.control, user).await? {
            rows.push(self.workspace_row(workspace, role).await?);
        }
        Ok(rows)
    }

    /// The workspaces that a person belongs to, by name and without figures.
    ///
    /// # Errors
    /// The database's own.
    pub async fn memberships(&self, user: &UserId) -> Result<Vec<(Workspace, Role)>> {
        workspaces::of_user(&self.0.control, user).await
    }

    async fn workspace_row(&self, workspace: Workspace, role: Role) -> Result<WorkspaceRow> {
        let now = self.0.clock.now();
        let Ok(cell) = self.cell(&workspace) else { return Ok(empty_row(workspace, role)) };
        let account = self.account(&workspace).await?;
        let month = usage::totals(&cell.db, &workspace.id, now.month_start(), now.next_month()).await?;
        let agents = crate::engine::store::agents::list(&cell.db, &workspace.id).await?;
        let live = agents
            .iter()
            .filter(|agent| agent.state != crate::engine::store::agents::AgentState::Revoked)
            .count();
        Ok(WorkspaceRow {
            balance: account.available.saturating_add(account.reserved),
            reserved: account.reserved,
            month_to_date: month.cost,
            calls_this_month: month.calls,
            agents: live as i64,
            workspace,
            role,
        })
    }

    /// Gives the workspace another MCP URL; the old one works for `grace_hours` more (0 to 168, none by default), and those
    /// before it until their own ends. Without a grace all of them end at once. Tells the new URL and when the old one ends.
    ///
    /// # Errors
    /// The field `grace_hours`.
    pub async fn rotate_mcp_url(&self, scope: &Scope, grace_hours: Option<i64>) -> Result<(String, Time)> {
        let hours = grace_hours.unwrap_or(0);
        if !(0..=LONGEST_GRACE).contains(&hours) {
            let message = format!("is not a number of hours from 0 to {LONGEST_GRACE}");
            return Err(FieldError::new("grace_hours", message).into());
        }
        let key = hex::encode(random::bytes::<20>());
        let ends_at = self.0.clock.now().plus(hours * HOUR);
        let data = json!({ "previous_ends_at": ends_at });
        let act = self.note_act(scope, "mcp_url.rotated", data).await?;
        url_keys::rotate(&self.0.control, &key, (hours > 0).then_some(ends_at), &act).await?;
        self.write_noted(scope, act).await;
        let rotated = Workspace { url_key: key, ..scope.workspace.clone() };
        Ok((self.mcp_url(&rotated), ends_at))
    }

    /// The keys of the MCP URLs that were replaced and still work, the first to end first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn former_url_keys(&self, scope: &Scope) -> Result<Vec<FormerKey>> {
        url_keys::former(&self.0.control, &scope.workspace.id, self.0.clock.now()).await
    }

    /// Submits an act of `scope` and tells the nodes.
    pub(crate) async fn submit_act(&self, scope: &Scope, act: Act) -> Result<Time> {
        let cell = self.cell(&scope.workspace)?;
        let outcome = cell.writer.submit(&scope.workspace.id, Work::Act(Box::new(act))).await?;
        self.0.identities.forget();
        Ok(outcome.at)
    }
}

fn empty_row(workspace: Workspace, role: Role) -> WorkspaceRow {
    WorkspaceRow {
        workspace,
        role,
        balance: Usd::ZERO,
        reserved: Usd::ZERO,
        month_to_date: Usd::ZERO,
        calls_this_month: 0,
        agents: 0,
    }
}

fn name_is_taken(field: &str) -> Error {
    FieldError::new(field, "is the name of another workspace of yours").into()
}

/// Two requests at the same time with one name: the database knows. `field` is where the name was given.
pub(crate) fn taken_name(field: &str, error: sqlx::Error) -> Error {
    match error.as_database_error() {
        Some(fault) if fault.is_unique_violation() => name_is_taken(field),
        Some(fault) => internal("workspace", fault),
        None => error.into(),
    }
}
