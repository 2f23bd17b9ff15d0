//! `/w/{id}/audit/{request_id}`: everything known of one call or act.

use agentframer::domain::access::Permission;
use agentframer::domain::audit::Linked;
use agentframer::domain::ids::RequestId;
use agentframer::domain::money::thousands;
use agentframer::domain::search::Field;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::log::reading::{AttemptView, AuditFilter, GenerationFilter, GenerationView, Page};
use agentframer::engine::views::overview::Outcome;
use leptos::prelude::*;

use super::details;
use crate::ask::Ask;
use crate::components::frame::{page, workspace_page};
use crate::components::outcome::OutcomeTag;
use crate::components::when::stamp;
use crate::words;

/// One request.
#[component]
pub fn AuditEntry() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadActivity).await?;
        let id: RequestId = ask.segment(3).parse().map_err(|_| Error::NotFound)?;
        let filter = AuditFilter::of(Field::Request, id.as_str());
        let entries = ask.engine.audit(&scope, &filter, Page::default()).await?.items;
        let body = if entries.is_empty() {
            attempt(&ask.engine.attempt(&scope, &id).await?.ok_or(Error::NotFound)?).into_any()
        } else {
            let (made, prompt) = (generation(&ask, &scope, &id).await?, prompt(&ask, &scope, &id).await?);
            let known = ask.engine.request_details(&scope, &entries).await?;
            let beside =
                details::beside(&known.beside, &entries, &format!("/w/{}/audit", scope.workspace.id));
            view! {
                {made.map(picture)}
                {prompt.map(|text| view! { <section class="card"><header><h2>"Prompt"</h2></header><p class="in prompt">{text}</p></section> })}
                {entries.iter().map(|row| entry(row, &ask)).collect_view()}
                {details::money(&known, &entries)}
                {details::deliveries(known.deliveries)}
                {beside}
                {details::json(&entries)}
            }
            .into_any()
        };
        Ok(workspace_page(
            &ask,
            &scope,
            "Request",
            view! { <code class="mono">{id.to_string()}</code> },
            (),
            body,
        ))
    })
}

async fn generation(ask: &Ask, scope: &Scope, id: &RequestId) -> Result<Option<GenerationView>> {
    let filter = GenerationFilter { request_id: Some(id.to_string()), ..GenerationFilter::default() };
    Ok(ask.engine.generations(scope, &filter, Page::default()).await?.items.into_iter().next())
}

/// For those who may read prompts; gone with its retention.
async fn prompt(ask: &Ask, scope: &Scope, id: &RequestId) -> Result<Option<String>> {
    match ask.scope(scope.workspace.id.as_str(), Permission::ReadPrompts).await {
        Ok(scope) => ask.engine.prompt(&scope, id).await,
        Err(Error::Forbidden(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn picture(made: GenerationView) -> impl IntoView {
    let text = format!("made by {}", made.user_id);
    let full = made.result_urls.into_iter().next()?;
    let href = full.clone();
    Some(view! { <section class="card in"><a href=href><img class="full" src=full alt=text/></a></section> })
}

fn entry(row: &Linked, ask: &Ask) -> impl IntoView + use<> {
    let entry = &row.entry;
    let what = entry.tool.clone().or(entry.event.clone()).unwrap_or_default();
    let data = entry.data.as_ref().and_then(|data| serde_json::to_string_pretty(data).ok());
    let facts = vec![
        text("Who", entry.user_id.clone()),
        ("When", stamp(entry.ts, words::second(entry.ts))),
        text("Model", words::or_dash(entry.model.clone())),
        text("Provider", words::or_dash(details::provider(ask, entry))),
        text("Decision", details::decision(entry)),
        text("Cost", entry.cost_usd.display()),
        text("Region", entry.region.to_string()),
        code("Prompt hash", words::or_dash(entry.prompt_hash.clone())),
        text("Kept for", words::count(entry.retention_days, "day")),
        text("Entry", row.seq.to_string()),
        code("Hash", row.hash.clone()),
        code("Hash before", row.prev_hash.clone()),
    ];
    view! {
        <section class="card">
            <header><h2>{what}</h2></header>
            {list(facts)}
            {data.map(|data| view! { <pre class="in mono">{data}</pre> })}
        </section>
    }
}

fn attempt(row: &AttemptView) -> impl IntoView + use<> {
    let outcome =
        if row.failed { Outcome::Failed(row.code.clone()) } else { Outcome::Refused(row.code.clone()) };
    let facts = vec![
        text("Who", row.user_id.clone()),
        text("Model", words::or_dash(row.model.clone())),
        ("First", stamp(row.first_at, words::second(row.first_at))),
        ("Last", stamp(row.last_at, words::second(row.last_at))),
        text("Times", thousands(&row.count.to_string())),
        code("Prompt hash", words::or_dash(row.prompt_hash.clone())),
    ];
    view! {
        <section class="card">
            <header><h2>{row.tool.clone()}</h2><OutcomeTag outcome=outcome/></header>
            <p class="in">{row.message.clone()}</p>
            {list(facts)}
        </section>
    }
}

/// A fact's name and what is shown of it.
pub(super) type Fact = (&'static str, AnyView);

/// A fact in words.
pub(super) fn text(name: &'static str, value: String) -> Fact {
    (name, value.into_any())
}

/// A fact for machines.
fn code(name: &'static str, value: String) -> Fact {
    (name, view! { <code class="mono">{value}</code> }.into_any())
}

/// Facts under their names.
pub(super) fn list(facts: Vec<Fact>) -> impl IntoView {
    let lines = facts.into_iter().map(|(name, value)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> });
    view! { <dl class="facts in">{lines.collect_view()}</dl> }
}
