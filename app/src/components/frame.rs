//! The frame around each page: who and where you are, where you can go.

use std::future::Future;

use agentframer::domain::access::Permission;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::scope::Scope;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;

use super::icon::Icon;
use super::problem::problem;
use crate::actions::{SetTheme, SignOut};
use crate::ask::Ask;

/// A place in a workspace: its path below the workspace, name, right and sign.
struct Place(&'static str, &'static str, Permission, &'static str);

const WATCH: [Place; 4] = [
    Place("", "Overview", Permission::ReadWorkspace, "M2 7l6-5 6 5v7H2z"),
    Place("/usage", "Usage", Permission::ReadActivity, "M2 14V9M6 14V5M10 14V8M14 14V2"),
    Place("/audit", "Audit log", Permission::ReadActivity, "M3 4h10M3 8h10M3 12h7"),
    Place("/generations", "Generations", Permission::ReadActivity, "M2 3h12v10H2zM2 11l4-4 4 4 2-2 2 2"),
];
const CONTROL: [Place; 5] = [
    Place("/agents", "Agents", Permission::ReadAgents, "M4 6h8v7H4zM8 6V3M2 9v2M14 9v2"),
    Place("/caps", "Caps and alerts", Permission::ReadBilling, "M2 12a6 6 0 1 1 12 0M8 12l3-4"),
    Place(
        "/webhooks",
        "Webhooks",
        Permission::ReadWebhooks,
        "M5 10a3 3 0 1 0 3 3M8 2a3 3 0 0 1 2 5l2 4M5 10l3-5M12 11a2 2 0 1 1-1 3H8",
    ),
    Place("/models", "Models", Permission::ReadWorkspace, "M3 3h5v11H3zM8 3h5v11H8z"),
    Place(
        "/members",
        "Members",
        Permission::ReadMembers,
        "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3 14c0-3 2-4 5-4s5 1 5 4",
    ),
];
const ABOUT: [Place; 1] =
    [Place("/settings", "Settings", Permission::ReadSettings, "M8 5v6M5 8h6M8 1v2M8 13v2M1 8h2M13 8h2")];
const MONEY: [Place; 1] = [Place("/billing", "Billing", Permission::ReadBilling, "M2 4h12v8H2zM2 7h12")];
const DATA: [Place; 3] = [
    Place(
        "/retention",
        "Retention",
        Permission::ReadSettings,
        "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5v3l2 2",
    ),
    Place("/data-requests", "Data requests", Permission::FileDataRequests, "M3 2h7l3 3v9H3zM6 8h4M6 11h4"),
    Place("/security", "Security", Permission::ReadSettings, "M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4z"),
];

/// Renders what `load` gives; a fault becomes a page with the right status.
pub fn page<F, Loaded>(load: F) -> impl IntoView
where
    F: FnOnce(Ask) -> Loaded + Send + 'static,
    Loaded: Future<Output = Result<AnyView>> + Send + 'static,
{
    let Some(ask) = Ask::here() else { return ().into_any() };
    let loaded = load(ask.clone());
    view! {
        <Suspense>
            {Suspend::new(async move { loaded.await.unwrap_or_else(|error: Error| problem(&ask, &error)) })}
        </Suspense>
    }
    .into_any()
}

/// A page of a workspace with its title, a line under it and its first actions.
pub fn workspace_page(
    ask: &Ask,
    scope: &Scope,
    title: &str,
    line: impl IntoView + 'static,
    actions: impl IntoView + 'static,
    body: impl IntoView + 'static,
) -> AnyView {
    // Each part's type ends here, or the page's would be too deep for the compiler.
    let (side, actions, body) = (side(ask, scope).into_any(), actions.into_any(), body.into_any());
    let title = title.to_owned();
    view! {
        <Title text=format!("{title} · {}", scope.workspace.name)/>
        <div class="frame">
            {side}
            <main class="page" id="page">
                <div class="head">
                    <div><h1>{title}</h1><p class="muted">{line}</p></div>
                    <div class="row">{actions}</div>
                </div>
                <div class="stack">{body}</div>
            </main>
        </div>
    }
    .into_any()
}

fn side(ask: &Ask, scope: &Scope) -> impl IntoView {
    let workspace = &scope.workspace;
    let base = format!("/w/{}", workspace.id);
    let initials: String = workspace.name.chars().filter(|c| c.is_alphanumeric()).take(2).collect();
    let group = |heading: Option<&'static str>, places: &'static [Place]| {
        let links: Vec<_> = places
            .iter()
            .filter(|place| scope.role.may(place.2))
            .map(|place| link(ask, &base, place))
            .collect();
        (!links.is_empty()).then(|| view! { {heading.map(|text| view! { <h3>{text}</h3> })} {links} })
    };
    view! {
        <aside class="side">
            <a class="switch" href="/" title="All your workspaces">
                <span class="dot" aria-hidden="true">{initials.to_uppercase()}</span>
                <span><b>{workspace.name.clone()}</b><small>{format!("{} · {}", workspace.region, scope.role.title())}</small></span>
            </a>
            <input type="checkbox" id="menu" class="menu-switch" aria-label="Show the menu"/>
            <label for="menu" class="btn menu-label" aria-hidden="true">"Menu"</label>
            <div class="menu">
                <nav aria-label="Workspace">
                    {group(None, &WATCH)} {group(Some("Control"), &CONTROL)} {group(Some("Money"), &MONEY)}
                    {group(Some("Data"), &DATA)} {group(Some("Workspace"), &ABOUT)}
                </nav>
                {foot(ask)}
            </div>
        </aside>
    }
}

fn link(ask: &Ask, base: &str, place: &Place) -> impl IntoView + use<> {
    let (href, path) = (format!("{base}{}", place.0), ask.parts.uri.path().to_owned());
    let is_here = path == href || (!place.0.is_empty() && path.starts_with(&format!("{href}/")));
    let sign = place.3;
    view! { <a href=href aria-current=is_here.then_some("page")><Icon path=sign/>{place.1}</a> }
}

/// Colours and signing out.
pub fn foot(ask: &Ask) -> impl IntoView + use<> {
    let now = ask.cookie("theme").unwrap_or("system").to_owned();
    let choice = move |theme: &'static str, label: &'static str| {
        let on = now == theme;
        view! { <button class="btn small" class:on=on name="theme" value=theme aria-pressed=on.to_string()>{label}</button> }
    };
    view! {
        <div class="foot">
            <form method="post" action=SetTheme::url() class="seg" aria-label="Colours">
                {choice("system", "Auto")} {choice("light", "Light")} {choice("dark", "Dark")}
            </form>
            <a class="quiet" href="/account">"Account"</a>
            <a class="quiet" href="/reference">"Reference"</a>
            <form method="post" action=SignOut::url()><button class="quiet">"Sign out"</button></form>
        </div>
    }
}
