//! The frame around each page: who and where you are, where you can go.

use std::future::Future;

use agentframer::engine::access::scope::Scope;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::views::notices::Severity;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;

use super::crumbs::crumbs;
use super::icon::Icon;
use super::nav::{ABOUT, CONTROL, DATA, MONEY, Place, WATCH};
use super::problem::problem;
use super::switcher::switcher;
use crate::actions::{SetTheme, SignOut};
use crate::ask::Ask;
use crate::islands::{OwnZone, Palette};
use crate::reader::{self, Reader, reading};
use crate::words;

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
            {Suspend::new(async move {
                let reader = Reader::of(&ask).await;
                reading(reader, async { loaded.await.unwrap_or_else(|error: Error| problem(&ask, &error)) }).await
            })}
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
    let crumbs = crumbs(ask, scope, title);
    let title = title.to_owned();
    view! {
        <Title text=format!("{title} · {}", scope.workspace.name)/>
        <div class="frame">
            {side}
            <main class="page" id="page">
                {crumbs}
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
            {switcher(workspace, scope.role)}
            {alarm(&base)}
            <input type="checkbox" id="menu" class="menu-switch" aria-label="Show the menu"/>
            <label for="menu" class="btn menu-label" aria-hidden="true">"Menu"</label>
            <div class="menu">
                <Palette url=format!("{base}/find") inside=true/>
                <nav aria-label="Workspace">
                    {group(None, &WATCH)} {group(Some("Control"), &CONTROL)} {group(Some("Money"), &MONEY)}
                    {group(Some("Data"), &DATA)} {group(Some("Workspace"), &ABOUT)}
                </nav>
                {foot(ask)}
            </div>
        </aside>
    }
}

/// How much is wrong now and what the worst is about, on every page but the overview, which tells it.
fn alarm(overview: &str) -> Option<impl IntoView + use<>> {
    let notices = reader::notices();
    let worst = notices.iter().find(|notice| notice.severity == Severity::Bad).or(notices.first())?;
    let class = if worst.severity == Severity::Bad { "bad" } else { "warn" };
    let (tag, text) = (worst.tag, worst.text.clone());
    Some(view! {
        <a class=format!("alarm {class}") href=format!("{overview}#notices") title=text>
            <span class=format!("tag {class}")>{tag}</span>{words::count(notices.len() as u64, "notice")}
        </a>
    })
}

fn link(ask: &Ask, base: &str, place: &Place) -> impl IntoView + use<> {
    let (href, path) = (format!("{base}{}", place.0), ask.parts.uri.path().to_owned());
    let is_here = path == href || (!place.0.is_empty() && path.starts_with(&format!("{href}/")));
    let sign = place.3;
    view! { <a href=href aria-current=is_here.then_some("page")><Icon path=sign/>{place.1}</a> }
}

/// The palette of a page outside the workspaces, for who is signed in.
pub fn find(ask: &Ask) -> Option<impl IntoView + use<>> {
    ask.user().is_ok().then(|| view! { <Palette url="/find".to_owned() inside=false/> })
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
            {reader::is_zone_open().then(|| view! { <OwnZone/> })}
        </div>
    }
}
