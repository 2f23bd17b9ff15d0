//! What the command palette finds: agents, members, calls.

use crate::domain::access::Permission;
use crate::domain::ids::RequestId;
use crate::domain::search::Field;
use crate::engine::Engine;
use crate::engine::access::members::Member;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::log::reading::{AuditFilter, Page};

/// The most of a kind.
const MOST: usize = 6;

/// Something with a page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// `page`, `agent`, `member` or `request`.
    pub kind: &'static str,
    /// What it is called.
    pub label: String,
    /// Where it is, below the workspace.
    pub place: String,
}

impl Engine {
    /// What the reader may see and whose name holds `text`; a request by its whole id.
    ///
    /// # Errors
    /// The database's own.
    pub async fn find(&self, scope: &Scope, text: &str) -> Result<Vec<Found>> {
        let (given, text) = (text.trim(), text.trim().to_lowercase());
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        if scope.role.may(Permission::ReadAgents) {
            found.extend(self.find_agents(scope, &text).await?);
        }
        if scope.role.may(Permission::ReadMembers) {
            found.extend(self.find_members(scope, &text).await?);
        }
        if let (true, Ok(id)) = (scope.role.may(Permission::ReadActivity), given.parse::<RequestId>()) {
            found.extend(self.find_request(scope, id).await?);
        }
        Ok(found)
    }

    async fn find_agents(&self, scope: &Scope, text: &str) -> Result<Vec<Found>> {
        let rows =
            crate::engine::store::agents::list(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await?;
        let named = rows.into_iter().filter(|agent| agent.name.contains(text)).take(MOST);
        Ok(named
            .map(|agent| Found { kind: "agent", place: format!("/agents/{}", agent.id), label: agent.name })
            .collect())
    }

    async fn find_members(&self, scope: &Scope, text: &str) -> Result<Vec<Found>> {
        let members = self.members(scope).await?;
        let named = members
            .into_iter()
            .filter(|member| member.name.to_lowercase().contains(text) || member.email.contains(text));
        let found = |member: Member| Found {
            kind: "member",
            label: format!("{} · {}", member.name, member.email),
            place: format!("/members#{}", member.user_id),
        };
        Ok(named.take(MOST).map(found).collect())
    }

    async fn find_request(&self, scope: &Scope, id: RequestId) -> Result<Option<Found>> {
        let one = Page { limit: Some(1), cursor: None };
        let logged = self.audit(scope, &AuditFilter::of(Field::Request, id.as_str()), one).await?;
        let is_there = !logged.items.is_empty() || self.attempt(scope, &id).await?.is_some();
        Ok(is_there.then(|| Found { kind: "request", label: id.to_string(), place: format!("/audit/{id}") }))
    }
}
