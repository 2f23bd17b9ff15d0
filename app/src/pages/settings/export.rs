//! The daily export of the log.

use agentframer::domain::access::Permission;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::log::exports::ExportView;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::SetDailyExport;

/// How it stands, and the button that turns it on or off.
pub fn section(scope: &Scope, view: ExportView) -> impl IntoView + use<> {
    let workspace = scope.workspace.id.to_string();
    let (turn, label, tag) = match view.is_on {
        true => ("off", "Turn off", view! { <span class="tag good">"on"</span> }),
        false => ("on", "Turn on", view! { <span class="tag">"off"</span> }),
    };
    let stands = view.is_on.then(|| {
        let last = view.last_day.unwrap_or_else(|| "none yet".into());
        view! {
            <dl class="facts">
                <div><dt>"Last day"</dt><dd>{last}</dd></div>
                <div><dt>"Folder"</dt><dd class="mono">{view.folder}</dd></div>
            </dl>
        }
    });
    let fault = view.fault.map(|fault| {
        view! { <p class="note warn" role="status"><span class="tag warn">"waits"</span>{format!("{fault} It is tried again every few minutes; no day is left out.")}</p> }
    });
    let form = scope.role.may(Permission::ChangeSettings).then(|| {
        view! {
            <form method="post" action=SetDailyExport::url()>
                <input type="hidden" name="workspace" value=workspace/><input type="hidden" name="turn" value=turn/>
                <button class="btn" aria-label=format!("{label} the daily export")>{label}</button>
            </form>
        }
    });
    view! {
        <section class="card">
            <header><h2>"Daily export of the audit log"</h2>{tag}</header>
            <div class="in stack">
                <p>"Each day in UTC becomes a compressed NDJSON file in the export storage of the workspace’s region, with a signed manifest of its hashes beside it. agentframer audit verify checks the files. They live as long as the log."</p>
                {fault} {stands} {form}
            </div>
        </section>
    }
}
