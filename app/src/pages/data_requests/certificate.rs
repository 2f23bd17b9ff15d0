//! `/w/{id}/data-requests/{dr}/certificate`: the signed certificate as a page to print.

use agentframer::domain::access::Permission;
use agentframer::domain::time::Time;
use agentframer::engine::error::Error;
use leptos::prelude::*;
use serde_json::Value;

use super::day_of;
use crate::components::frame::{page, workspace_page};
use crate::words;

/// Everything that the JSON says, in words.
#[component]
pub fn CertificatePage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::FileDataRequests).await?;
        let id = ask.segment(3).parse().map_err(|_| Error::NotFound)?;
        let signed = ask.engine.data_request_certificate(&scope, &id).await?;
        let members = ask.engine.members(&scope).await?;
        let own = format!("/w/{}/data-requests/{id}", scope.workspace.id);
        let actions = view! {
            <a class="btn" href=own.clone()>"Back to the request"</a>
            <a class="btn first" href=format!("{own}/certificate.json") download=format!("certificate-{id}.json")>"Download JSON"</a>
        };
        let name = |actor: &Value| words::name_of(text(actor).as_str(), &members);
        let body = view! {
            <article class="certificate stack">
                {summary(&signed, &scope.workspace.name, name(&signed["filed"]["by"]), name(&signed["approved"]["by"])).into_any()}
                {counted("What was deleted".into(), &signed["deleted"], "Nothing: this request asked for a copy.").into_any()}
                {earlier(&signed["earlier_runs"]).into_any()}
                {delivered(&signed["delivered"]).into_any()}
                {kept(&signed["kept"]).into_any()}
                {held(&signed["held_back"]).into_any()}
                {providers(&signed["providers"]).into_any()}
                {proof(&signed).into_any()}
            </article>
        };
        let title =
            if signed["kind"] == "erasure" { "Certificate of erasure" } else { "Certificate of access" };
        let line =
            "Print this page, or hand on the JSON: anybody can check its signature without this server";
        Ok(workspace_page(&ask, &scope, title, line, actions, body))
    })
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { "–".into() } else { value.to_string() }, str::to_owned)
}

fn moment(value: &Value) -> String {
    words::or_dash(value.as_str().and_then(Time::parse).map(words::moment))
}

fn fact(name: &'static str, value: String) -> impl IntoView {
    view! { <div><dt>{name}</dt><dd>{value}</dd></div> }
}

fn rows(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn summary(signed: &Value, workspace: &str, filed_by: String, approved_by: String) -> impl IntoView + use<> {
    let eyes = if signed["approved"]["four_eyes"] == true {
        "two people: one filed, another approved"
    } else {
        "one person filed and approved"
    };
    let by = |who: String, part: &Value| format!("{who} ({}), {}", text(&part["by"]), moment(&part["at"]));
    let ran = format!("{} to {}", moment(&signed["executed"]["from"]), moment(&signed["executed"]["to"]));
    view! {
        <section class="card">
            <header><h2>"The request"</h2></header>
            <dl class="in facts">
                {fact("Request", text(&signed["data_request_id"]))}
                {fact("Workspace", format!("{workspace} ({}), {}", text(&signed["workspace_id"]), text(&signed["region"])))}
                {fact("Outcome", text(&signed["state"]))}
                {fact("Received", day_of(&text(&signed["received_on"])))}
                {fact("Due", day_of(&text(&signed["due_on"])))}
                {fact("Filed by", by(filed_by, &signed["filed"]))}
                {fact("Approved by", by(approved_by, &signed["approved"]))}
                {fact("Four eyes", eyes.into())}
                {fact("Carried out", ran)}
            </dl>
        </section>
    }
}

fn counted(title: String, lines: &Value, none: &'static str) -> impl IntoView + use<> {
    let line = |line: Value| {
        let files = line["files"].as_i64().map(|files| format!(", {files} files"));
        view! {
            <tr><th scope="row">{text(&line["category"])}</th><td>{text(&line["place"])}</td><td class="num">{text(&line["count"])}{files}</td><td>{text(&line["method"])}</td></tr>
        }
    };
    let lines = rows(lines);
    let empty = lines.is_empty().then(|| view! { <div class="in">{none}</div> });
    let table = (!lines.is_empty()).then(|| {
        view! {
            <div class="scroll" tabindex="0"><table class="places">
                <thead><tr><th>"What"</th><th>"Where"</th><th class="num">"Count"</th><th>"How"</th></tr></thead>
                <tbody>{lines.into_iter().map(line).collect_view()}</tbody>
            </table></div>
        }
    });
    view! { <section class="card"><header><h2>{title}</h2></header>{table}{empty}</section> }
}

fn delivered(value: &Value) -> impl IntoView + use<> {
    let words = value.is_object().then(|| {
        format!(
            "{} prompts, {} results and {} log rows in one archive, whose link works until {}.",
            text(&value["prompts"]),
            text(&value["results"]),
            text(&value["rows"]),
            moment(&value["until"])
        )
    });
    words.map(|words| view! { <section class="card"><header><h2>"What was handed out"</h2></header><div class="in">{words}</div></section> })
}

fn kept(lines: &Value) -> impl IntoView + use<> {
    let line = |line: Value| {
        let about = format!(
            "{}. {}. Until {}.",
            text(&line["content"]),
            text(&line["basis"]),
            moment(&line["until"])
        );
        view! { <li><b>{format!("{} {}", text(&line["count"]), text(&line["category"]))}</b>": "{about}</li> }
    };
    view! {
        <section class="card">
            <header><h2>"What stays, and why"</h2></header>
            <ul class="in stack">{rows(lines).into_iter().map(line).collect_view()}</ul>
        </section>
    }
}

fn held(lines: &Value) -> impl IntoView + use<> {
    let hold = |hold: &Value| {
        format!(
            "{} ({}), since {}: {}",
            text(&hold["hold_id"]),
            text(&hold["kind"]),
            moment(&hold["placed_at"]),
            text(&hold["reason"])
        )
    };
    let line = move |line: Value| {
        let holds: Vec<String> = rows(&line["holds"]).iter().map(hold).collect();
        view! { <li><b>{format!("{} results", text(&line["results"]))}</b>{format!(": {}, {}", text(&line["why"]), holds.join("; "))}</li> }
    };
    let lines = rows(lines);
    (!lines.is_empty()).then(|| {
        view! {
            <section class="card">
                <header><h2>"What was held back"</h2><span class="tag warn">"legal hold"</span></header>
                <ul class="in stack">{lines.into_iter().map(line).collect_view()}</ul>
            </section>
        }
    })
}

/// What runs deleted before the request was tried again.
fn earlier(runs: &Value) -> impl IntoView + use<> {
    let run = |run: Value| {
        let ended = moment(&run["executed"]["to"]);
        if run["state"] == "failed" {
            return failed(&ended, &run).into_any();
        }
        counted(format!("What the run of {ended} had deleted"), &run["deleted"], "Nothing.").into_any()
    };
    rows(runs).into_iter().map(run).collect_view()
}

fn failed(ended: &str, run: &Value) -> impl IntoView + use<> {
    let done = format!(
        "{} of {} calls were done, {} data keys destroyed. {}",
        text(&run["calls_done"]),
        text(&run["calls"]),
        text(&run["data_keys"]),
        text(&run["why"])
    );
    view! {
        <section class="card">
            <header><h2>{format!("The run until {ended} failed")}</h2></header>
            <p class="in">{done}</p>
        </section>
    }
}

fn providers(lines: &Value) -> impl IntoView + use<> {
    let line = |line: Value| {
        view! { <li><b>{text(&line["provider"])}</b>{format!(": {} calls; {}", text(&line["calls"]), text(&line["answer"]))}</li> }
    };
    let lines = rows(lines);
    (!lines.is_empty()).then(|| {
        view! {
            <section class="card">
                <header><h2>"Who else had the prompts"</h2></header>
                <ul class="in stack">{lines.into_iter().map(line).collect_view()}</ul>
            </section>
        }
    })
}

/// Older certificates say nothing of these.
fn backups_elsewhere(backups: &Value) -> Option<String> {
    let until = backups["other_copies_until"].as_str()?;
    let until = Time::parse(until).map(words::moment);
    Some(format!("until {}: {}", words::or_dash(until), text(&backups["other_copies"])))
}

fn proof(signed: &Value) -> impl IntoView + use<> {
    let second = &signed["second_search"];
    let again = format!(
        "{}: {} prompts, {} results",
        moment(&second["at"]),
        text(&second["prompts"]),
        text(&second["media"])
    );
    let backups =
        format!("{}; a restore {}", text(&signed["backups"]["why"]), text(&signed["backups"]["restore"]));
    let others = backups_elsewhere(&signed["backups"]);
    let log = format!("entry {}, hash {}", text(&signed["log"]["seq"]), text(&signed["log"]["hash"]));
    let signature = &signed["signature"];
    view! {
        <section class="card">
            <header><h2>"Proof"</h2></header>
            <dl class="in facts">
                {fact("Searched again", again)}
                {fact("Backups", backups)}
                {others.map(|others| fact("Other copies", others))}
                {fact("In the log", log)}
                {fact("Signed with", format!("{} ({})", text(&signature["key_id"]), text(&signature["alg"])))}
                {fact("Signature", text(&signature["value"]))}
                {fact("Check it", "agentframer certificate verify FILE --keys keys.json, with the keys of /reference/keys.json".into())}
            </dl>
        </section>
    }
}
