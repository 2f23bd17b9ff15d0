//! `/w/{id}/agents/{id}`: one agent's tokens, policy and state.

use agentframer::domain::access::Permission;
use agentframer::engine::agents::{AgentState, AgentView, TokenState, TokenView};
use agentframer::engine::error::Error;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::agents::state_tag;
use crate::actions::{PauseAgent, ResumeAgent, RevokeAgent, RotateAgent, UpdatePolicy};
use crate::components::clients::ClientConfigurations;
use crate::components::field::{Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::components::text_area::TextArea;
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
        let ids = Ids { workspace: scope.workspace.id.to_string(), agent: agent.id.to_string() };
        let may = scope.role.may(Permission::ChangeAgents) && agent.state != AgentState::Revoked;
        let line = format!(
            "{} this month in {} calls · last used {}",
            agent.month_to_date.display(),
            agent.calls_this_month,
            agent.last_used_at.map_or_else(|| "never".to_owned(), words::moment)
        );
        let policy =
            serde_json::to_value(&agent.policy).and_then(|policy| serde_json::to_string_pretty(&policy));
        let policy = flash.kept.get("policy").cloned().unwrap_or_else(|| policy.unwrap_or_default());
        let document = serde_json::to_string_pretty(&agent.document(&scope)).unwrap_or_default();
        let body = view! {
            <Said flash=flash.clone()/>
            {agent.paused_reason.clone().map(|why| view! { <p class="note warn"><span class="tag warn">"paused"</span>{why}</p> })}
            {connect(ask.engine.mcp_url(&scope.workspace), flash.secret.clone()).into_any()}
            {tokens(&agent.tokens).into_any()}
            {may.then(|| rotate(&ids, flash.clone()).into_any())}
            {policy_editor(&ids, policy, document, may, &flash).into_any()}
            {may.then(|| revoke(&ids).into_any())}
        };
        let actions = view! { {state_tag(agent.state)} {may.then(|| pause_or_resume(&ids, &agent))} };
        Ok(workspace_page(&ask, &scope, &agent.name, line, actions, body))
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

fn pause_or_resume(ids: &Ids, agent: &AgentView) -> impl IntoView + use<> {
    let (action, label) = match agent.state {
        AgentState::Paused => (ResumeAgent::url(), "Resume"),
        _ => (PauseAgent::url(), "Pause"),
    };
    view! { <form method="post" action=action>{ids.fields()}<button class="btn">{label}</button></form> }
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

fn tokens(tokens: &[TokenView]) -> impl IntoView + use<> {
    let line = |token: &TokenView| {
        let (class, text) = match token.state {
            TokenState::Current => ("tag good", "works"),
            TokenState::Overlap => ("tag warn", "works until the overlap ends"),
            TokenState::Grace => ("tag bad", "overdue"),
            TokenState::Ended => ("tag", "ended"),
        };
        let ends = token.ends_at.unwrap_or(token.grace_ends_at);
        view! {
            <tr>
                <td class="mono">{token.prefix_last4.clone()}</td>
                <td><span class=class>{text}</span></td>
                <td>{words::moment(token.created_at)}</td>
                <td>{words::moment(token.expires_at)}</td>
                <td>{words::moment(ends)}</td>
            </tr>
        }
    };
    view! {
        <section class="card scroll">
            <header><h2>"Tokens"</h2></header>
            <table>
                <thead><tr><th>"Token"</th><th>"State"</th><th>"Made"</th><th>"Due"</th><th>"Calls end"</th></tr></thead>
                <tbody>{tokens.iter().map(line).collect_view()}</tbody>
            </table>
        </section>
    }
}

fn rotate(ids: &Ids, flash: Flash) -> impl IntoView + use<> {
    view! {
        <details class="card">
            <summary class="in"><b>"Rotate token"</b></summary>
            <form method="post" action=RotateAgent::url() class="in stack narrow">
                {ids.fields()}
                <Field name="overlap_hours" label="Hours that the old token still works" kind="number" value="24" hint="0 to 168. The new token is shown once." flash=flash/>
                <button class="btn first">"Make a new token"</button>
            </form>
        </details>
    }
}

fn policy_editor(
    ids: &Ids,
    policy: String,
    document: String,
    may: bool,
    flash: &Flash,
) -> impl IntoView + use<> {
    let in_policy = flash.error_at("policy", "This text");
    let editor = may.then(|| view! {
        <form method="post" action=UpdatePolicy::url() class="in stack">
            {ids.fields()}
            <label for="policy">"Tools, denied tools, models, networks, rotation, caps. What is denied wins over what is permitted."</label>
            <TextArea name="policy" value=policy/>
            <p class="error" id="policy-error">{in_policy}</p>
            <div><button class="btn first">"Save policy"</button></div>
        </form>
    });
    view! {
        <section class="card">
            <header><h2>"Policy"</h2></header>
            {editor}
            <details class="in">
                <summary>"The whole document, for export"</summary>
                <pre class="mono">{document.clone()}</pre>
                <CopyButton text=document/>
            </details>
        </section>
    }
}

fn revoke(ids: &Ids) -> impl IntoView + use<> {
    view! {
        <details class="card">
            <summary class="in"><b>"Revoke"</b></summary>
            <form method="post" action=RevokeAgent::url() class="in stack">
                {ids.fields()}
                <p>"Every token of this agent ends at once and for good. Calls that run are finished and paid. Its log entries stay."</p>
                <div><button class="btn bad">"Revoke for good"</button></div>
            </form>
        </details>
    }
}
