//! The SOC 2 Type II report and the text that stands before it.

use agentframer::domain::access::Permission;
use agentframer::engine::access::members::Member;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::access::security::{Acceptance, ReportView};
use agentframer::engine::error::Result;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::AcceptNda;
use crate::components::when::stamp;
use crate::words;

/// The card; a fault of the operator's files stays in it.
pub fn report(scope: &Scope, view: Result<Option<ReportView>>, members: &[Member]) -> impl IntoView + use<> {
    let inside = match view {
        Ok(Some(view)) => offered(scope, view, members).into_any(),
        Ok(None) => view! { <div class="in empty">"The operator of this server offers no report here. Ask them for it; they name the PDF as " <code>"security.soc2_report"</code> "."</div> }.into_any(),
        Err(error) => view! { <div class="in empty">{error.to_string()}</div> }.into_any(),
    };
    view! {
        <section class="card" id="report">
            <header><h2>"SOC 2 Type II report"</h2></header>
            {inside}
        </section>
    }
}

fn offered(scope: &Scope, view: ReportView, members: &[Member]) -> impl IntoView + use<> {
    let way = match (scope.role.may(Permission::ChangeSettings), view.accepted) {
        (false, _) => view! { <p>"An Admin can download it under the text below."</p> }.into_any(),
        (true, true) => download(scope).into_any(),
        (true, false) => accept(scope, &view.text_sha256).into_any(),
    };
    let lines = view.acceptances.iter().map(|made| line(made, members)).collect_view();
    let accepted = (!view.acceptances.is_empty()).then(|| {
        view! {
            <div class="scroll" tabindex="0">
                <table>
                    <thead><tr><th>"Accepted by"</th><th>"When"</th><th>"Text (SHA-256)"</th></tr></thead>
                    <tbody>{lines}</tbody>
                </table>
            </div>
        }
    });
    let open = !view.accepted;
    view! {
        <div class="in stack">
            <details open=open><summary class="link">"The confidentiality text"</summary><pre class="prompt nda">{view.text}</pre></details>
            {way}
        </div>
        {accepted}
    }
}

fn accept(scope: &Scope, text_sha256: &str) -> impl IntoView + use<> {
    view! {
        <form method="post" action=AcceptNda::url() class="stack">
            <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
            <input type="hidden" name="text_sha256" value=text_sha256.to_owned()/>
            <p class="muted">"Your name, the time and the text’s SHA-256 are written to the log."</p>
            <div><button class="btn first">"I accept"</button></div>
        </form>
    }
}

fn download(scope: &Scope) -> impl IntoView + use<> {
    view! {
        <form method="post" action=format!("/w/{}/security/report", scope.workspace.id) class="stack">
            <p class="muted">"Your copy carries your name on each page. The log says that you took it."</p>
            <div><button class="btn first">"Download the PDF"</button></div>
        </form>
    }
}

fn line(made: &Acceptance, members: &[Member]) -> impl IntoView + use<> {
    let known = members.iter().find(|member| member.user_id == made.user_id);
    let name = known.map_or_else(|| made.user_id.to_string(), |member| member.name.clone());
    view! {
        <tr>
            <td><b>{name}</b></td>
            <td>{stamp(made.accepted_at, words::moment(made.accepted_at))}</td>
            <td class="mono"><span class="cut" title=made.text_sha256.clone()>{made.text_sha256.clone()}</span></td>
        </tr>
    }
}
