//! `/w/{id}/webhooks`: where events go, and how each endpoint does.

mod endpoint;

use agentframer::domain::access::Permission;
use agentframer::domain::webhooks::endpoint::Format;
use agentframer::domain::webhooks::event::EVENTS;
use agentframer::engine::webhooks::{EndpointState, EndpointView, Health};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

pub use self::endpoint::{WebhookPage, delivery};
use crate::actions::CreateWebhook;
use crate::components::field::{ChoiceGroup, Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::components::text_area::TextArea;
use crate::flash::Flash;

/// The endpoints and the form for one more.
#[component]
pub fn Webhooks() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadWebhooks).await?;
        let (flash, hooks) = (ask.flash(), ask.engine.webhooks(&scope).await?);
        let workspace = scope.workspace.id.to_string();
        let may = scope.role.may(Permission::ChangeWebhooks);
        let form = may.then(|| form(workspace.clone(), flash.clone(), hooks.is_empty()).into_any());
        let body = view! { <Said flash=flash/> {table(&workspace, hooks, may).into_any()} {form} };
        let line = "Each log entry goes to your SIEM: at least once, in order, and none is lost while a receiver is down";
        Ok(workspace_page(&ask, &scope, "Webhooks", line, (), body))
    })
}

fn table(workspace: &str, hooks: Vec<EndpointView>, may: bool) -> impl IntoView {
    if hooks.is_empty() {
        let next = if may { "Add your SIEM below." } else { "Ask an Admin to add your SIEM." };
        return view! { <section class="card"><div class="in empty"><h2>"No webhook yet"</h2><p class="muted">{next}</p></div></section> }
            .into_any();
    }
    let lines: Vec<_> = hooks.into_iter().map(|hook| line(workspace, hook)).collect();
    view! {
        <div class="card scroll">
            <table>
                <thead><tr><th>"Address"</th><th>"Format"</th><th>"State"</th><th class="num">"Waiting"</th><th class="num">"Lag"</th><th class="num">"Delivered, 24 h"</th></tr></thead>
                <tbody>{lines}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn line(workspace: &str, hook: EndpointView) -> impl IntoView + use<> {
    let href = format!("/w/{workspace}/webhooks/{}", hook.id);
    view! {
        <tr>
            <td><a class="link cut" href=href title=hook.url.clone()>{short(&hook.url)}</a></td>
            <td>{hook.format.title()}</td>
            <td>{state_tag(&hook)}</td>
            <td class="num">{hook.health.lag_events}</td>
            <td class="num">{lag(&hook.health)}</td>
            <td class="num">{rate(&hook.health)}</td>
        </tr>
    }
}

/// The host and the beginning of the path.
fn short(url: &str) -> String {
    let plain = url.split_once("://").map_or(url, |(_, rest)| rest);
    if plain.chars().count() > 60 {
        plain.chars().take(59).collect::<String>() + "…"
    } else {
        plain.to_owned()
    }
}

fn lag(health: &Health) -> String {
    match health.lag_seconds {
        seconds if health.lag_events == 0 || seconds == 0 => "–".into(),
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

fn rate(health: &Health) -> String {
    health.success_rate.map_or_else(|| "–".into(), |rate| format!("{:.1} %", rate * 100.0))
}

fn state_tag(hook: &EndpointView) -> impl IntoView + use<> {
    let (class, text) = match hook.state {
        EndpointState::Active if hook.health.failures > 0 => ("tag bad", "failing"),
        EndpointState::Active if hook.health.parked > 0 => ("tag warn", "delivers, some refused"),
        EndpointState::Active => ("tag good", "delivers"),
        EndpointState::Paused => ("tag warn", "paused"),
        EndpointState::Disabled => ("tag bad", "disabled"),
    };
    view! { <span class=class>{text}</span> }
}

fn form(workspace: String, flash: Flash, is_first: bool) -> impl IntoView {
    let chosen = flash.value("format");
    let choice = move |format: Format, about: &'static str| {
        let is_chosen = chosen == format.as_str() || (chosen.is_empty() && format == Format::Generic);
        view! {
            <label class="choice">
                <input type="radio" name="format" value=format.as_str() required checked=is_chosen/>
                <span><b>{format.title()}</b><small>{about}</small></span>
            </label>
        }
    };
    let is_open = is_first || flash.problem.is_some();
    view! {
        <details class="card" open=is_open>
            <summary class="in"><b>"Add a webhook"</b></summary>
            <form method="post" action=CreateWebhook::url() class="in stack narrow">
                <input type="hidden" name="workspace" value=workspace/>
                <ChoiceGroup name="format" legend="Format" wrong=flash.error_at("format", "Format")>
                    {choice(Format::Generic, "one signed event a request")}
                    {choice(Format::Datadog, "logs intake, batches")}
                    {choice(Format::SplunkHec, "event collector, batches")}
                </ChoiceGroup>
                <Field name="url" label="Address" kind="url" hint="https. A bare host gets the format’s own path." flash=flash.clone()/>
                <Field name="token" label="Token" kind="password" autocomplete="off" required=false hint="Datadog’s API key or Splunk’s HEC token. Kept encrypted, never shown again." flash=flash.clone()/>
                {filter_and_headers(&flash, String::new(), "Sent with each request, such as X-Team: growth.")}
                <div><button class="btn first">"Add webhook"</button></div>
            </form>
        </details>
    }
}

/// The filter and the user's own headers, as both forms have them.
fn filter_and_headers(flash: &Flash, events: String, about_headers: &'static str) -> impl IntoView + use<> {
    let events = flash.kept.get("events").cloned().unwrap_or(events);
    let (wrong_events, wrong_headers) =
        (flash.error_at("events", "Events"), flash.error_at("headers", "Headers"));
    let names =
        EVENTS.iter().map(|(name, about)| view! { <tr><td class="mono">{*name}</td><td>{*about}</td></tr> });
    view! {
        <div class="field">
            <label for="events">"Events"</label>
            <TextArea name="events" value=events rows=2 wrong=wrong_events.is_some()/>
            <p class="hint">"Names, separated by spaces or lines. Empty: all."</p>
            <p class="error" id="events-error">{wrong_events}</p>
            <details><summary class="link">"All events"</summary><div class="scroll" tabindex="0"><table><tbody>{names.collect_view()}</tbody></table></div></details>
        </div>
        <div class="field">
            <label for="headers">"Headers"</label>
            <TextArea name="headers" value=flash.value("headers") rows=2 wrong=wrong_headers.is_some()/>
            <p class="hint">{about_headers}</p>
            <p class="error" id="headers-error">{wrong_headers}</p>
        </div>
    }
}
