//! What the purger and the reconciler did last.

use agentframer::engine::data::purge::Purged;
use agentframer::engine::data::retention::{LastRun, PurgeView, ReconcileView, RetentionView};
use leptos::prelude::*;

use crate::components::when::stamp;
use crate::words;

/// The last runs.
pub fn runs(view: &RetentionView) -> impl IntoView + use<> {
    view! {
        <section class="card">
            <header><h2>"Last runs"</h2></header>
            <dl class="in facts">
                <div><dt>"Purge"</dt><dd>{run(view.last_purge.as_ref(), purged)}</dd></div>
                <div><dt>"Rows and files"</dt><dd>{run(view.last_reconcile.as_ref(), compared)}</dd></div>
            </dl>
            <footer>"The purge runs every five minutes, the comparison of rows with files every day."</footer>
        </section>
    }
}

fn run<T>(last: Option<&LastRun<T>>, tell: fn(&T) -> String) -> impl IntoView + use<T> {
    let Some(last) = last else { return "not yet".into_any() };
    let ended = last.ended_at.map_or_else(|| "runs now".into_any(), |at| stamp(at, words::moment(at)));
    let told = last.report.as_ref().map(tell);
    view! { {ended} {told.map(|told| view! { <br/><span class="muted">{told}</span> })} }.into_any()
}

fn purged(view: &PurgeView) -> String {
    let Purged { generations, log_rows, held } = view.purged;
    let held = if held > 0 { format!(", {held} kept by a hold") } else { String::new() };
    let stopped = if view.stopped { "; some files could not be deleted and are tried again" } else { "" };
    let (results, rows) = (words::count(generations, "result"), words::count(log_rows, "log row"));
    format!("{results} and {rows} of this workspace deleted{held}{stopped}")
}

fn compared(view: &ReconcileView) -> String {
    match view {
        ReconcileView { clean: true, .. } => "rows and files agree",
        ReconcileView { left_alone: false, .. } => "differences were mended",
        _ => "files are missing: ask the operator to check the storage",
    }
    .into()
}
