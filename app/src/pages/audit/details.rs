//! What is known of a request besides its entry: decision, price, time, money, and where it stands in the chain.

use agentframer::domain::audit::{Entry, Linked};
use agentframer::domain::webhooks::event::GENERATION_FAILED;
use agentframer::engine::log::search::RequestDetails;
use agentframer::engine::webhooks::DeliveryView;
use leptos::prelude::*;

use super::entry::{list, text};
use crate::ask::Ask;
use crate::components::when::stamp;
use crate::islands::CopyButton;
use crate::pages::webhooks::delivery;
use crate::words;

/// Who runs the model.
pub fn provider(ask: &Ask, entry: &Entry) -> Option<String> {
    let model = ask.engine.catalog().get(entry.model.as_deref()?)?;
    Some(model.provider.clone())
}

/// What the rules said. Only what they allowed is in the log.
pub fn decision(entry: &Entry) -> String {
    match (entry.event.as_deref(), entry.cost_usd.is_positive()) {
        (Some(GENERATION_FAILED), _) => "allowed; the provider failed".into(),
        (Some(_), _) => "allowed by the role".into(),
        (None, true) => "allowed: tool, model, region, caps and balance".into(),
        (None, false) => "allowed; it costs nothing".into(),
    }
}

/// The money that was set aside, charged and given back, and how long that took.
pub fn money(known: &RequestDetails, rows: &[Linked]) -> AnyView {
    let Some((reserved_at, price)) = known.reserved else { return ledger(known) };
    let charged = rows.iter().map(|row| row.entry.cost_usd).sum();
    let took =
        known.ended_at.map(|ended| format!("{:.1} s", (ended.micros() - reserved_at.micros()) as f64 / 1e6));
    let facts = vec![
        text("Price", price.display()),
        ("Set aside", stamp(reserved_at, words::second(reserved_at))),
        (
            "Settled",
            known.ended_at.map_or_else(|| "–".into_any(), |ended| stamp(ended, words::second(ended))),
        ),
        text("Took", words::or_dash(took)),
        text("Given back", price.saturating_sub(charged).display()),
    ];
    view! {
        <section class="card"><header><h2>"Price and time"</h2></header>{list(facts)}</section>
        {ledger(known)}
    }
    .into_any()
}

fn ledger(known: &RequestDetails) -> AnyView {
    if known.ledger.is_empty() {
        return ().into_any();
    }
    let lines = known.ledger.iter().map(|line| {
        let kind = if line.kind == "charge" { "charge" } else { "top-up" };
        view! { <tr><td>{kind}</td><td class="mono">{line.id.to_string()}</td><td class="num">{line.amount.display()}</td><td class="num">{line.balance_after.display()}</td></tr> }
    });
    view! {
        <section class="card">
            <header><h2>"Ledger"</h2></header>
            <div class="scroll" tabindex="0">
                <table>
                    <thead><tr><th>"Kind"</th><th>"Entry"</th><th class="num">"Amount"</th><th class="num">"Balance after"</th></tr></thead>
                    <tbody>{lines.collect_view()}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

/// What carried it to receivers.
pub fn deliveries(rows: Vec<DeliveryView>) -> AnyView {
    if rows.is_empty() {
        return ().into_any();
    }
    view! {
        <section class="card">
            <header><h2>"Deliveries"</h2></header>
            <div class="deliveries">{rows.into_iter().map(|row| delivery(row, None)).collect_view()}</div>
        </section>
    }
    .into_any()
}

/// The entries before and after it.
pub fn beside(beside: &[Linked], rows: &[Linked], base: &str) -> AnyView {
    let Some(own) = rows.first() else { return ().into_any() };
    let line = |row: &Linked| {
        let what = row.entry.tool.clone().or(row.entry.event.clone()).unwrap_or_default();
        let place = if row.seq < own.seq { "Before" } else { "After" };
        let text = format!("{place}: entry {}, {what}", row.seq);
        view! { <li><a class="link" href=format!("{base}/{}", row.entry.request_id)>{text}</a> <code class="mono">{row.hash.clone()}</code></li> }
    };
    view! {
        <section class="card">
            <header><h2>"In the chain"</h2></header>
            <ul class="in saved">{beside.iter().map(line).collect_view()}</ul>
        </section>
    }
    .into_any()
}

/// The entries as an export has them.
pub fn json(rows: &[Linked]) -> AnyView {
    let text = match rows {
        [row] => serde_json::to_string_pretty(row),
        rows => serde_json::to_string_pretty(rows),
    };
    let text = text.unwrap_or_default();
    view! {
        <details class="card">
            <summary class="in"><b>"As JSON"</b></summary>
            <div class="in stack"><div><CopyButton text=text.clone()/></div><pre class="mono">{text}</pre></div>
        </details>
    }
    .into_any()
}
