//! The rows of the lists.

use agentframer::domain::audit::Linked;
use agentframer::engine::log::reading::AttemptView;
use agentframer::engine::views::overview::Outcome;
use leptos::prelude::*;

use crate::components::outcome::OutcomeTag;
use crate::components::when::stamp;
use crate::words;

/// The table around rows.
pub fn table(rows: AnyView) -> AnyView {
    view! {
        <div class="scroll">
            <table class="opens">
                <thead><tr><th>{words::time_head()}</th><th>"Who"</th><th>"What"</th><th>"Model"</th><th>"Request"</th><th>"Outcome"</th><th class="num">"Cost"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// Calls and acts.
pub fn entries(rows: Vec<Linked>, base: &str) -> AnyView {
    rows.into_iter().map(|row| entry_line(row, base)).collect_view().into_any()
}

/// Refused and failed calls.
pub fn attempts(rows: Vec<AttemptView>, base: &str) -> AnyView {
    rows.into_iter().map(|row| attempt_line(row, base)).collect_view().into_any()
}

fn entry_line(row: Linked, base: &str) -> impl IntoView + use<> {
    let entry = row.entry;
    let what = entry.tool.clone().or(entry.event.clone()).unwrap_or_default();
    let paid = entry.cost_usd.is_positive();
    let outcome = match (&entry.tool, paid) {
        (None, _) => view! { <span class="tag">"done"</span> }.into_any(),
        (_, true) => view! { <OutcomeTag outcome=Outcome::Paid/> }.into_any(),
        (_, false) => view! { <OutcomeTag outcome=Outcome::Free/> }.into_any(),
    };
    view! {
        <tr>
            <td><a href=format!("{base}/{}", entry.request_id)>{stamp(entry.ts, words::minute(entry.ts))}</a></td>
            <td>{entry.user_id}</td>
            <td>{what}</td>
            <td>{words::or_dash(entry.model)}</td>
            <td class="mono" title=entry.request_id.to_string()>{words::short_id(entry.request_id.as_str())}</td>
            <td>{outcome}</td>
            <td class="num">{words::or_dash(paid.then(|| words::cost(entry.cost_usd)))}</td>
        </tr>
    }
}

fn attempt_line(row: AttemptView, base: &str) -> impl IntoView + use<> {
    let outcome = if row.failed { Outcome::Failed(row.code) } else { Outcome::Refused(row.code) };
    let times = (row.count > 1).then(|| format!(" × {}", row.count));
    view! {
        <tr title=row.message>
            <td><a href=format!("{base}/{}", row.request_id)>{stamp(row.last_at, words::minute(row.last_at))}</a></td>
            <td>{row.user_id}</td>
            <td>{row.tool}</td>
            <td>{words::or_dash(row.model)}</td>
            <td class="mono" title=row.request_id.to_string()>{words::short_id(row.request_id.as_str())}</td>
            <td><OutcomeTag outcome=outcome/>{times}</td>
            <td class="num">"–"</td>
        </tr>
    }
}
