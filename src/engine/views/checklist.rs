//! The brief's starting checklist as live state: the system checks each of the six lines itself.

use crate::domain::access::Role;
use crate::domain::retention::Retention;
use crate::domain::words::count;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::calls::agents::{AgentState, AgentView, TokenState};
use crate::engine::error::Result;
use crate::engine::store::accounts::{self, ChecklistNotes};

/// A line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whether it is so.
    pub is_done: bool,
    /// How it stands, as a sentence.
    pub text: String,
    /// The path below the workspace where it is done.
    pub place: &'static str,
}

impl Engine {
    /// The six lines; `None` once it was dismissed or all is done.
    ///
    /// # Errors
    /// The database's own.
    pub async fn checklist(&self, scope: &Scope, agents: &[AgentView]) -> Result<Option<Vec<Step>>> {
        let account = self.account(&scope.workspace).await?;
        if account.checklist.dismissed {
            return Ok(None);
        }
        let caps = account.caps;
        let retention = Retention {
            media_retention_days: account.media_retention_days,
            log_retention_days: account.log_retention_days,
        };
        let steps = vec![
            Step {
                is_done: true,
                text: format!("Region pinned: {}", scope.workspace.region),
                place: "settings",
            },
            cap_step(caps.workspace_month_usd.is_some(), caps.soft_alert_pct),
            agents_step(agents),
            Step {
                is_done: caps.preflight_required,
                text: format!("Preflight required above {}", caps.preflight_usd.display()),
                place: "caps",
            },
            self.readers_step(scope).await?,
            Step {
                is_done: account.checklist.retention_kept || retention != Retention::default(),
                text: format!(
                    "Media and prompts are kept for {}",
                    count(retention.media_retention_days, "day")
                ),
                place: "retention",
            },
        ];
        Ok(steps.iter().any(|step| !step.is_done).then_some(steps))
    }

    /// A webhook that delivers, and a Viewer for finance and compliance.
    async fn readers_step(&self, scope: &Scope) -> Result<Step> {
        let hooks = self.webhooks(scope).await?;
        let delivers = hooks.iter().any(|hook| {
            hook.health.delivered_at.is_some() && hook.health.failures == 0 && hook.reason.is_none()
        });
        let members = self.members(scope).await?;
        let has_viewer = members.iter().any(|member| member.role == Role::Viewer);
        let (text, place) = match (delivers, has_viewer) {
            (true, true) => ("The audit webhook delivers, and a Viewer can read", "webhooks"),
            (true, false) => {
                ("The audit webhook delivers; invite a Viewer for finance and compliance", "members")
            }
            (false, _) => ("Audit webhook to Splunk or Datadog, and a Viewer for finance", "webhooks"),
        };
        Ok(Step { is_done: delivers && has_viewer, text: text.to_owned(), place })
    }

    /// Takes the checklist off the page.
    ///
    /// # Errors
    /// The database's own.
    pub async fn dismiss_checklist(&self, scope: &Scope) -> Result<()> {
        let before = self.account(&scope.workspace).await?.checklist;
        self.note_checklist(scope, before, ChecklistNotes { dismissed: true, ..before }).await
    }

    /// Says that the retention, though it is the default, is chosen.
    ///
    /// # Errors
    /// The database's own.
    pub async fn keep_retention(&self, scope: &Scope) -> Result<()> {
        let before = self.account(&scope.workspace).await?.checklist;
        self.note_checklist(scope, before, ChecklistNotes { retention_kept: true, ..before }).await
    }

    async fn note_checklist(
        &self,
        scope: &Scope,
        before: ChecklistNotes,
        after: ChecklistNotes,
    ) -> Result<()> {
        if before == after {
            return Ok(());
        }
        let change = accounts::set_checklist(&scope.workspace.id, after);
        self.log_setting(scope, "checklist", &before, &after, vec![change]).await
    }
}

fn cap_step(has_cap: bool, alert: u32) -> Step {
    let text = match has_cap {
        true => format!("Hard cap set, soft alert at {alert} %"),
        false => "Hard cap at the month’s expected spend, soft alert at 75 %".to_owned(),
    };
    Step { is_done: has_cap, text, place: "caps" }
}

fn agents_step(agents: &[AgentView]) -> Step {
    let live: Vec<_> = agents.iter().filter(|agent| agent.state != AgentState::Revoked).collect();
    let overdue =
        |agent: &&&AgentView| agent.current_token().is_none_or(|token| token.state == TokenState::Grace);
    let late = live.iter().filter(overdue).count();
    let text = match (live.len(), late) {
        (0, _) => "An agent for each use, its token rotated every 90 days".to_owned(),
        (1, 0) => "1 agent, its rotation in time".to_owned(),
        (count, 0) => format!("{count} agents, every rotation in time"),
        (_, 1) => "1 of the agents needs a rotation".to_owned(),
        (_, late) => format!("{late} of the agents need a rotation"),
    };
    Step { is_done: !live.is_empty() && late == 0, text, place: "agents" }
}
