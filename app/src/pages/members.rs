//! `/w/{id}/members`

use agentframer::domain::access::{Permission, Role};
use agentframer::engine::members::Member;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::Invite;
use crate::components::field::{Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::flash::Flash;
use crate::words;

/// The people of a workspace, and a form to invite one more.
#[component]
pub fn Members() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadMembers).await?;
        let (flash, members) = (ask.flash(), ask.engine.members(&scope).await?);
        let form = scope
            .role
            .may(Permission::ChangeMembers)
            .then(|| form(scope.workspace.id.to_string(), flash.clone()));
        let body = view! {
            <Said flash=flash/>
            {form}
            <div class="card scroll">
                <table>
                    <thead><tr><th>"Name"</th><th>"E-mail"</th><th>"Role"</th><th>"Joined"</th><th>"Last seen"</th></tr></thead>
                    <tbody>{members.into_iter().map(line).collect_view()}</tbody>
                </table>
            </div>
        };
        Ok(workspace_page(&ask, &scope, "Members", "Who may see and change what", (), body))
    })
}

fn line(member: Member) -> impl IntoView {
    view! {
        <tr>
            <td><b>{member.name}</b></td>
            <td>{member.email}</td>
            <td>{member.role.title()}</td>
            <td>{words::day(member.joined_at)}</td>
            <td>{words::or_dash(member.last_seen_at.map(words::moment))}</td>
        </tr>
    }
}

fn form(workspace: String, flash: Flash) -> impl IntoView {
    let is_open = flash.problem.is_some();
    let chosen = flash.value("role");
    let about = |role: Role| match role {
        Role::Admin => "changes everything",
        Role::Developer => "agents and their tokens",
        Role::Viewer => "reads log and spend",
    };
    let choice = move |role: Role| {
        let is_chosen = chosen == role.as_str() || (chosen.is_empty() && role == Role::Viewer);
        view! {
            <label class="choice">
                <input type="radio" name="role" value=role.as_str() required checked=is_chosen/>
                <span><b>{role.title()}</b><small>{about(role)}</small></span>
            </label>
        }
    };
    view! {
        <details class="card" open=is_open>
            <summary class="in"><b>"Invite a person"</b></summary>
            <form method="post" action=Invite::url() class="in stack narrow">
                <input type="hidden" name="workspace" value=workspace/>
                <Field name="email" label="E-mail" kind="email" hint="They get a link that works for 7 days." flash=flash/>
                <fieldset class="field"><legend>"Role"</legend><div class="choices">{Role::ALL.map(choice).collect_view()}</div></fieldset>
                <div><button class="btn first">"Send invitation"</button></div>
            </form>
        </details>
    }
}
