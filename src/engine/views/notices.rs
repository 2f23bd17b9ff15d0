//! What is wrong now, and the way to mend it: the overview's and the portfolio's notices.

use crate::domain::access::Permission;
use crate::domain::time::{DAY, Time};
use crate::domain::words::count;
use crate::engine::Engine;
use crate::engine::access::keys::{ENDING_NOTICE, KeyRow};
use crate::engine::access::scope::Scope;
use crate::engine::calls::agents::{AgentState, AgentView, TokenState};
use crate::engine::error::Result;
use crate::engine::money::billing::Credits;
use crate::engine::store::webhooks::{self, EndpointRow, EndpointState};

/// Days from a token's due date on which it is told.
const ROTATION_NOTICE: i64 = 14 * DAY;

/// How urgent a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Needs care.
    Care,
    /// Calls are refused.
    Bad,
}

/// What is wrong now, and the way to mend it.
#[derive(Debug, Clone)]
pub struct Notice {
    /// How urgent.
    pub severity: Severity,
    /// One word.
    pub tag: &'static str,
    /// A sentence.
    pub text: String,
    /// A button's words and the path below the workspace, such as `billing`.
    pub action: Option<(&'static str, String)>,
}

impl Engine {
    /// What is wrong in a workspace now, as far as the scope's person may know: what each of its pages tells.
    ///
    /// # Errors
    /// The database's own.
    pub async fn notices_now(&self, scope: &Scope) -> Result<Vec<Notice>> {
        let credits = self.credits(scope).await?;
        let agents = match scope.role.may(Permission::ReadAgents) {
            true => self.agents_unspent(scope).await?,
            false => Vec::new(),
        };
        self.notices(scope, &credits, &agents).await
    }

    /// What the scope's person may know of: money, agents, webhooks.
    pub(in crate::engine) async fn notices(
        &self,
        scope: &Scope,
        credits: &Credits,
        agents: &[AgentView],
    ) -> Result<Vec<Notice>> {
        let now = self.0.clock.now();
        let agents = agents.iter().filter(|agent| agent.state != AgentState::Revoked);
        let may = |permission| scope.role.may(permission);
        let mut notices: Vec<Notice> =
            balance_notice(credits).filter(|_| may(Permission::ReadBilling)).into_iter().collect();
        notices.extend(soft_alert_notice(credits));
        if may(Permission::ReadAgents) {
            notices.extend(agents.filter_map(|agent| agent_notice(agent, now)));
        }
        if may(Permission::ChangeAgents) {
            notices.extend(key_notices(&self.keys(scope).await?, now));
        }
        if may(Permission::ReadWebhooks) {
            let hooks = webhooks::list(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await?;
            notices.extend(hooks.iter().filter_map(webhook_notice));
        }
        Ok(notices)
    }
}

/// A key that another of its name outlives was rotated: its end is no surprise.
fn key_notices(keys: &[KeyRow], now: Time) -> Vec<Notice> {
    let live: Vec<&KeyRow> = keys.iter().filter(|key| key.is_live(now)).collect();
    let outlives = |other: &KeyRow, end: Time| other.expires_at.is_none_or(|later| later > end);
    let notice = |key: &KeyRow| {
        let end = key.expires_at.filter(|end| end.plus(-ENDING_NOTICE) <= now)?;
        if live.iter().any(|other| other.name == key.name && outlives(other, end)) {
            return None;
        }
        let days = (end.micros() - now.micros()) / DAY;
        let text = format!(
            "The API key {} ends in {}. Programs that use it are refused then.",
            key.name,
            count(days, "day")
        );
        let action = Some(("Rotate the key", "settings".to_owned()));
        Some(Notice { severity: Severity::Care, tag: "key", text, action })
    };
    live.iter().filter_map(|key| notice(key)).collect()
}

fn soft_alert_notice(credits: &Credits) -> Option<Notice> {
    let text = format!(
        "{} spent this month: {} % of a typical month is reached.",
        credits.month_to_date_usd.display(),
        credits.soft_alert.threshold_pct
    );
    let notice = Notice { severity: Severity::Care, tag: "spend", text, action: None };
    credits.soft_alert.reached.then_some(notice)
}

/// A pause that a person asked for is no fault, but easily forgotten.
fn webhook_notice(hook: &EndpointRow) -> Option<Notice> {
    let host = url::Url::parse(&hook.url).ok()?.host_str()?.to_owned();
    let (severity, state) = match hook.state {
        EndpointState::Active if hook.progress.failures == 0 => return None,
        EndpointState::Active => (Severity::Care, "fails; it is tried again"),
        EndpointState::Paused => (Severity::Care, "is paused"),
        EndpointState::Disabled => (Severity::Bad, "is disabled"),
    };
    let text = format!("The webhook to {host} {state}. Its events wait, none is lost.");
    Some(Notice {
        severity,
        tag: "webhook",
        text,
        action: Some(("Look at it", format!("webhooks/{}", hook.id))),
    })
}

fn balance_notice(credits: &Credits) -> Option<Notice> {
    let action = Some(("Top up", "billing".to_owned()));
    if !credits.available_usd.is_positive() {
        let text = "The balance is used up. Paid calls are refused until somebody tops up.".to_owned();
        return Some(Notice { severity: Severity::Bad, tag: "balance", text, action });
    }
    let floor = credits.floor_usd.filter(|_| credits.below_floor)?;
    let text = format!(
        "{} left, below the floor of {}. Agents are told to stop.",
        credits.available_usd.display(),
        floor.display()
    );
    Some(Notice { severity: Severity::Care, tag: "balance", text, action })
}

fn agent_notice(agent: &AgentView, now: Time) -> Option<Notice> {
    let place = format!("agents/{}", agent.id);
    if agent.state == AgentState::Paused {
        let reason = agent.paused_reason.as_deref().unwrap_or("paused");
        let reason = reason.strip_prefix("paused ").unwrap_or(reason);
        let text = format!("{} is paused: {reason}. Its calls are refused.", agent.name);
        return Some(Notice {
            severity: Severity::Care,
            tag: "paused",
            text,
            action: Some(("Look at it", place)),
        });
    }
    let rotate = Some(("Rotate token", place));
    let Some(token) = agent.current_token() else {
        let text = format!("{} has no working token. Its calls are refused.", agent.name);
        return Some(Notice { severity: Severity::Bad, tag: "rotation", text, action: rotate });
    };
    if token.expires_at.plus(-ROTATION_NOTICE) > now {
        return None;
    }
    let days = |until: Time| (until.micros() - now.micros()).max(0) / DAY;
    let text = if token.state == TokenState::Grace {
        format!(
            "{}’s token is overdue. Calls with it are refused in {}.",
            agent.name,
            count(days(token.grace_ends_at), "day")
        )
    } else {
        format!("{}’s token is due in {}.", agent.name, count(days(token.expires_at), "day"))
    };
    Some(Notice { severity: Severity::Care, tag: "rotation", text, action: rotate })
}
