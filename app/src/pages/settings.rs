//! `/w/{id}/settings`: the workspace itself.

use agentframer::domain::access::{Permission, Role};
use agentframer::domain::settings::Inference;
use agentframer::domain::time::Time;
use agentframer::engine::access::keys::KeyRow;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::access::settings::Settings;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::{CreateApiKey, DeleteWorkspace, EndApiKey, RotateMcpUrl, SetSettings};
use crate::components::field::{Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::flash::Flash;
use crate::islands::CopyButton;
use crate::words;

/// Name, address, keys, and the end.
#[component]
pub fn SettingsPage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadSettings).await?;
        let (flash, settings) = (ask.flash(), ask.engine.settings(&scope).await?);
        let keys = ask.engine.keys(&scope).await?;
        let now = ask.engine.clock().now();
        let url = ask.engine.mcp_url(&scope.workspace);
        let body = view! {
            <Said flash=flash.clone()/>
            {general(&scope, settings, flash.clone()).into_any()}
            {address(&scope, url, now, flash.clone()).into_any()}
            {api_keys(&scope, keys, now, flash.clone()).into_any()}
            {scope.role.may(Permission::DeleteWorkspace).then(|| end(&scope, flash).into_any())}
        };
        Ok(workspace_page(&ask, &scope, "Settings", "Name, address, keys", (), body))
    })
}

fn general(scope: &Scope, settings: Settings, flash: Flash) -> impl IntoView + use<> {
    let may = scope.role.may(Permission::ChangeSettings);
    let region = format!("{} ({})", scope.workspace.region.place(), scope.workspace.region);
    let choice = |value: Inference, name: &'static str, label: &'static str, about: &'static str| {
        view! {
            <label class="choice">
                <input type="radio" name="inference" value=name checked=settings.inference == value/>
                <span><b>{label}</b><small>{about}</small></span>
            </label>
        }
    };
    view! {
        <section class="card">
            <header><h2>"Workspace"</h2></header>
            <form method="post" action=SetSettings::url() class="in">
                <fieldset class="field stack narrow" disabled=!may>
                    <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
                    <Field name="name" label="Name" value=settings.name flash=flash.clone()/>
                    <Field name="cost_centre" label="Cost centre" value=settings.cost_centre.unwrap_or_default() required=false hint="Who pays, in your own words; stands in every report." flash=flash/>
                    <div class="field"><span class="label">"Region"</span><p>{region}</p><p class="hint">"Chosen when the workspace was made; it never changes."</p></div>
                    <fieldset class="field"><legend>"Where models may infer"</legend><div class="choices">
                        {choice(Inference::RegionOnly, "region_only", "In the region only", "models that infer elsewhere are refused")}
                        {choice(Inference::Any, "any", "Anywhere", "prompts may leave the region for the model’s provider")}
                    </div></fieldset>
                    {may.then(|| view! { <div><button class="btn first">"Save"</button></div> })}
                </fieldset>
            </form>
        </section>
    }
}

fn address(scope: &Scope, url: String, now: Time, flash: Flash) -> impl IntoView + use<> {
    let previous = scope.workspace.previous_url_key.as_ref().filter(|(_, end)| *end > now);
    let previous =
        previous.map(|(_, end)| format!("The address before it works until {}.", words::moment(*end)));
    let is_open = flash.is_about(&["grace_hours"]);
    let rotate = scope.role.may(Permission::RotateMcpUrl).then(|| {
        view! {
            <details open=is_open>
                <summary class="link">"Replace it"</summary>
                <form method="post" action=RotateMcpUrl::url() class="stack narrow in">
                    <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
                    <p>"Every agent needs the new address. Tokens stay as they are."</p>
                    <Field name="grace_hours" label="Hours that the old address still works" kind="number" value="24" hint="0 to 168. 0 after a leak." flash=flash/>
                    <div><button class="btn">"Make a new address"</button></div>
                </form>
            </details>
        }
    });
    view! {
        <section class="card">
            <header><h2>"MCP address"</h2></header>
            <div class="in stack">
                <div class="secret"><code class="mono">{url.clone()}</code><CopyButton text=url/></div>
                <p class="muted">{previous}" Whoever has it needs an agent’s token as well."</p>
                {rotate}
            </div>
        </section>
    }
}

fn api_keys(scope: &Scope, keys: Vec<KeyRow>, now: Time, flash: Flash) -> impl IntoView + use<> {
    let workspace = scope.workspace.id.to_string();
    let live: Vec<_> = keys.into_iter().filter(|key| key.ended_at.is_none()).collect();
    let lines: Vec<_> = live.into_iter().map(|key| key_line(&workspace, key, now).into_any()).collect();
    let option = |role: Role| {
        (role <= scope.role).then(
            || view! { <option value=role.as_str() selected=role == Role::Viewer>{role.title()}</option> },
        )
    };
    let is_open = lines.is_empty() || flash.is_about(&["key_name", "expires_in_days"]);
    let table = (!lines.is_empty()).then(|| {
        view! {
            <div class="scroll"><table>
                <thead><tr><th>"Name"</th><th>"Key"</th><th>"Role"</th><th>"Made"</th><th>"Ends"</th><th></th></tr></thead>
                <tbody>{lines}</tbody>
            </table></div>
        }
    });
    view! {
        <section class="card">
            <header><h2>"API keys"</h2></header>
            <p class="in muted">"For programs that use the REST API. A key never does more than its maker may now."</p>
            {table}
            <details class="in" open=is_open>
                <summary class="link">"Make a key"</summary>
                <form method="post" action=CreateApiKey::url() class="stack narrow in">
                    <input type="hidden" name="workspace" value=workspace/>
                    <Field name="key_name" label="Name" hint="What uses it, such as nightly-export." flash=flash.clone()/>
                    <div class="field"><label for="key_role">"Role"</label><select id="key_role" name="role">{Role::ALL.map(option).collect_view()}</select></div>
                    <Field name="expires_in_days" label="Ends after days" kind="number" value="90" required=false hint="Empty: never." flash=flash/>
                    <div><button class="btn first">"Make key"</button></div>
                </form>
            </details>
        </section>
    }
}

fn key_line(workspace: &str, key: KeyRow, now: Time) -> impl IntoView + use<> {
    let (workspace, id) = (workspace.to_owned(), key.id.to_string());
    let is_over = key.expires_at.is_some_and(|end| end <= now);
    let ends = match key.expires_at {
        Some(end) if is_over => format!("ended {}", words::day(end)),
        Some(end) => words::day(end),
        None => "never".into(),
    };
    view! {
        <tr>
            <td><b>{key.name}</b></td>
            <td class="mono">{format!("af_key_…{}", key.last4)}</td>
            <td>{key.role.title()}</td>
            <td>{words::day(key.created_at)}</td>
            <td>{ends}</td>
            <td class="num"><form method="post" action=EndApiKey::url()>
                <input type="hidden" name="workspace" value=workspace/><input type="hidden" name="key" value=id/>
                <button class="quiet">"End now"</button>
            </form></td>
        </tr>
    }
}

fn end(scope: &Scope, flash: Flash) -> impl IntoView + use<> {
    let is_open = flash.is_about(&["confirm"]);
    view! {
        <details class="card" open=is_open>
            <summary class="in"><b>"Delete this workspace"</b></summary>
            <form method="post" action=DeleteWorkspace::url() class="in stack narrow">
                <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
                <ul class="plain">
                    <li>"Calls end at once; those that run are finished and paid."</li>
                    <li>"Media and prompts are deleted now, copies in other regions too."</li>
                    <li>"The rest of the balance is not paid out."</li>
                    <li>"The audit log stays until its own retention ends, and can still be proven whole."</li>
                </ul>
                <Field name="confirm" label="Type the workspace’s name" autocomplete="off" flash=flash/>
                <div><button class="btn bad">"Delete for good"</button></div>
            </form>
        </details>
    }
}
