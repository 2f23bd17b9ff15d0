//! `/w/{id}/security`: what an auditor asks for on one page.

mod report;
mod sessions;

use agentframer::domain::access::Permission;
use agentframer::domain::time::Time;
use agentframer::engine::access::security::KeyAges;
use agentframer::engine::log::reading::Page;
use leptos::prelude::*;

use self::report::report;
use self::sessions::{sessions, sign_ins};
use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::components::places::Places;
use crate::components::when::When;
use crate::words;

/// Keys, places, sessions, sign-ins, checkpoints and the SOC 2 report.
#[component]
pub fn Security() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadSettings).await?;
        let (flash, engine) = (ask.flash(), &ask.engine);
        let newest = Page { limit: Some(1), cursor: None };
        let checkpoint = engine.checkpoints(&scope, newest).await?.items.pop();
        let (ages, places) = (engine.key_ages(&scope).await?, engine.data_places(&scope).await?);
        let signed_in = sessions(&scope, engine.member_sessions(&scope).await?).into_any();
        let tries = sign_ins(engine.recent_sign_ins(&scope).await?).into_any();
        let members = engine.members(&scope).await?;
        let report = report(&scope, engine.report(&scope).await, &members).into_any();
        let body = view! {
            <Said flash=flash/>
            <div class="grid g2">{keys(ages).into_any()} {proof(scope.workspace.id.as_str(), checkpoint).into_any()}</div>
            {report}
            {signed_in}
            {tries}
            <Places places=places/>
        };
        let line = "Where your data lives, who is signed in, and how what we say can be proven";
        Ok(workspace_page(&ask, &scope, "Security", line, (), body))
    })
}

fn keys(ages: KeyAges) -> impl IntoView {
    let oldest = words::or_dash(ages.oldest.map(words::day));
    let since = words::or_dash(ages.signing_since.map(words::day));
    view! {
        <section class="card">
            <header><h2>"Keys"</h2></header>
            <dl class="in facts">
                <div><dt>"Data keys"</dt><dd>{format!("{}, the oldest of {oldest}", ages.data_keys)}</dd></div>
                <div><dt>"Master key"</dt><dd>"check value "<code>{ages.master_check}</code></dd></div>
                <div><dt>"Signing key"</dt><dd><code>{ages.signing_key}</code>{format!(", since {since}")}</dd></div>
                <div><dt>"Public keys"</dt><dd><a class="link" href="/reference/keys.json">{format!("{} in /reference/keys.json", ages.signing_keys)}</a></dd></div>
            </dl>
            <footer>"The signing key follows from the server’s master key: its age is that key’s. Erasing a person destroys that person’s data key."</footer>
        </section>
    }
}

fn proof(workspace: &str, checkpoint: Option<serde_json::Value>) -> impl IntoView + use<> {
    let log = format!("/w/{workspace}/audit");
    let Some(checkpoint) = checkpoint else {
        return view! {
            <section class="card">
                <header><h2>"Last checkpoint"</h2></header>
                <div class="in empty">"None yet. The log is signed after each full hour."</div>
            </section>
        }
        .into_any();
    };
    let to = checkpoint["to"].as_str().and_then(Time::parse);
    let text = |field: &str| checkpoint[field].as_str().unwrap_or_default().to_owned();
    view! {
        <section class="card">
            <header><h2>"Last checkpoint"</h2><span class="tag good">"signed"</span></header>
            <dl class="in facts">
                <div><dt>"Number"</dt><dd>{checkpoint["number"].to_string()}</dd></div>
                <div><dt>"Covers until"</dt><dd><When at=to/></dd></div>
                <div><dt>"Entries"</dt><dd>{checkpoint["last_seq"].to_string()}</dd></div>
                <div><dt>"Head"</dt><dd><code>{text("head_hash")}</code></dd></div>
                <div><dt>"Signed by"</dt><dd><code>{checkpoint["signature"]["key_id"].as_str().unwrap_or_default().to_owned()}</code></dd></div>
            </dl>
            <footer>"Check an export of the "<a class="link" href=log>"audit log"</a>" without this server: "<code>"agentframer audit verify FILE"</code></footer>
        </section>
    }
    .into_any()
}
