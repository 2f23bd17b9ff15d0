//! Who is signed in, and who tried to.

use agentframer::domain::access::Permission;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::access::security::{MemberSession, SIGN_IN_DAYS, SignIn};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::EndMemberSession;
use crate::components::when::When;
use crate::words;

/// The browsers in which members are signed in.
pub fn sessions(scope: &Scope, sessions: Vec<MemberSession>) -> impl IntoView + use<> {
    let (may, workspace) = (scope.role.may(Permission::ChangeSettings), scope.workspace.id.to_string());
    let lines = sessions.into_iter().map(|session| line(&workspace, may, session)).collect_view();
    view! {
        <section class="card">
            <header><h2>"Signed in now"</h2></header>
            <div class="scroll" tabindex="0">
                <table>
                    <thead><tr><th>"Person"</th><th>"Since"</th><th>"Last use"</th><th>"Address"</th><th>"Browser"</th>{may.then(|| view! { <th class="num">"Session"</th> })}</tr></thead>
                    <tbody>{lines}</tbody>
                </table>
            </div>
            <footer>"A session ends after 12 hours without use, and after 7 days in any case."</footer>
        </section>
    }
}

fn line(workspace: &str, may: bool, session: MemberSession) -> impl IntoView + use<> {
    let agent = words::or_dash(session.user_agent);
    let label =
        format!("End the session of {}, last used {}", session.name, words::minute(session.last_seen_at));
    let end = may.then(|| {
        view! {
            <td class="num">
                <form method="post" action=EndMemberSession::url()>
                    <input type="hidden" name="workspace" value=workspace.to_owned()/>
                    <input type="hidden" name="session" value=session.handle/>
                    <button class="btn" aria-label=label>"End"</button>
                </form>
            </td>
        }
    });
    view! {
        <tr>
            <td><b>{session.name}</b></td>
            <td><When at=session.since/></td>
            <td><When at=session.last_seen_at/></td>
            <td class="mono">{words::or_dash(session.address)}</td>
            <td><span class="cut" title=agent.clone()>{agent.clone()}</span></td>
            {end}
        </tr>
    }
}

/// The latest tries of members to sign in.
pub fn sign_ins(tries: Vec<SignIn>) -> impl IntoView {
    let line = |made: SignIn| {
        let (class, text) =
            if made.succeeded { ("tag good", "signed in") } else { ("tag bad", "wrong password") };
        view! {
            <tr>
                <td><When at=made.at/></td>
                <td><b>{made.name}</b></td>
                <td><span class=class>{text}</span></td>
                <td class="mono">{words::or_dash(made.address)}</td>
            </tr>
        }
    };
    let table = (!tries.is_empty()).then(|| {
        view! {
            <div class="scroll" tabindex="0">
                <table>
                    <thead><tr><th>"Time"</th><th>"Person"</th><th>"Outcome"</th><th>"Address"</th></tr></thead>
                    <tbody>{tries.into_iter().map(line).collect_view()}</tbody>
                </table>
            </div>
        }
    });
    let empty = table
        .is_none()
        .then(|| view! { <div class="in empty">"Nobody has signed in with a password yet."</div> });
    view! {
        <section class="card">
            <header><h2>"Recent sign-ins"</h2></header>
            {table} {empty}
            <footer>{format!("The last 50 of members, kept {SIGN_IN_DAYS} days. Tries for addresses without an account are in the server’s log.")}</footer>
        </section>
    }
}
