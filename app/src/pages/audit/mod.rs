//! `/w/{id}/audit`: the log, newest first, and the calls that did not happen; found by one search.

mod details;
pub mod entry;
pub mod proof;
mod rows;
mod search_box;
mod views;

use agentframer::domain::access::Permission;
use agentframer::domain::search::{QueryError, Search};
use agentframer::engine::access::scope::Scope;
use agentframer::engine::error::Result;
use agentframer::engine::log::reading::{AuditFilter, EntryKind};
use leptos::prelude::*;

use super::{list_page, older};
use crate::ask::Ask;
use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::islands::LiveLog;
use crate::reader;

/// Which list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Calls,
    Admin,
    Refused,
}

impl Tab {
    const ALL: [Self; 3] = [Self::Calls, Self::Admin, Self::Refused];

    fn of(name: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|tab| Some(tab.as_str()) == name).unwrap_or(Self::Calls)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Admin => "admin",
            Self::Refused => "refused",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Calls => "Calls",
            Self::Admin => "Administration",
            Self::Refused => "Refused and failed",
        }
    }
}

/// What the reader asked for.
#[derive(Debug, Clone)]
struct Asked {
    base: String,
    workspace: String,
    tab: Tab,
    /// As it was typed.
    text: String,
    search: std::result::Result<Search, QueryError>,
}

impl Asked {
    fn read(ask: &Ask, scope: &Scope) -> Self {
        let (text, workspace) = (ask.query("q").unwrap_or_default(), scope.workspace.id.to_string());
        let base = format!("/w/{workspace}/audit");
        Self { base, workspace, tab: Tab::of(ask.query("tab").as_deref()), search: text.parse(), text }
    }

    fn to(&self, tab: Tab) -> String {
        link(&self.workspace, tab.as_str(), &self.text)
    }

    /// The same search as a file, or as it grows.
    fn taken(&self, what: &str, format: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("tab", self.tab.as_str()).append_pair("q", &self.text);
        if !format.is_empty() {
            query.append_pair("format", format);
        }
        format!("{}/{what}?{}", self.base, query.finish())
    }
}

/// The address of a search.
pub fn link(workspace: &str, tab: &str, query: &str) -> String {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("tab", tab);
    if !query.is_empty() {
        pairs.append_pair("q", query);
    }
    format!("/w/{workspace}/audit?{}", pairs.finish())
}

/// Three tabs, one search box, and what it finds.
#[component]
pub fn Audit() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadActivity).await?;
        let (asked, flash) = (Asked::read(&ask, &scope), ask.flash());
        if let Some(query) = search_box::chosen(&ask) {
            ask.redirect(&link(&asked.workspace, asked.tab.as_str(), &query));
            return Ok(().into_any());
        }
        let found = match &asked.search {
            Ok(search) => found(&ask, &scope, &asked, search).await?,
            Err(_) => ().into_any(),
        };
        let words = ask.engine.log_words(&scope).await?;
        let saved = ask.engine.saved_searches(&scope).await?;
        let body = view! {
            <Said flash=flash.clone()/>
            {tabs(&asked, "")}
            {search_box::search_box(&asked, &words)}
            <div class="aids">
                {search_box::controls(&asked, &words)}
                {views::saved(&asked, &scope, saved, flash.clone())}
                {views::find_by_prompt(&asked, &flash)}
            </div>
            {found}
        };
        let line = proof::standing(&ask, &scope).await?;
        Ok(workspace_page(&ask, &scope, "Audit log", line, (), body))
    })
}

/// The lists, and the page that proves them. `here` names a page that is none of the lists.
fn tabs(asked: &Asked, here: &str) -> AnyView {
    let is_here = |tab: Tab| here.is_empty() && tab == asked.tab;
    let links = Tab::ALL.map(|tab| {
        view! { <a href=asked.to(tab) aria-current=is_here(tab).then_some("page")>{tab.title()}</a> }
    });
    let proof = format!("{}/proof", asked.base);
    view! {
        <nav class="tabs" aria-label="Kinds of entries">
            {links.collect_view()}
            <a href=proof aria-current=(here == "proof").then_some("page")>"Proof"</a>
        </nav>
    }
    .into_any()
}

async fn found(ask: &Ask, scope: &Scope, asked: &Asked, search: &Search) -> Result<AnyView> {
    let page = list_page(ask);
    // Read before the list: what is written meanwhile is shown twice rather than never.
    let end = ask.engine.log_end(scope).await?;
    let (rows, count, next) = if asked.tab == Tab::Refused {
        let found = ask.engine.attempts(scope, search, page).await?;
        let count = found.items.len();
        (rows::attempts(found.items, &asked.base), count, found.next_cursor)
    } else {
        let kind = if asked.tab == Tab::Admin { EntryKind::Administration } else { EntryKind::Calls };
        let filter = AuditFilter { kind: Some(kind), search: search.clone() };
        let found = ask.engine.audit(scope, &filter, page).await?;
        let count = found.items.len();
        (rows::entries(found.items, &asked.base), count, found.next_cursor)
    };
    let newest = ask.query("cursor").map(|_| asked.to(asked.tab));
    let is_first = newest.is_none();
    let live = (is_first && asked.tab != Tab::Refused).then(|| {
        let url = format!("{}&zone={}", asked.taken("live", ""), reader::zone_name());
        view! { <LiveLog url=url base=asked.base.clone() after=end/> }
    });
    let table = if count == 0 { nothing(asked, search) } else { rows::table(rows) };
    Ok(view! {
        <div class="card">
            <header class="taking">
                <h2>{asked.tab.title()}</h2>
                {live}
                {downloads(asked)}
            </header>
            {table}
            <footer class="row">
                <span>"Newest first"</span>
                {newest.map(|href| view! { <a class="btn grow" href=href>"Newest"</a> })}
                {older(ask, next).map(|href| view! { <a class="btn" rel="next" href=href>"Older"</a> })}
            </footer>
        </div>
    }
    .into_any())
}

/// Exactly this search, all of it.
fn downloads(asked: &Asked) -> AnyView {
    let links = [("csv", "CSV"), ("ndjson", "NDJSON"), ("json", "JSON")].map(|(format, label)| {
        view! { <a href=asked.taken("export", format) download rel="nofollow">{label}</a> }
    });
    view! { <nav class="seg grow" aria-label="Take this search as a file">{links.collect_view()}</nav> }
        .into_any()
}

/// What may help where nothing was found.
fn nothing(asked: &Asked, search: &Search) -> AnyView {
    let elsewhere = Tab::ALL.into_iter().filter(|tab| *tab != asked.tab);
    let links = elsewhere.map(|tab| view! { " " <a class="link" href=asked.to(tab)>{tab.title()}</a> });
    let text = match (search.is_empty(), asked.tab) {
        (false, _) => "Nothing matches. Take a word away, or look under",
        (true, Tab::Refused) => "No call was refused or failed in the last 90 days. Look under",
        (true, _) => "There is nothing yet. Calls and acts appear here as they happen. Look under",
    };
    view! { <p class="empty">{text} {links.collect_view()}</p> }.into_any()
}
