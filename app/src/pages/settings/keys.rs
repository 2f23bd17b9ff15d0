//! API keys: what rotating and ending does is said before.

use agentframer::domain::access::Role;
use agentframer::domain::time::{DAY, Time};
use agentframer::engine::access::keys::{ENDING_NOTICE, KeyRow};
use agentframer::engine::access::scope::Scope;
use agentframer::engine::store::workspaces::Member;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::{CreateApiKey, EndApiKey, RotateApiKey};
use crate::components::field::Field;
use crate::components::when::When;
use crate::flash::Flash;
use crate::islands::CopyButton;
use crate::words;

/// Days before its end from which a key stands out, as the overview’s notice does.
const SOON: i64 = ENDING_NOTICE / DAY;
/// Days that leave little time.
const VERY_SOON: i64 = 3;

/// What the section shows.
pub struct Keys<'a> {
    pub all: Vec<KeyRow>,
    pub members: &'a [Member],
    pub now: Time,
    /// Where the REST API is.
    pub base: String,
}

/// The keys that work, those that have ended, the forms, and how a key is used.
pub fn section(scope: &Scope, keys: Keys<'_>, flash: Flash) -> impl IntoView + use<> {
    let workspace = scope.workspace.id.to_string();
    let Keys { all, members, now, base } = keys;
    let (live, ended): (Vec<KeyRow>, Vec<KeyRow>) = all.into_iter().partition(|key| key.is_live(now));
    let is_first = live.is_empty();
    let lines = |keys: &[KeyRow]| {
        keys.iter().map(|key| line(&workspace, key, members, now).into_any()).collect::<Vec<_>>()
    };
    let working = (!is_first).then(|| table(lines(&live)).into_any());
    let over = (!ended.is_empty()).then(|| {
        view! { <details class="in"><summary class="link">"Ended keys"</summary>{table(lines(&ended)).into_any()}</details> }
    });
    // A key is rotated by who may make one of its role.
    let own: Vec<&KeyRow> = live.iter().filter(|key| key.role <= scope.role).collect();
    let rotate = (!own.is_empty()).then(|| rotate(&workspace, &own, flash.clone()).into_any());
    let example = example(&base, &workspace, flash.secret.as_deref());
    view! {
        <section class="card">
            <header><h2>"API keys"</h2></header>
            <p class="in muted">"For programs that use the REST API. A key never does more than its maker may now."</p>
            {working}
            {make(scope, is_first, flash).into_any()}
            {rotate}
            {over}
            {example.into_any()}
        </section>
    }
}

fn table(lines: Vec<AnyView>) -> impl IntoView {
    view! {
        <div class="scroll" tabindex="0"><table>
            <thead><tr><th>"Name"</th><th>"Key"</th><th>"Role"</th><th>"Status"</th><th>"Ends"</th><th>"Last used"</th><th>"Made by"</th><th>"Made"</th><th></th></tr></thead>
            <tbody>{lines}</tbody>
        </table></div>
    }
}

/// With the key while it is shown.
fn example(base: &str, workspace: &str, secret: Option<&str>) -> impl IntoView + use<> {
    let key = secret.unwrap_or("YOUR_KEY");
    let text =
        format!("curl -H \"Authorization: Bearer {key}\" \"{base}/api/v1/workspaces/{workspace}/usage\"");
    view! {
        <details class="in">
            <summary class="link">"How a key is used"</summary>
            <div class="secret top"><pre class="mono">{text.clone()}</pre><CopyButton text=text/></div>
            <p class="muted">"All of the API is in the "<a class="link" href="/reference">"reference"</a>"."</p>
        </details>
    }
}

fn make(scope: &Scope, is_first: bool, flash: Flash) -> impl IntoView + use<> {
    let chosen = flash.kept.get("key_role").cloned().unwrap_or_else(|| Role::Viewer.as_str().to_owned());
    let (own, wrong) = (scope.role, flash.error_at("key_role", "Role"));
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
                <div class="field">
                    <label for="key_role">"Role"</label>
                    <select id="key_role" name="role" aria-invalid=wrong.is_some().then_some("true") aria-describedby="key_role-error" autofocus=wrong.is_some()>{Role::ALL.map(option).collect_view()}</select>
                    <p class="error" id="key_role-error">{wrong}</p>
                </div>
                <Field name="expires_in_days" label="Ends after days" kind="number" value="90" required=false hint="Empty: never." flash=flash/>
                <div><button class="btn first">"Make key"</button></div>
            </form>
        </details>
    }
}

fn line(workspace: &str, key: &KeyRow, members: &[Member], now: Time) -> impl IntoView + use<> {
    let is_live = key.is_live(now);
    let (status_class, status) = if is_live { ("tag good", "works") } else { ("tag", "ended") };
    let (ends_class, ends) = ends(key, now);
    let until = key.expires_at.map(words::moment);
    let used = match key.last_used_at {
        Some(at) => view! { <When at=at/> }.into_any(),
        None => view! { <span class="muted">"never"</span> }.into_any(),
    };
    let end = is_live.then(|| end(workspace, key.id.as_str(), &key.name).into_any());
    view! {
        <tr>
            <td><b>{key.name.clone()}</b></td>
            <td class="mono">{format!("af_key_…{}", key.last4)}</td>
            <td>{key.role.title()}</td>
            <td><span class=status_class>{status}</span></td>
            <td><span class=ends_class title=until>{ends}</span></td>
            <td>{used}</td>
            <td>{words::name_of(key.made_by.as_str(), members)}</td>
            <td><When at=key.created_at/></td>
            <td class="wrap">{end}</td>
        </tr>
    }
}

/// Days that are left, amber and then red; the moment of what is over.
fn ends(key: &KeyRow, now: Time) -> (&'static str, String) {
    let over = key.ended_at.or(key.expires_at.filter(|end| *end <= now));
    let left = key.expires_at.map(|end| (end.micros() - now.micros()) / DAY);
    match (over, left) {
        (Some(over), _) => ("muted", words::moment(over)),
        (None, None) => ("muted", "never".into()),
        (None, Some(days)) if days <= VERY_SOON => ("tag bad", format!("in {}", words::count(days, "day"))),
        (None, Some(days)) if days <= SOON => ("tag warn", format!("in {}", words::count(days, "day"))),
        (None, Some(days)) => ("", format!("in {}", words::count(days, "day"))),
    }
}

fn rotate(workspace: &str, keys: &[&KeyRow], flash: Flash) -> impl IntoView + use<> {
    let (chosen, wrong) = (flash.value("key"), flash.error_at("key", "API key"));
    let option = |key: &&KeyRow| {
        let id = key.id.to_string();
        let is_chosen = id == chosen;
        view! { <option value=id selected=is_chosen>{format!("{} (af_key_…{})", key.name, key.last4)}</option> }
    };
    let workspace = workspace.to_owned();
    let is_open = flash.is_about(&["key", "overlap_hours"]);
    view! {
        <details class="in" open=is_open>
            <summary class="link">"Rotate a key"</summary>
            <form method="post" action=RotateApiKey::url() class="stack narrow in">
                <input type="hidden" name="workspace" value=workspace/>
                <p>"A new key of the same name and role is made and shown once. The one before works for the hours below, so that you can change it without a gap; 0 ends it at once."</p>
                <div class="field">
                    <label for="key">"Key"</label>
                    <select id="key" name="key" aria-invalid=wrong.is_some().then_some("true") aria-describedby="key-error" autofocus=wrong.is_some()>{keys.iter().map(option).collect_view()}</select>
                    <p class="error" id="key-error">{wrong}</p>
                </div>
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(expires_at: Option<Time>, ended_at: Option<Time>) -> KeyRow {
        KeyRow {
            id: "key_06h07rm19df1vqn4m3p3mq6kzc".parse().unwrap(),
            workspace_id: "ws_06h07rm19df1vqn4m3p3mq6kzc".parse().unwrap(),
            name: "nightly".into(),
            role: Role::Viewer,
            last4: "abcd".into(),
            made_by: "user_06h07rm19df1vqn4m3p3mq6kzc".parse().unwrap(),
            created_at: Time(0),
            expires_at,
            ended_at,
            last_used_at: None,
        }
    }

    #[test]
    fn the_days_that_are_left_are_amber_and_then_red() {
        let now = Time::parse("2026-11-22T12:00:00Z").unwrap();
        let left = |days: i64| ends(&key(Some(now.plus(days * DAY)), None), now);
        assert_eq!(left(15), ("", "in 15 days".into()));
        assert_eq!(left(14), ("tag warn", "in 14 days".into()));
        assert_eq!(left(1), ("tag bad", "in 1 day".into()));
        assert_eq!(left(0), ("muted", "22 Nov 2026, 12:00 UTC".into()));
        assert_eq!(ends(&key(None, None), now), ("muted", "never".into()));
        assert_eq!(ends(&key(None, Some(now)), now), ("muted", "22 Nov 2026, 12:00 UTC".into()));
    }
}
