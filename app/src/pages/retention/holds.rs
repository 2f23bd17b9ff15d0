//! Legal holds: in force, ended, and the form for one more.

use agentframer::engine::access::members::Member;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::data::holds::HoldView;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::{LiftHold, PlaceHold};
use crate::components::field::{ChoiceGroup, Field};
use crate::flash::Flash;
use crate::words;

/// The card of all holds.
pub fn holds(
    scope: &Scope,
    may: bool,
    all: Vec<HoldView>,
    members: &[Member],
    flash: &Flash,
) -> impl IntoView + use<> {
    let workspace = scope.workspace.id.to_string();
    let active = all.iter().filter(|hold| hold.lifted_at.is_none()).count();
    let count = (active > 0).then(|| view! { <span class="tag warn">{format!("{active} in force")}</span> });
    let empty = all
        .is_empty()
        .then(|| view! { <div class="in empty">"No legal hold. Data goes when its time has come."</div> });
    let lines =
        all.into_iter().map(|hold| line(&workspace, may, hold, members, flash).into_any()).collect_view();
    let table = empty.is_none().then(|| {
        view! {
            <div class="scroll" tabindex="0">
                <table>
                    <thead><tr><th>"Keeps"</th><th>"Why"</th><th>"Placed"</th><th>"State"</th></tr></thead>
                    <tbody>{lines}</tbody>
                </table>
            </div>
        }
    });
    view! {
        <section class="card" id="holds">
            <header><h2>"Legal holds"</h2>{count}</header>
            {empty} {table}
            {may.then(|| form(&workspace, flash).into_any())}
            <footer>"A hold beats retention and erasure until it is lifted."</footer>
        </section>
    }
}

fn line(
    workspace: &str,
    may: bool,
    hold: HoldView,
    members: &[Member],
    flash: &Flash,
) -> impl IntoView + use<> {
    let name = |actor: &str| {
        let known = members.iter().find(|member| member.user_id.as_str() == actor);
        known.map_or_else(|| actor.to_owned(), |member| member.name.clone())
    };
    let what = match hold.kind {
        "workspace" => "the whole workspace".to_owned(),
        "subject" => "one data subject".to_owned(),
        _ => words::or_dash(hold.target.clone()),
    };
    let title = hold.target.clone();
    let placed = format!("{}, {}", name(&hold.placed_by), words::day(hold.placed_at));
    let state = match (&hold.lifted_by, hold.lifted_at) {
        (Some(by), Some(at)) => {
            let why = hold.lift_reason.clone().map(|why| format!(": {why}")).unwrap_or_default();
            view! { <span class="tag">"lifted"</span><span class="muted">{format!(" {}, {}{why}", name(by), words::day(at))}</span> }.into_any()
        }
        _ if may => lift(workspace, &hold, flash).into_any(),
        _ => view! { <span class="tag warn">"in force"</span> }.into_any(),
    };
    view! { <tr><td><b title=title>{what}</b></td><td class="wraps">{hold.reason}</td><td>{placed}</td><td>{state}</td></tr> }
}

fn lift(workspace: &str, hold: &HoldView, flash: &Flash) -> impl IntoView + use<> {
    let id = hold.id.to_string();
    let is_open = flash.value("hold") == id;
    let wrong = flash.error_at("lift_reason", "Reason").filter(|_| is_open);
    let described = is_open.then_some("lift_reason-error");
    let typed = if is_open { flash.value("lift_reason") } else { String::new() };
    view! {
        <details open=is_open>
            <summary><span class="tag warn">"in force"</span>" "<span class="link">"Lift"</span></summary>
            <form method="post" action=LiftHold::url() class="row">
                <input type="hidden" name="workspace" value=workspace.to_owned()/>
                <input type="hidden" name="hold" value=id/>
                <input id=is_open.then_some("lift_reason") name="lift_reason" value=typed required aria-label="Why it is lifted" placeholder="Why" aria-invalid=wrong.is_some().then_some("true") aria-describedby=described autofocus=wrong.is_some()/>
                <button class="btn">"Lift the hold"</button>
            </form>
            {is_open.then(|| view! { <p class="error" id="lift_reason-error">{wrong}</p> })}
        </details>
    }
}

fn form(workspace: &str, flash: &Flash) -> impl IntoView + use<> {
    let is_open = flash.is_about(&["kind", "target", "reason"]);
    let chosen = flash.value("kind");
    let choice = move |kind: &'static str, title: &'static str, about: &'static str| {
        let is_chosen = chosen == kind || (chosen.is_empty() && kind == "workspace");
        view! {
            <label class="choice">
                <input type="radio" name="kind" value=kind required checked=is_chosen/>
                <span><b>{title}</b><small>{about}</small></span>
            </label>
        }
    };
    view! {
        <details class="placing" open=is_open>
            <summary class="in"><b>"Place a hold"</b></summary>
            <form method="post" action=PlaceHold::url() class="in stack narrow">
                <input type="hidden" name="workspace" value=workspace.to_owned()/>
                <ChoiceGroup name="kind" legend="What it keeps" wrong=flash.error_at("kind", "This")>
                    {choice("workspace", "Workspace", "everything")}
                    {choice("agent", "Agent", "what it made")}
                    {choice("subject", "Data subject", "what concerns one person")}
                </ChoiceGroup>
                <Field name="target" label="Agent or subject" required=false hint="The agent’s name, or the subject that agents pass: stored as a hash only." flash=flash.clone()/>
                <Field name="reason" label="Reason" hint="Such as the case’s number; others see it." flash=flash.clone()/>
                <div><button class="btn first">"Place hold"</button></div>
            </form>
        </details>
    }
}
