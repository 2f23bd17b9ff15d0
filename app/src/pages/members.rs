//! `/w/{id}/members`

use std::collections::HashSet;

use agentframer::domain::access::{Permission, Role};
use agentframer::domain::time::Time;
use agentframer::engine::access::members::{Invitation, Member, people_list};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::{ChangeRole, Invite, InviteList, RemoveMember, ResendInvitation, WithdrawInvitation};
use crate::components::field::{ChoiceGroup, Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::components::text_area::TextArea;
use crate::components::when::{When, since};
use crate::flash::Flash;
use crate::islands::FileInto;
use crate::words;

/// The people of a workspace, those who are invited, and forms for more.
#[component]
pub fn Members() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadMembers).await?;
        let (flash, members) = (ask.flash(), ask.engine.members(&scope).await?);
        let may = scope.role.may(Permission::ChangeMembers);
        let invitations = if may { ask.engine.invitations(&scope).await? } else { Vec::new() };
        let workspace = scope.workspace.id.to_string();
        let me = ask.info.user.as_ref().map(ToString::to_string).unwrap_or_default();
        let known = Known::of(&members, &invitations, ask.engine.clock().now());
        let lines: Vec<_> =
            members.into_iter().map(|member| line(&workspace, member, may, &me).into_any()).collect();
        let now = ask.engine.clock().now();
        let forms = may.then(|| {
            view! {
                {invite(workspace.clone(), flash.clone()).into_any()}
                {list(workspace.clone(), &known, flash.clone()).into_any()}
            }
        });
        let open = (!invitations.is_empty()).then(|| open(&workspace, invitations, now).into_any());
        let body = view! {
            <Said flash=flash.clone()/>
            <div class="card scroll" tabindex="0">
                <table>
                    <thead><tr><th>"Name"</th><th>"E-mail"</th><th>"Role"</th><th>"Joined"</th><th>"Last seen"</th>{may.then(|| view! { <th></th> })}</tr></thead>
                    <tbody>{lines}</tbody>
                </table>
            </div>
            {open} {forms}
        };
        Ok(workspace_page(&ask, &scope, "Members", "Who may see and change what", (), body))
    })
}

fn line(workspace: &str, member: Member, may: bool, me: &str) -> impl IntoView + use<> {
    let (workspace, user) = (workspace.to_owned(), member.user_id.to_string());
    let is_me = user == me;
    let label = format!("Role of {}", member.name);
    let role = if may {
        let option = |role: Role| view! { <option value=role.as_str() selected=role == member.role>{role.title()}</option> };
        view! {
            <form method="post" action=ChangeRole::url() class="row">
                <input type="hidden" name="workspace" value=workspace.clone()/><input type="hidden" name="user" value=user.clone()/>
                <select name="role" aria-label=label>{Role::ALL.map(option).collect_view()}</select>
                <button class="btn small">"Change"</button>
            </form>
        }
        .into_any()
    } else {
        member.role.title().into_any()
    };
    let id = user.clone();
    let remove = may.then(|| removal(workspace, user, is_me).into_any());
    view! {
        <tr id=id>
            <td><b>{member.name}</b>{is_me.then_some(" (you)")}</td>
            <td>{member.email}</td>
            <td>{role}</td>
            <td>{words::day(member.joined_at)}</td>
            <td><When at=member.last_seen_at/></td>
            {remove}
        </tr>
    }
}

/// Says what it does before it is done.
fn removal(workspace: String, user: String, is_me: bool) -> impl IntoView {
    let (word, says) = if is_me {
        (
            "Leave",
            "You will not see this workspace any more, and your REST keys for it end. Only an Admin can invite you again.",
        )
    } else {
        (
            "Remove",
            "Access ends at once, and so do the REST keys that this person made. The log keeps what was done.",
        )
    };
    view! {
        <td class="num">
            <details>
                <summary class="quiet">{word}</summary>
                <form method="post" action=RemoveMember::url() class="stack">
                    <input type="hidden" name="workspace" value=workspace/><input type="hidden" name="user" value=user/>
                    <p>{says}</p>
                    <div><button class="btn bad">{if is_me { "Leave now" } else { "Remove now" }}</button></div>
                </form>
            </details>
        </td>
    }
}

fn open(workspace: &str, invitations: Vec<Invitation>, now: Time) -> impl IntoView + use<> {
    let lines: Vec<_> =
        invitations.into_iter().map(|open| invitation(workspace, open, now).into_any()).collect();
    view! {
        <section class="card scroll">
            <header><h2>"Invited"</h2></header>
            <table>
                <thead><tr><th>"E-mail"</th><th>"Role"</th><th>"Link"</th><th></th></tr></thead>
                <tbody>{lines}</tbody>
            </table>
        </section>
    }
}

fn invitation(workspace: &str, open: Invitation, now: Time) -> impl IntoView + use<> {
    let (workspace, id) = (workspace.to_owned(), open.id.to_string());
    let link =
        if open.expires_at > now { since("works until", open.expires_at) } else { "is over".into_any() };
    let form = |action: &'static str, label: &'static str| {
        view! {
            <form method="post" action=action>
                <input type="hidden" name="workspace" value=workspace.clone()/><input type="hidden" name="invitation" value=id.clone()/>
                <button class="quiet">{label}</button>
            </form>
        }
    };
    view! {
        <tr>
            <td>{open.email}</td><td>{open.role.title()}</td><td>{link}</td>
            <td class="num"><div class="row end">{form(ResendInvitation::url(), "Send again")}{form(WithdrawInvitation::url(), "Withdraw")}</div></td>
        </tr>
    }
}

fn invite(workspace: String, flash: Flash) -> impl IntoView {
    let is_open = flash.is_about(&["email", "role"]);
    let (chosen, wrong) = (flash.value("role"), flash.error_at("role", "Role"));
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
                <ChoiceGroup name="role" legend="Role" wrong=wrong>{Role::ALL.map(choice).collect_view()}</ChoiceGroup>
                <div><button class="btn first">"Send invitation"</button></div>
            </form>
        </details>
    }
}

/// Whose address is known here already.
struct Known {
    members: HashSet<String>,
    invited: HashSet<String>,
}

impl Known {
    fn of(members: &[Member], invitations: &[Invitation], now: Time) -> Self {
        let open = invitations.iter().filter(|invitation| invitation.expires_at > now);
        Self {
            members: members.iter().map(|member| member.email.clone()).collect(),
            invited: open.map(|invitation| invitation.email.clone()).collect(),
        }
    }

    fn tag(&self, email: &str) -> impl IntoView + use<> {
        let (class, text) = match email {
            email if self.members.contains(email) => ("tag warn", "member"),
            email if self.invited.contains(email) => ("tag warn", "invited"),
            _ => ("tag good", "new"),
        };
        view! { <span class=class>{text}</span> }
    }
}

/// Two steps: the list is shown as it was read, then it is sent.
fn list(workspace: String, known: &Known, flash: Flash) -> impl IntoView + use<> {
    let typed = flash.value("people");
    let wrong = flash.error_at("people", "The list");
    let read = people_list(&typed).ok().filter(|_| wrong.is_none());
    let is_open = !typed.is_empty() || wrong.is_some();
    let send = read.map(|people| {
        let (count, has_member) = (people.len(), people.iter().any(|(email, _)| known.members.contains(email)));
        let send = (!has_member).then(|| {
            view! {
                <form method="post" action=InviteList::url()>
                    <input type="hidden" name="workspace" value=workspace.clone()/>
                    <input type="hidden" name="people" value=typed.clone()/>
                    <button class="btn first" name="send" value="yes">{format!("Send {}", words::count(count, "invitation"))}</button>
                </form>
            }
        });
        let take_out = has_member.then(|| view! { <p class="note warn"><span class="tag warn">"member"</span>"Take out who is a member already, and check the list again. Nobody was invited."</p> });
        let line = |(email, role): (String, Role)| {
            let tag = known.tag(&email);
            view! { <tr><td>{email}</td><td>{role.title()}</td><td>{tag}</td></tr> }
        };
        view! {
            <div class="in stack">
                <table><thead><tr><th>"E-mail"</th><th>"Role"</th><th>"Here"</th></tr></thead><tbody>{people.into_iter().map(line).collect_view()}</tbody></table>
                {send} {take_out}
            </div>
        }
    });
    view! {
        <details class="card" open=is_open>
            <summary class="in"><b>"Invite a list"</b></summary>
            <form method="post" action=InviteList::url() class="in stack narrow">
                <input type="hidden" name="workspace" value=workspace.clone()/>
                <label for="people">"One person a line: email,role"</label>
                <TextArea name="people" value=typed.clone() rows=6 wrong=wrong.is_some()/>
                <p class="error" id="people-error">{wrong}</p>
                <FileInto into="people".to_owned() label="From a CSV file".to_owned() accept=".csv,text/csv,text/plain".to_owned()/>
                <div><button class="btn">"Check the list"</button></div>
            </form>
            {send}
        </details>
    }
}
