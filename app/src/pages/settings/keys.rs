//! API keys: what rotating and ending does is said before.

use agentframer::domain::access::Role;
use agentframer::domain::time::Time;
use agentframer::engine::access::keys::KeyRow;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::store::workspaces::Member;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::{CreateApiKey, EndApiKey, RotateApiKey};
use crate::components::field::Field;
use crate::components::when::When;
use crate::flash::Flash;
use crate::words;

/// The keys that work, and the form that makes one.
pub fn section(
    scope: &Scope,
    keys: Vec<KeyRow>,
    members: &[Member],
    now: Time,
    flash: Flash,
) -> impl IntoView + use<> {
    let workspace = scope.workspace.id.to_string();
    let live =
        keys.into_iter().filter(|key| key.ended_at.is_none() && key.expires_at.is_none_or(|end| now < end));
    let live: Vec<KeyRow> = live.collect();
    let lines: Vec<_> = live.iter().map(|key| line(&workspace, key, members).into_any()).collect();
    let is_first = live.is_empty();
    let table = (!is_first).then(|| {
        view! {
            <div class="scroll" tabindex="0"><table>
                <thead><tr><th>"Name"</th><th>"Key"</th><th>"Role"</th><th>"Last used"</th><th>"Made by"</th><th>"Made"</th><th>"Ends"</th><th></th></tr></thead>
                <tbody>{lines}</tbody>
            </table></div>
        }
    });
    view! {
        <section class="card">
            <header><h2>"API keys"</h2></header>
            <p class="in muted">"For programs that use the REST API. A key never does more than its maker may now."</p>
            {table}
            {make(scope, is_first, flash.clone()).into_any()}
            {(!is_first).then(|| rotate(&workspace, &live, flash).into_any())}
        </section>
    }
}

fn make(scope: &Scope, is_first: bool, flash: Flash) -> impl IntoView + use<> {
    let chosen = flash.kept.get("key_role").cloned().unwrap_or_else(|| Role::Viewer.as_str().to_owned());
    let own = scope.role;
    let option = move |role: Role| {
        let is_chosen = chosen == role.as_str();
        (role <= own)
            .then(|| view! { <option value=role.as_str() selected=is_chosen>{role.title()}</option> })
    };
    let is_open = is_first || flash.is_about(&["key_name", "key_role", "expires_in_days"]);
    view! {
        <details class="in" open=is_open>
            <summary class="link">"Make a key"</summary>
            <form method="post" action=CreateApiKey::url() class="stack narrow in">
                <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
                <Field name="key_name" label="Name" hint="What uses it, such as nightly-export." flash=flash.clone()/>
                <div class="field"><label for="key_role">"Role"</label><select id="key_role" name="role">{Role::ALL.map(option).collect_view()}</select></div>
                <Field name="expires_in_days" label="Ends after days" kind="number" value="90" required=false hint="Empty: never." flash=flash/>
                <div><button class="btn first">"Make key"</button></div>
            </form>
        </details>
    }
}

fn line(workspace: &str, key: &KeyRow, members: &[Member]) -> impl IntoView + use<> {
    let ends = match key.expires_at {
        Some(end) => view! { <When at=end/> }.into_any(),
        None => "never".into_any(),
    };
    let used = match key.last_used_at {
        Some(at) => view! { <When at=at/> }.into_any(),
        None => view! { <span class="muted">"never"</span> }.into_any(),
    };
    view! {
        <tr>
            <td><b>{key.name.clone()}</b></td>
            <td class="mono">{format!("af_key_…{}", key.last4)}</td>
            <td>{key.role.title()}</td>
            <td>{used}</td>
            <td>{words::name_of(key.made_by.as_str(), members)}</td>
            <td><When at=key.created_at/></td>
            <td>{ends}</td>
            <td class="wrap">{end(workspace, key.id.as_str(), &key.name).into_any()}</td>
        </tr>
    }
}

fn rotate(workspace: &str, live: &[KeyRow], flash: Flash) -> impl IntoView + use<> {
    let chosen = flash.value("key");
    let option = |key: &KeyRow| {
        let id = key.id.to_string();
        let is_chosen = id == chosen;
        view! { <option value=id selected=is_chosen>{format!("{} (af_key_…{})", key.name, key.last4)}</option> }
    };
    let workspace = workspace.to_owned();
    let is_open = flash.is_about(&["overlap_hours"]);
    view! {
        <details class="in" open=is_open>
            <summary class="link">"Rotate a key"</summary>
            <form method="post" action=RotateApiKey::url() class="stack narrow in">
                <input type="hidden" name="workspace" value=workspace/>
                <p>"A new key of the same name and role is made and shown once. The one before works for the hours below, so that you can change it without a gap; 0 ends it at once."</p>
                <div class="field"><label for="key">"Key"</label><select id="key" name="key">{live.iter().map(option).collect_view()}</select></div>
                <Field name="overlap_hours" label="Hours that the old key still works" kind="number" value="24" hint="0 to 168." flash=flash/>
                <div><button class="btn first">"Make a new key"</button></div>
            </form>
        </details>
    }
}

fn end(workspace: &str, id: &str, name: &str) -> impl IntoView + use<> {
    let (label, workspace, id) = (format!("End {name}"), workspace.to_owned(), id.to_owned());
    view! {
        <details>
            <summary class="link" aria-label=label>"End"</summary>
            <form method="post" action=EndApiKey::url() class="stack narrow in">
                <input type="hidden" name="workspace" value=workspace/><input type="hidden" name="key" value=id/>
                <p>"Programs that use this key are refused at once and for good. What they did stays in the log."</p>
                <div><button class="btn bad">"End this key now"</button></div>
            </form>
        </details>
    }
}
