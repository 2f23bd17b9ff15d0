//! `/w/{id}/settings`: the workspace itself.

mod export;
mod keys;

use agentframer::domain::access::Permission;
use agentframer::domain::settings::Inference;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::access::settings::Settings;
use agentframer::engine::access::workspaces::FormerKey;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use self::keys::Keys;
use crate::actions::{DeleteWorkspace, RotateMcpUrl, SetSettings};
use crate::components::fact::fact;
use crate::components::field::{ChoiceGroup, Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::components::when::When;
use crate::flash::Flash;
use crate::islands::CopyButton;
use crate::words;

/// Name, address, keys, and the end.
#[component]
pub fn SettingsPage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadSettings).await?;
        let (flash, settings) = (ask.flash(), ask.engine.settings(&scope).await?);
        let (all, members) = (ask.engine.keys(&scope).await?, ask.engine.members(&scope).await?);
        let now = ask.engine.clock().now();
        let keys = Keys { all, members: &members, now, base: ask.engine.config().public_url() };
        let (url, former) = (ask.engine.mcp_url(&scope.workspace), ask.engine.former_url_keys(&scope).await?);
        let body = view! {
            <Said flash=flash.clone()/>
            {if scope.role.may(Permission::ChangeSettings) { general(&scope, settings, flash.clone()).into_any() } else { facts(&scope, settings).into_any() }}
            {address(&scope, url, former, flash.clone()).into_any()}
            {export::section(&scope, ask.engine.daily_export(&scope).await?).into_any()}
            {keys::section(&scope, keys, flash.clone()).into_any()}
            {scope.role.may(Permission::DeleteWorkspace).then(|| end(&scope, flash).into_any())}
        };
        Ok(workspace_page(&ask, &scope, "Settings", "Name, address, keys", (), body))
    })
}

fn region(scope: &Scope) -> String {
    format!("{} ({})", scope.workspace.region.place(), scope.workspace.region)
}

/// The workspace for who may not change it.
fn facts(scope: &Scope, settings: Settings) -> impl IntoView + use<> {
    let inference = match settings.inference {
        Inference::RegionOnly => "in the region only",
        Inference::Any => "anywhere",
    };
    view! {
        <section class="card">
            <header><h2>"Workspace"</h2></header>
            <dl class="in facts">
                {fact("Name", settings.name)}
                {fact("Cost centre", words::or_dash(settings.cost_centre))}
                {fact("Region", region(scope))}
                {fact("Models infer", inference)}
            </dl>
        </section>
    }
}

fn general(scope: &Scope, settings: Settings, flash: Flash) -> impl IntoView + use<> {
    let chosen =
        flash.kept.get("inference").cloned().unwrap_or_else(|| settings.inference.as_str().to_owned());
    let choice = move |name: &'static str, label: &'static str, about: &'static str| {
        view! {
            <label class="choice">
                <input type="radio" name="inference" value=name checked=chosen == name/>
                <span><b>{label}</b><small>{about}</small></span>
            </label>
        }
    };
    view! {
        <section class="card">
            <header><h2>"Workspace"</h2></header>
            <form method="post" action=SetSettings::url() class="in stack narrow">
                <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
                <Field name="name" label="Name" value=settings.name flash=flash.clone()/>
                <Field name="cost_centre" label="Cost centre" value=settings.cost_centre.unwrap_or_default() required=false hint="Who pays, in your own words; stands in every report." flash=flash.clone()/>
                <div class="field"><span class="label">"Region"</span><p>{region(scope)}</p><p class="hint">"Chosen when the workspace was made; it never changes."</p></div>
                <ChoiceGroup name="inference" legend="Where models may infer" wrong=flash.error_at("inference", "This")>
                    {choice(Inference::RegionOnly.as_str(), "In the region only", "models that infer elsewhere are refused")}
                    {choice(Inference::Any.as_str(), "Anywhere", "prompts may leave the region for the model’s provider")}
                </ChoiceGroup>
                <div><button class="btn first">"Save"</button></div>
            </form>
        </section>
    }
}

fn address(scope: &Scope, url: String, former: Vec<FormerKey>, flash: Flash) -> impl IntoView + use<> {
    let former = former.into_iter().map(|former| {
        let ending = format!("…{}", former.last4());
        view! { "The former address "<code class="mono">{ending}</code>" works until "<When at=former.ends_at/>". " }
    });
    let former: Vec<_> = former.map(IntoAny::into_any).collect();
    let is_open = flash.is_about(&["grace_hours"]);
    let rotate = scope.role.may(Permission::RotateMcpUrl).then(|| {
        view! {
            <details open=is_open>
                <summary class="link">"Replace it"</summary>
                <form method="post" action=RotateMcpUrl::url() class="stack narrow in">
                    <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
                    <p>"Every agent needs the new address. Tokens stay as they are. An address that was replaced before works until its own end, but with 0 hours all of them end at once."</p>
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
                <p class="muted">{former}"Whoever has it needs an agent’s token as well."</p>
                {rotate}
            </div>
        </section>
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
                    <li>"A legal hold has to be lifted first. Once this has begun, none can be placed."</li>
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
