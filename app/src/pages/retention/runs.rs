//! What the purger and the reconciler did last.

use agentframer::engine::data::purge::PurgeReport;
use agentframer::engine::data::reconcile::ReconcileReport;
use agentframer::engine::data::retention::{LastRun, RetentionView};
use leptos::prelude::*;

use crate::words;

/// The last runs over the workspace's cell.
pub fn runs(view: &RetentionView) -> impl IntoView + use<> {
    view! {
        <section class="card">
            <header><h2>"Last runs"</h2></header>
            <dl class="in facts">
                <div><dt>"Purge"</dt><dd>{run(view.last_purge.as_ref(), purged)}</dd></div>
                <div><dt>"Rows and files"</dt><dd>{run(view.last_reconcile.as_ref(), compared)}</dd></div>
            </dl>
            <footer>"The purge runs every five minutes, the comparison of rows with files every day, over all workspaces of the cell."</footer>
        </section>
    }
}

fn run<T>(last: Option<&LastRun<T>>, tell: fn(&T) -> String) -> impl IntoView + use<T> {
    let Some(last) = last else { return "not yet".into_any() };
    let ended = last.ended_at.map_or_else(|| "runs now".to_owned(), words::moment);
    let told = last.report.as_ref().map(tell);
    view! { {ended} {told.map(|told| view! { <br/><span class="muted">{told}</span> })} }.into_any()
}

fn purged(report: &PurgeReport) -> String {
    let failed = if report.failed > 0 {
        format!(", {} failed and are tried again", report.failed)
    } else {
        String::new()
    };
    let stopped =
        report.stopped_by.as_ref().map_or("", |_| "; it stopped at a fault and goes on with the next run");
    let held = if report.held > 0 { format!(", {} held", report.held) } else { String::new() };
    format!(
        "{} results, {} log rows, {} refused calls deleted{held}{failed}{stopped}",
        report.generations, report.log_rows, report.attempts
    )
}

fn compared(report: &ReconcileReport) -> String {
    if report.is_clean() {
        return "rows and files agree".into();
    }
    let mended = report.files_without_row
        + report.rows_without_files
        + report.prompts_alone
        + report.copies_without_row;
    match report.not_mended {
        0 => format!("{mended} differences mended"),
        left => {
            format!("{mended} differences mended, {left} left alone: ask the operator to check the storage")
        }
    }
}
