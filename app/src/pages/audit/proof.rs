//! `/w/{id}/audit/proof`: the log proven on demand, row by row, against the signed checkpoints.

use agentframer::domain::access::Permission;
use agentframer::domain::money::thousands;
use agentframer::domain::time::Time;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::error::Result;
use agentframer::engine::log::reading::Page;
use agentframer::engine::log::verification::Verification;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{Asked, tabs};
use crate::actions::VerifyLog;
use crate::ask::Ask;
use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::components::meter::Meter;
use crate::components::when::When;

/// The last run, the button for the next, and how to do it without us. While a run goes on, the page comes anew by itself.
#[component]
pub fn Proof() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadActivity).await?;
        let (asked, flash) = (Asked::read(&ask, &scope), ask.flash());
        let run = ask.engine.verification(&scope).await?;
        let newest = newest_checkpoint(&ask, &scope).await?;
        let is_running = run.as_ref().is_some_and(|run| run.ended_at.is_none());
        if is_running {
            ask.header(http::header::HeaderName::from_static("refresh"), "2".into());
        }
        let body = view! {
            <Said flash=flash/>
            {tabs(&asked, "proof")}
            <section class="card">
                <header><h2>"Verify"</h2></header>
                <div class="in stack">
                    <p>"Reads every entry, recomputes its hash, follows the chain from the first entry to the last, and compares it with each signed checkpoint. Deleting, changing, inserting or moving an entry, or cutting off the end, is found and named."</p>
                    {run.as_ref().map(result)}
                    <form method="post" action=VerifyLog::url()>
                        <input type="hidden" name="workspace" value=asked.workspace.clone()/>
                        <button class="btn first" disabled=is_running>{if is_running { "Verifying…" } else { "Verify the whole log" }}</button>
                    </form>
                </div>
            </section>
            {checkpoint(newest.as_ref())}
            {without_us(&asked)}
        };
        Ok(workspace_page(
            &ask,
            &scope,
            "Proof of the log",
            "Nothing in it was changed, and you need not believe us",
            (),
            body,
        ))
    })
}

async fn newest_checkpoint(ask: &Ask, scope: &Scope) -> Result<Option<serde_json::Value>> {
    let last = Page { limit: Some(1), cursor: None };
    Ok(ask.engine.checkpoints(scope, last).await?.items.into_iter().next())
}

/// How far the log is proven and signed, in the line under its name.
pub async fn standing(ask: &Ask, scope: &Scope) -> Result<AnyView> {
    let run = ask.engine.verification(scope).await?.filter(|run| run.ended_at.is_some());
    let proven = match run.map(|run| (run.last_seq, run.bad_seq, run.fault)) {
        Some((last, _, None)) => format!("Chain whole up to entry {}", number(last)).into_any(),
        Some((_, Some(bad), _)) => {
            view! { <span class="error">{format!("Chain broken at entry {}", number(bad))}</span> }.into_any()
        }
        _ => "Every call and every act of administration, linked by hashes".into_any(),
    };
    let newest = newest_checkpoint(ask, scope).await?;
    let signed: Option<Time> = newest.and_then(|signed| Time::parse(signed["to"].as_str()?));
    Ok(view! { {proven} {signed.map(|at| view! { " · signed up to " <When at=at/> })} }.into_any())
}

fn number(count: i64) -> String {
    thousands(&count.max(0).to_string())
}

fn result(run: &Verification) -> AnyView {
    let (rows, all) = (run.done_seq - run.first_seq + 1, run.last_seq - run.first_seq + 1);
    let against = format!("{} checkpoints", number(run.checkpoints));
    let when = run.ended_at;
    match (when, &run.fault) {
        (None, _) => {
            let percent = (rows.max(0) * 100)
                .checked_div(all)
                .and_then(|percent| percent.try_into().ok())
                .unwrap_or(100);
            let text = format!("{} of {} entries hold so far", number(rows), number(all));
            view! {
                <div role="status">
                    <p>{text.clone()}</p>
                    <Meter percent=percent text=text/>
                </div>
            }
            .into_any()
        }
        (Some(when), None) => {
            let text = format!(
                "All {} entries hold, up to entry {}, against {against}. ",
                number(all),
                number(run.last_seq)
            );
            view! { <p class="note good" role="status"><span class="tag good">"whole"</span>{text}<When at=when/></p> }
                .into_any()
        }
        (Some(when), Some(fault)) => {
            let (tag, class) = if run.bad_seq.is_some() { ("broken", "bad") } else { ("not proven", "warn") };
            let text = format!("{fault} {} entries before it hold. ", number(rows));
            view! { <p class=format!("note {class}") role="alert"><span class=format!("tag {class}")>{tag}</span>{text}<When at=when/></p> }.into_any()
        }
    }
}

fn checkpoint(newest: Option<&serde_json::Value>) -> AnyView {
    let text = newest.map_or_else(
        || "The first checkpoint is signed at the next full hour.".to_owned(),
        |signed| {
            let part = |name: &str| signed[name].to_string().trim_matches('"').to_owned();
            format!(
                "Number {}, signed with {}, covers entries up to {} before {}.",
                part("number"),
                signed["signature"]["key_id"].as_str().unwrap_or("–"),
                part("last_seq"),
                part("to")
            )
        },
    );
    let json = newest.and_then(|signed| serde_json::to_string_pretty(signed).ok());
    view! {
        <section class="card">
            <header><h2>"Newest checkpoint"</h2></header>
            <div class="in stack">
                <p>{text}</p>
                {json.map(|json| view! { <details><summary>"As JSON"</summary><pre class="mono">{json}</pre></details> })}
                <p class="muted">"The public keys are at " <a class="link" href="/reference/keys.json">"/reference/keys.json"</a> "."</p>
            </div>
        </section>
    }
    .into_any()
}

fn without_us(asked: &Asked) -> AnyView {
    let whole = format!("{}/export?format=ndjson", asked.base);
    view! {
        <section class="card">
            <header><h2>"Without this server"</h2></header>
            <div class="in stack">
                <p><a class="link" href=whole download>"Download the whole log"</a> ", save a checkpoint that you kept beside it, and run:"</p>
                <pre class="mono">"agentframer audit verify audit.ndjson --checkpoint checkpoint.json"</pre>
            </div>
        </section>
    }
    .into_any()
}
