//! `/w/{id}/agents/{id}`: one agent's spend, calls, tokens, policy and state.

mod policy;
mod tokens;

use agentframer::domain::access::Permission;
use agentframer::domain::money::thousands;
use agentframer::domain::time::Time;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::calls::activity::Activity;
use agentframer::engine::calls::agents::{AgentState, AgentView};
use agentframer::engine::error::{Error, Result};
use leptos::prelude::*;

pub use self::policy::trial_text;
use self::policy::{Editor, editor};
use super::agents::{rotation, state_tag};
use super::overview::latest;
use crate::ask::Ask;
use crate::components::chart::SpendByDay;
use crate::components::clients::ClientConfigurations;
use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::components::when::stamp;
use crate::flash::Flash;
use crate::islands::CopyButton;
use crate::words;

/// Everything about one agent.
#[component]
pub fn AgentPage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadAgents).await?;
        let id = ask.segment(3).parse().map_err(|_| Error::NotFound)?;
        let (flash, agent) = (ask.flash(), ask.engine.agent(&scope, &id).await?);
        let activity = ask.engine.activity(&scope, &agent.name, &agent.policy).await?;
        let ids = Ids { workspace: scope.workspace.id.to_string(), agent: agent.id.to_string() };
        let may = scope.role.may(Permission::ChangeAgents) && agent.state != AgentState::Revoked;
        let policy = policy_card(&ask, &scope, &agent, may, &flash).await?;
        let now = ask.engine.clock().now();
        let body = view! {
            <Said flash=flash.clone()/>
            {agent.paused_reason.clone().map(|why| view! { <p class="note warn"><span class="tag warn">"paused"</span>{why}</p> })}
            {figures(&agent, now).into_any()}
            {connect(ask.engine.mcp_url(&scope.workspace), flash.secret.clone()).into_any()}
            {spend(activity, &format!("/w/{}", scope.workspace.id), now).into_any()}
            {policy}
            {tokens::tokens(&agent.tokens).into_any()}
            {may.then(|| tokens::controls(&ids, &agent, flash).into_any())}
        };
        let line = "A service identity: its token, policy and caps are its own";
        Ok(workspace_page(&ask, &scope, &agent.name, line, state_tag(agent.state), body))
    })
}

/// What each form of this page sends along.
struct Ids {
    workspace: String,
    agent: String,
}

impl Ids {
    fn fields(&self) -> impl IntoView + use<> {
        view! {
            <input type="hidden" name="workspace" value=self.workspace.clone()/>
            <input type="hidden" name="agent" value=self.agent.clone()/>
        }
    }
}

async fn policy_card(
    ask: &Ask,
    scope: &Scope,
    agent: &AgentView,
    may: bool,
    flash: &Flash,
) -> Result<AnyView> {
    let saved = serde_json::to_value(&agent.policy).unwrap_or_default();
    let pretty = serde_json::to_string_pretty(&saved).unwrap_or_default();
    let shown = Editor {
        policy: flash.kept.get("policy").cloned().unwrap_or(pretty),
        document: serde_json::to_string_pretty(&agent.document(scope)).unwrap_or_default(),
        models: ask.engine.workspace_models(scope).await?,
        may,
    };
    let ids = Ids { workspace: scope.workspace.id.to_string(), agent: agent.id.to_string() };
    Ok(editor(&ids, shown, &saved, flash).into_any())
}

fn figures(agent: &AgentView, now: Time) -> impl IntoView + use<> {
    let (class, due) = rotation(agent, now);
    let used = agent.last_used_at.map_or_else(|| "never".into_any(), |at| stamp(at, words::minute(at)));
    let cap = agent.policy.limits().month_usd.map(|cap| format!("of {}", cap.display()));
    let every = format!("every {}", words::count(agent.policy.token_rotation_days, "day"));
    view! {
        <div class="card grid g4 figures">
            <dl class="stat"><dt>"Spent this month"</dt><dd>{agent.month_to_date.display()} " " <small>{cap}</small></dd></dl>
            <dl class="stat"><dt>"Calls this month"</dt><dd>{thousands(&agent.calls_this_month.to_string())}</dd></dl>
            <dl class="stat"><dt>"Rotation"</dt><dd class="text"><span class=class>{due}</span></dd><dd class="about">{every}</dd></dl>
            <dl class="stat"><dt>"Last used"</dt><dd class="text">{used}</dd></dl>
        </div>
    }
}

/// The client's configuration, with the token while it is shown.
fn connect(url: String, secret: Option<String>) -> impl IntoView {
    let token = secret.unwrap_or_else(|| "YOUR_TOKEN".into());
    view! {
        <section class="card">
            <header><h2>"Connect"</h2></header>
            <div class="in stack">
                <div><p class="muted">"MCP address"</p><div class="secret"><code class="mono">{url.clone()}</code><CopyButton text=url.clone()/></div></div>
                <ClientConfigurations url=url token=token/>
            </div>
        </section>
    }
}

fn spend(activity: Activity, base: &str, now: Time) -> impl IntoView + use<> {
    let trial = trial_text(&activity.trial);
    view! {
        <section class="card">
            <header><h2>"Spend by day and model"</h2></header>
            <div class="in"><SpendByDay days=activity.spend_by_day month=now.month_start() by="model"/></div>
        </section>
        {latest(activity.latest, base).into_any()}
        <section class="card">
            <header><h2>"What the policy, as it is now, would have refused"</h2></header>
            <p class="in">{trial}</p>
        </section>
    }
}
