//! The two periods, and what a change of them deletes before it is saved.

use agentframer::domain::retention::{ATTEMPT_DAYS, Retention};
use agentframer::engine::access::scope::Scope;
use agentframer::engine::data::retention::RetentionPreview;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::{PREVIEW, SetRetention};
use crate::components::field::Field;
use crate::flash::Flash;
use crate::words;

/// The form for who may change the periods, the facts for others.
pub fn form(scope: &Scope, may: bool, now: Retention, looked: bool, flash: &Flash) -> impl IntoView + use<> {
    let inside = if may { inputs(scope, now, looked, flash).into_any() } else { facts(now).into_any() };
    view! {
        <section class="card">
            <header><h2>"How long data is kept"</h2></header>
            {inside}
            <footer>{format!("Refused and failed calls are kept {ATTEMPT_DAYS} days. The ledger is kept as long as the workspace.")}</footer>
        </section>
    }
}

fn inputs(scope: &Scope, now: Retention, looked: bool, flash: &Flash) -> impl IntoView + use<> {
    let look = if looked { "btn" } else { "btn first" };
    let save = looked.then(|| view! { <button class="btn first" name="step" value="save">"Save"</button> });
    view! {
        <form method="post" action=SetRetention::url() class="in stack">
            <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
            <Field name="media_retention_days" label="Media and prompts, in days" kind="number" value=now.media_retention_days.to_string() hint="1 to 3650" flash=flash.clone()/>
            <Field name="log_retention_days" label="Audit log, in days" kind="number" value=now.log_retention_days.to_string() hint="365 to 3652 (10 years), never below the media’s. Whole months go." flash=flash.clone()/>
            <div class="row"><button class=look name="step" value=PREVIEW>"Show what this deletes"</button>{save}</div>
        </form>
    }
}

fn facts(now: Retention) -> impl IntoView {
    view! {
        <dl class="in facts">
            <div><dt>"Media, prompts"</dt><dd>{words::count(now.media_retention_days, "day")}</dd></div>
            <div><dt>"Audit log"</dt><dd>{words::count(now.log_retention_days, "day")}</dd></div>
        </dl>
    }
}

/// What a change would delete, and by when.
pub fn preview(found: RetentionPreview) -> impl IntoView {
    let (media, held) = (found.media, found.media_held);
    let nothing = media.generations == 0 && found.log_rows == 0;
    let words = if nothing {
        "Nothing is deleted now.".to_owned()
    } else {
        format!(
            "{} with {} ({}) and their prompts go, and {}, all by {}.",
            words::count(media.generations, "result"),
            words::count(media.files, "file"),
            size(media.bytes),
            words::count(found.log_rows, "log row"),
            words::moment(found.gone_by)
        )
    };
    let kept = (held.generations > 0).then(|| {
        let text =
            format!("{} more would go, but a legal hold keeps it.", words::count(held.generations, "result"));
        view! { <p class="note"><span class="tag warn">"legal hold"</span>{text}</p> }
    });
    let cuts = format!(
        "Media made before {}, log rows written before {}.",
        words::day(found.media_before),
        words::day(found.log_before)
    );
    let title = format!(
        "With {} days for media and {} for the log",
        found.retention.media_retention_days, found.retention.log_retention_days
    );
    view! {
        <section class="card" id="preview">
            <header><h2>{title}</h2><span class="tag warn">"not saved yet"</span></header>
            <div class="in stack"><p><b>{words}</b></p><p class="muted">{cuts}" What is deleted cannot be brought back."</p>{kept}</div>
        </section>
    }
}

/// Bytes as people write them.
fn size(bytes: i64) -> String {
    match bytes {
        bytes if bytes < 1_000_000 => format!("{} kB", (bytes + 999) / 1_000),
        bytes if bytes < 1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        bytes => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!([1, 1_500_000, 2_340_000_000].map(size), ["1 kB", "1.5 MB", "2.3 GB"]);
    }
}
