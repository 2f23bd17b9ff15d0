//! `/w/{id}/models/{model}`: one model, and what this workspace spent on it.

use agentframer::domain::access::Permission;
use agentframer::domain::catalog::{Limits, MediaKind, Model};
use agentframer::domain::time::Time;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::calls::models::{ModelView, WorkspaceModel};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{price, residency, state};
use crate::actions::SetModelAllowed;
use crate::components::chart::SpendByDay;
use crate::components::field::Said;
use crate::components::frame::{page, workspace_page};
use crate::words;

/// One model of the library.
#[component]
pub fn ModelPage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadWorkspace).await?;
        let view = ask.engine.workspace_model(&scope, &ask.rest(3)).await?;
        let now = ask.engine.clock().now();
        let (class, text) = state(&view.model);
        let title = view.model.model.id.clone();
        let line = view.model.model.title.clone();
        let may = scope.role.may(Permission::ChangeSettings);
        let body = view! {
            <Said flash=ask.flash()/>
            {notice(&view.model.model, now).into_any()}
            {facts(&view.model).into_any()}
            {spend(&view, now).into_any()}
            {(may && !view.model.is_closed).then(|| allowance(&scope, &title, view.model.is_allowed).into_any())}
        };
        let tag = view! { <span class=class>{text}</span> };
        Ok(workspace_page(&ask, &scope, &title, line, tag, body))
    })
}

/// That its vendor closes it, or has closed it: nothing that the workspace allows opens it again.
fn notice(model: &Model, now: Time) -> Option<impl IntoView + use<>> {
    let (class, tag, text) = match model.check_open(now.date()) {
        Err(closed) => ("bad", "closed", format!("{}. No call can use it.", closed.message)),
        Ok(()) => ("warn", "closes", model.shutdown_notice(now.date())?),
    };
    Some(view! { <p class=format!("note {class}")><span class=format!("tag {class}")>{tag}</span>{text}</p> })
}

fn facts(known: &WorkspaceModel) -> impl IntoView + use<> {
    let model = &known.model;
    let (class, inference) = residency(model);
    let further = model.price_further.map(|price| format!("; each further megapixel {}", words::cost(price)));
    let closes = match (model.shutdown_on, &model.substitute) {
        (Some(day), Some(other)) => format!("{day}; use {other} instead"),
        (Some(day), None) => day.to_string(),
        (None, _) => "no date known".to_owned(),
    };
    let fact = |name: &'static str, value: AnyView| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    view! {
        <section class="card">
            <header><h2>"About"</h2></header>
            <dl class="facts in">
                {fact("Kind", model.kind.as_str().into_any())}
                {fact("Provider", model.provider.clone().into_any())}
                {fact("Price", view! { {price(model)} {further} " " <span class="muted">{format!("since {}", model.effective_from)}</span> {source(model)} }.into_any())}
                {fact("Takes", takes(model.kind, &model.limits).into_any())}
                {fact("By default", defaults(model).into_any())}
                {fact("Inference", view! { <span class=class>{inference}</span> }.into_any())}
                {fact("Licence", licence(model))}
                {fact("Results", "belong to the workspace, within the licence".into_any())}
                {fact(if known.is_closed { "Closed" } else { "Closes" }, closes.into_any())}
                {(!model.note.is_empty()).then(|| fact("Note", model.note.clone().into_any()))}
            </dl>
        </section>
    }
}

/// A link only where it is one: the catalogue is the operator's text.
fn link(url: &str, text: String) -> AnyView {
    match url.starts_with("https://") {
        true => view! { <a class="link" rel="noopener" href=url.to_owned()>{text}</a> }.into_any(),
        false => text.into_any(),
    }
}

fn licence(model: &Model) -> AnyView {
    link(&model.licence.url, model.licence.name.clone())
}

fn source(model: &Model) -> Option<AnyView> {
    model
        .source_url
        .starts_with("https://")
        .then(|| view! { " · " {link(&model.source_url, "price list".into())} }.into_any())
}

fn takes(kind: MediaKind, limits: &Limits) -> String {
    let sizes = match limits.sizes.as_slice() {
        [] => format!(
            "{} to {} × {} to {} pixels",
            limits.min_width, limits.max_width, limits.min_height, limits.max_height
        ),
        sizes => {
            sizes.iter().map(|(width, height)| format!("{width} × {height}")).collect::<Vec<_>>().join(", ")
        }
    };
    match kind {
        MediaKind::Image => format!("{sizes}; up to {} a call", limits.max_count),
        MediaKind::Video => {
            format!("{sizes}; {} to {} seconds", limits.min_duration_s, limits.max_duration_s)
        }
    }
}

fn defaults(model: &Model) -> String {
    let size = format!("{} × {}", model.defaults.width, model.defaults.height);
    model.defaults.duration_s.map_or(size.clone(), |seconds| format!("{size}, {seconds} seconds"))
}

fn spend(view: &ModelView, now: Time) -> impl IntoView + use<> {
    let line = format!(
        "{} this month in {}",
        view.month_to_date.display(),
        words::count(view.calls_this_month, "call")
    );
    view! {
        <section class="card">
            <header><h2>"What this workspace spent on it"</h2><span class="muted grow">{line}</span></header>
            <div class="in"><SpendByDay days=view.spend_by_day.clone() month=now.month_start()/></div>
        </section>
    }
}

/// What the change will do is said before.
fn allowance(scope: &Scope, model: &str, is_allowed: bool) -> impl IntoView + use<> {
    let (label, text, allowed) = match is_allowed {
        true => (
            "Forbid in this workspace",
            "Calls that name it are refused with model_not_allowed, and cost nothing, whatever an agent’s policy says. Calls that run are finished and paid.",
            "no",
        ),
        false => (
            "Allow in this workspace",
            "Agents whose policy permits it can use it from the next call on.",
            "yes",
        ),
    };
    view! {
        <details class="card">
            <summary class="in"><b>{label}</b></summary>
            <form method="post" action=SetModelAllowed::url() class="in stack">
                <input type="hidden" name="workspace" value=scope.workspace.id.to_string()/>
                <input type="hidden" name="model" value=model.to_owned()/>
                <p>{text}</p>
                <div><button class="btn first" name="allowed" value=allowed>{label}</button></div>
            </form>
        </details>
    }
}
