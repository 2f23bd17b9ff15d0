//! An agent's tokens and its state: what rotating, pausing, resuming and revoking do is said before.

use agentframer::engine::calls::agents::{AgentState, AgentView, TokenState, TokenView};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::Ids;
use crate::actions::{PauseAgent, ResumeAgent, RevokeAgent, RotateAgent};
use crate::components::field::Field;
use crate::components::when::When;
use crate::flash::Flash;

/// Each token with its state; nothing secret.
pub fn tokens(tokens: &[TokenView]) -> impl IntoView + use<> {
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
                <td><When at=token.created_at/></td>
                <td><When at=token.expires_at/></td>
                <td><When at=ends/></td>
            </tr>
        }
    };
    view! {
        <section class="card scroll" tabindex="0">
            <header><h2>"Tokens"</h2></header>
            <table>
                <thead><tr><th>"Token"</th><th>"State"</th><th>"Made"</th><th>"Due"</th><th>"Calls end"</th></tr></thead>
                <tbody>{tokens.iter().map(line).collect_view()}</tbody>
            </table>
        </section>
    }
}

/// Rotate, pause or resume, revoke.
pub fn controls(ids: &Ids, agent: &AgentView, flash: Flash) -> impl IntoView + use<> {
    let is_rotating = flash.is_about(&["overlap_hours"]);
    view! {
        <details class="card" open=is_rotating>
            <summary class="in"><b>"Rotate token"</b></summary>
            <form method="post" action=RotateAgent::url() class="in stack narrow">
                {ids.fields()}
                <p>"A new token is made and shown once. The one before works for the hours below, so that you can change it without a gap; 0 ends it at once."</p>
                <Field name="overlap_hours" label="Hours that the old token still works" kind="number" value="24" hint="0 to 168." flash=flash/>
                <div><button class="btn first">"Make a new token"</button></div>
            </form>
        </details>
        {pause_or_resume(ids, agent.state).into_any()}
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

fn pause_or_resume(ids: &Ids, state: AgentState) -> impl IntoView + use<> {
    let (action, label, text) = match state {
        AgentState::Paused => {
            (ResumeAgent::url(), "Resume", "Its calls work again at once, with the same token and policy.")
        }
        _ => (
            PauseAgent::url(),
            "Pause",
            "Its calls are refused with agent_paused, and cost nothing, until somebody resumes it. Calls that run are finished and paid. Its tokens stay.",
        ),
    };
    view! {
        <details class="card">
            <summary class="in"><b>{label}</b></summary>
            <form method="post" action=action class="in stack">
                {ids.fields()}
                <p>{text}</p>
                <div><button class="btn first">{label}</button></div>
            </form>
        </details>
    }
}
