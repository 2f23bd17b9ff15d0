//! `/w/{id}/audit`: the log, newest first, and the calls that did not happen.

use agentframer::domain::access::Permission;
use agentframer::domain::audit::Linked;
use agentframer::engine::overview::Outcome;
use agentframer::engine::reading::{AttemptView, AuditFilter, EntryKind};
use leptos::prelude::*;

use super::{list_page, older};
use crate::components::frame::{page, workspace_page};
use crate::components::outcome::OutcomeTag;
use crate::words;

/// Three tabs: calls, administration, refused and failed.
#[component]
pub fn Audit() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadActivity).await?;
        let base = format!("/w/{}/audit", scope.workspace.id);
        let tab = ask.query("tab").unwrap_or_else(|| "calls".into());
        let (rows, next) = if tab == "refused" {
            let attempts = ask.engine.attempts(&scope, None, list_page(&ask)).await?;
            (
                attempts.items.into_iter().map(|row| attempt_line(row, &base)).collect_view().into_any(),
                attempts.next_cursor,
            )
        } else {
            let kind = if tab == "admin" { EntryKind::Administration } else { EntryKind::Calls };
            let filter = AuditFilter { kind: Some(kind), ..AuditFilter::default() };
            let entries = ask.engine.audit(&scope, &filter, list_page(&ask)).await?;
            (
                entries.items.into_iter().map(|row| entry_line(row, &base)).collect_view().into_any(),
                entries.next_cursor,
            )
        };
        let tabs = [("calls", "Calls"), ("admin", "Administration"), ("refused", "Refused and failed")].map(|(name, label)| {
            view! { <a href=format!("{base}?tab={name}") aria-current=(tab == name).then_some("page")>{label}</a> }
        });
        let newest = ask.query("cursor").map(|_| format!("{base}?tab={tab}"));
        let body = view! {
            <nav class="tabs" aria-label="Kinds of entries">{tabs.collect_view()}</nav>
            <div class="card scroll">
                <table class="opens">
                    <thead><tr><th>"Time (UTC)"</th><th>"Who"</th><th>"What"</th><th>"Model"</th><th>"Request"</th><th>"Outcome"</th><th class="num">"Cost"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
                <footer class="row">
                    <span>"Newest first"</span>
                    {newest.map(|href| view! { <a class="btn grow" href=href>"Newest"</a> })}
                    {older(&ask, next).map(|href| view! { <a class="btn" rel="next" href=href>"Older"</a> })}
                </footer>
            </div>
        };
        let line = "Every call and every act of administration, linked by hashes";
        Ok(workspace_page(&ask, &scope, "Audit log", line, (), body))
    })
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
            <td><a href=format!("{base}/{}", entry.request_id) title=entry.ts.to_string()>{words::moment(entry.ts)}</a></td>
            <td>{entry.user_id}</td>
            <td>{what}</td>
            <td>{words::or_dash(entry.model)}</td>
            <td class="mono">{entry.request_id.to_string()}</td>
            <td>{outcome}</td>
            <td class="num">{words::or_dash(paid.then(|| entry.cost_usd.display()))}</td>
        </tr>
    }
}

fn attempt_line(row: AttemptView, base: &str) -> impl IntoView + use<> {
    let outcome = if row.failed { Outcome::Failed(row.code) } else { Outcome::Refused(row.code) };
    let times = (row.count > 1).then(|| format!(" × {}", row.count));
    view! {
        <tr title=row.message>
            <td><a href=format!("{base}/{}", row.request_id) title=row.last_at.to_string()>{words::moment(row.last_at)}</a></td>
            <td>{row.user_id}</td>
            <td>{row.tool}</td>
            <td>{words::or_dash(row.model)}</td>
            <td class="mono">{row.request_id.to_string()}</td>
            <td><OutcomeTag outcome=outcome/>{times}</td>
            <td class="num">"–"</td>
        </tr>
    }
}
