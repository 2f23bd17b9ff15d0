//! `/w/{id}/agents`

use agentframer::domain::access::Permission;
use agentframer::domain::money::thousands;
use agentframer::domain::time::{DAY, Time};
use agentframer::engine::calls::agents::{AgentState, AgentView, TokenState};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::CreateAgent;
use crate::components::field::{Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::components::when::When;
use crate::words;

/// Each agent with what it spends and when its token is due, and a form for a new one.
#[component]
pub fn Agents() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadAgents).await?;
        let (flash, now) = (ask.flash(), ask.engine.clock().now());
        let agents = ask.engine.agents(&scope).await?;
        let is_open = agents.is_empty() || flash.problem.is_some();
        let id = scope.workspace.id.to_string();
        let body = view! {
            <Said flash=flash.clone()/>
            <details class="card" open=is_open id="new">
                <summary class="in"><b>"New agent"</b></summary>
                <form method="post" action=CreateAgent::url() class="in stack narrow">
                    <input type="hidden" name="workspace" value=id.clone()/>
                    <Field name="name" label="Name" hint="One agent for each use, such as growth-bot. It may generate and read; it may not invite, top up or delete." flash=flash/>
                    <button class="btn first">"Create agent"</button>
                </form>
            </details>
            {table(agents, &id, now)}
        };
        let line = "Service identities: each has its own token, policy and caps";
        Ok(workspace_page(&ask, &scope, "Agents", line, (), body))
    })
}

fn table(agents: Vec<AgentView>, workspace: &str, now: Time) -> AnyView {
    if agents.is_empty() {
        return ().into_any();
    }
    view! {
        <div class="card scroll">
            <table class="opens">
                <thead><tr><th>"Agent"</th><th>"Status"</th><th>"Rotation"</th><th>"Last used"</th><th class="num">"Calls this month"</th><th class="num">"Spent this month"</th></tr></thead>
                <tbody>{agents.into_iter().map(|agent| line(agent, workspace, now)).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn line(agent: AgentView, workspace: &str, now: Time) -> impl IntoView + use<> {
    let href = format!("/w/{workspace}/agents/{}", agent.id);
    let (rotation_class, rotation) = rotation(&agent, now);
    view! {
        <tr>
            <td><a href=href><b>{agent.name}</b></a></td>
            <td>{state_tag(agent.state)}</td>
            <td><span class=rotation_class>{rotation}</span></td>
            <td><When at=agent.last_used_at/></td>
            <td class="num">{thousands(&agent.calls_this_month.to_string())}</td>
            <td class="num">{agent.month_to_date.display()}</td>
        </tr>
    }
}

/// The agent's state as a tag.
pub fn state_tag(state: AgentState) -> impl IntoView {
    let (class, text) = match state {
        AgentState::Active => ("tag good", "active"),
        AgentState::Paused => ("tag warn", "paused"),
        AgentState::Revoked => ("tag", "revoked"),
    };
    view! { <span class=class>{text}</span> }
}

/// Days until the token is due; red once it is overdue.
pub fn rotation(agent: &AgentView, now: Time) -> (&'static str, String) {
    let days = |until: Time| (until.micros() - now.micros()).max(0) / DAY;
    match agent.current_token() {
        _ if agent.state == AgentState::Revoked => ("muted", "–".into()),
        None => ("tag bad", "no working token".into()),
        Some(token) if token.state == TokenState::Grace => {
            ("tag bad", format!("overdue, ends in {}", words::count(days(token.grace_ends_at), "day")))
        }
        Some(token) if days(token.expires_at) <= 14 => {
            ("tag warn", format!("in {}", words::count(days(token.expires_at), "day")))
        }
        Some(token) => ("", format!("in {}", words::count(days(token.expires_at), "day"))),
    }
}
