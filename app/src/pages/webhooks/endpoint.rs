//! `/w/{id}/webhooks/{id}`: one endpoint's health, deliveries, and what may be done with it.

use agentframer::domain::access::Permission;
use agentframer::engine::error::Error;
use agentframer::engine::log::reading::{Page, Paged};
use agentframer::engine::webhooks::{DeliveryView, EndpointState, EndpointView, ParkedRow};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::{filter_and_headers, lag, rate, short, state_tag};
use crate::actions::{
    ChangeWebhook, DeleteWebhook, ReplayWebhook, RotateWebhookSecret, SetWebhookState, TestWebhook,
};
use crate::components::field::{Field, Said};
use crate::components::frame::{page, workspace_page};
use crate::components::when::{When, since, stamp};
use crate::flash::Flash;
use crate::words;

/// Days: the longest that a log, and so what waits in it, is kept.
const LONGEST_SINCE: &str = "3660";

/// Everything about one endpoint.
#[component]
pub fn WebhookPage() -> impl IntoView {
    page(|ask| async move {
        let scope = ask.scope(ask.segment(1), Permission::ReadWebhooks).await?;
        let id = ask.segment(3).parse().map_err(|_| Error::NotFound)?;
        let (flash, hook) = (ask.flash(), ask.engine.webhook(&scope, &id).await?);
        let only_failed = ask.query("show").as_deref() == Some("failed");
        let at = Page { limit: Some(50), cursor: ask.query("cursor") };
        let deliveries = ask.engine.webhook_deliveries(&scope, &id, only_failed, at).await?;
        let parked = ask.engine.parked_events(&scope, &id).await?;
        let ids = Ids { workspace: scope.workspace.id.to_string(), webhook: hook.id.to_string() };
        let may = scope.role.may(Permission::ChangeWebhooks);
        let body = view! {
            <Said flash=flash.clone()/>
            {hook.reason.clone().map(|why| view! { <p class="note bad"><span class="tag bad">{stopped(hook.state)}</span>{why}". Events wait; none is lost."</p> })}
            {health(&hook).into_any()}
            {(!parked.is_empty()).then(|| put_aside(&ids, &parked, may).into_any())}
            {table(&ids, deliveries, only_failed, may).into_any()}
            {may.then(|| forms(&ids, &hook, &flash).into_any())}
        };
        let actions = may.then(|| buttons(&ids, &hook).into_any());
        Ok(workspace_page(
            &ask,
            &scope,
            &short(&hook.url),
            hook.format.title(),
            (state_tag(&hook), actions),
            body,
        ))
    })
}

/// What each form of this page sends along.
struct Ids {
    workspace: String,
    webhook: String,
}

impl Ids {
    fn fields(&self) -> impl IntoView + use<> {
        view! {
            <input type="hidden" name="workspace" value=self.workspace.clone()/>
            <input type="hidden" name="webhook" value=self.webhook.clone()/>
        }
    }
}

/// An active one goes on by itself.
const fn stopped(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Active => "waits",
        EndpointState::Paused | EndpointState::Disabled => "stopped",
    }
}

fn buttons(ids: &Ids, hook: &EndpointView) -> impl IntoView + use<> {
    let (state, label) = match hook.state {
        EndpointState::Active => ("paused", "Pause"),
        _ => ("active", "Resume"),
    };
    view! {
        <form method="post" action=TestWebhook::url()>{ids.fields()}<button class="btn">"Send test event"</button></form>
        <form method="post" action=SetWebhookState::url()>
            {ids.fields()}<input type="hidden" name="state" value=state/><button class="btn">{label}</button>
        </form>
    }
}

fn health(hook: &EndpointView) -> impl IntoView + use<> {
    let health = &hook.health;
    let stat = |name: &'static str, value: String, about: AnyView| {
        view! { <div class="card stat"><dl><dt>{name}</dt><dd>{value}</dd></dl><p>{about}</p></div> }
    };
    let next = health.next_attempt_at.map(|at| since("next attempt", at));
    let failing = health.failing_since.map(|at| since("failing since", at));
    let last = health.delivered_at.map(|at| since("last", at));
    view! {
        <div class="grid g4">
            {stat("Waiting", health.lag_events.to_string(), "log entries behind the log’s end".into_any())}
            {stat("Lag", lag(health), next.unwrap_or_else(|| "since the oldest of them".into_any()))}
            {stat("Delivered, 24 h", rate(health), format!("of {}", words::count(health.requests, "request")).into_any())}
            {stat("Failures in a row", health.failures.to_string(), failing.or(last).unwrap_or_else(|| "nothing sent yet".into_any()))}
        </div>
    }
}

fn put_aside(ids: &Ids, parked: &[ParkedRow], may: bool) -> impl IntoView + use<> {
    let lines = parked.iter().map(|row| {
        let again = may.then(|| view! { <td>{send_again(ids, row.seq, row.seq, "Send again", "btn small").into_any()}</td> });
        view! { <tr><td class="num">{row.seq}</td><td class="mono">{row.event.clone()}</td><td>{row.reason.clone()}</td><td><When at=row.at/></td>{again}</tr> }
    });
    let all = may.then(|| {
        view! {
            <form method="post" action=ReplayWebhook::url() class="grow row">
                {ids.fields()}
                <label for="failed_days">"Of the last"</label>
                <input id="failed_days" name="failed_days" type="number" class="short" min="1" max=LONGEST_SINCE value="30" required/>
                <span>"days"</span>
                <button class="btn">"Send all again"</button>
            </form>
        }
    });
    view! {
        <section class="card scroll" tabindex="0">
            <header><h2>"Refused by the receiver"</h2>{all}</header>
            <table>
                <thead><tr><th class="num">"Place"</th><th>"Event"</th><th>"Why"</th><th>"When"</th>{may.then(|| view! { <th>"Again"</th> })}</tr></thead>
                <tbody>{lines.collect_view()}</tbody>
            </table>
        </section>
    }
}

/// One click for a range of the log, which may be one event.
fn send_again(
    ids: &Ids,
    from: i64,
    to: i64,
    label: &'static str,
    class: &'static str,
) -> impl IntoView + use<> {
    view! {
        <form method="post" action=ReplayWebhook::url()>
            {ids.fields()}
            <input type="hidden" name="from_seq" value=from/>
            <input type="hidden" name="to_seq" value=to/>
            <button class=class>{label}</button>
        </form>
    }
}

fn table(ids: &Ids, deliveries: Paged<DeliveryView>, only_failed: bool, may: bool) -> impl IntoView + use<> {
    let base = format!("/w/{}/webhooks/{}", ids.workspace, ids.webhook);
    let show = if only_failed { "show=failed&" } else { "" };
    let older = deliveries.next_cursor.map(|cursor| format!("{base}?{show}cursor={cursor}"));
    let is_empty = deliveries.items.is_empty();
    let lines = deliveries.items.into_iter().map(|row| {
        let label = if row.events == 1 { "Send this event again" } else { "Send these events again" };
        // A test stands at no place in the log.
        let again = (may && row.from_seq > 0)
            .then(|| send_again(ids, row.from_seq, row.to_seq, label, "btn").into_any());
        delivery(row, again)
    });
    view! {
        <section class="card">
            <header>
                <h2>"Deliveries"</h2>
                <nav class="seg grow" aria-label="Which deliveries">
                    <a class="btn small" class:on=!only_failed href=base.clone()>"All"</a>
                    <a class="btn small" class:on=only_failed href=format!("{base}?show=failed")>"Not delivered"</a>
                </nav>
            </header>
            {is_empty.then(|| view! { <p class="in muted">"Nothing was sent in the last 30 days."</p> })}
            <div class="deliveries">{lines.collect_view()}</div>
            {older.map(|href| view! { <footer><a class="link" href=href>"Older"</a></footer> })}
        </section>
    }
}

/// One request, which opens to what was sent and answered, and to what may be done about it.
pub fn delivery(row: DeliveryView, action: Option<AnyView>) -> impl IntoView {
    let class = match row.outcome.as_str() {
        "delivered" => "tag good",
        "retried" | "paused" | "disabled" => "tag bad",
        _ => "tag warn",
    };
    let status = row.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let what = match row.events {
        1 => row.event.clone(),
        count => format!("{count} events from {}", row.event),
    };
    let places = format!(
        "log {} to {} · {} · try {} · {} ms",
        row.from_seq, row.to_seq, row.lane, row.attempt, row.duration_ms
    );
    view! {
        <details>
            <summary>
                <span class=class>{row.outcome}</span>
                <span class="mono">{what}</span>
                <span class="muted">{status}</span>
                <span class="muted grow">{stamp(row.at, words::to_the_second(row.at))}</span>
            </summary>
            <div class="in stack">
                <p class="muted">{places}</p>
                {row.fault.map(|why| view! { <p>{why}</p> })}
                <p class="muted">"webhook-id " <code>{row.event_id}</code></p>
                <div><p class="muted">"Request"</p><pre class="mono">{row.request}</pre></div>
                <div><p class="muted">"Answer"</p><pre class="mono">{row.response}</pre></div>
                {action}
            </div>
        </details>
    }
}

fn forms(ids: &Ids, hook: &EndpointView, flash: &Flash) -> impl IntoView + use<> {
    let rotating = hook
        .previous_secret_ends_at
        .map(|end| view! { "The secret before signs too until " <When at=end/> ". " });
    let sent = hook.headers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let removes = flash.value("remove_headers") == "true";
    let remove = (!sent.is_empty()).then(|| {
        view! {
            <p class="hint">"Sent now: " <span class="mono">{sent}</span></p>
            <label class="choice"><input type="checkbox" name="remove_headers" value="true" checked=removes/><span>"Send no headers of our own any more"</span></label>
        }
    });
    view! {
        <details class="card" open=flash.is_about(&["url", "token", "events", "headers"])>
            <summary class="in"><b>"Change"</b></summary>
            <form method="post" action=ChangeWebhook::url() class="in stack narrow">
                {ids.fields()}
                <Field name="url" label="Address" kind="url" value=hook.url.clone() flash=flash.clone()/>
                <Field name="token" label="New token" kind="password" autocomplete="off" required=false hint="Empty: stays as it is." flash=flash.clone()/>
                {filter_and_headers(flash, hook.events.join("\n"), "Empty: stay as they are. Otherwise they take the place of all.")}
                {remove}
                <div><button class="btn first">"Save"</button></div>
            </form>
        </details>
        <details class="card" open=flash.is_about(&["overlap_hours"])>
            <summary class="in"><b>"Rotate secret"</b></summary>
            <form method="post" action=RotateWebhookSecret::url() class="in stack narrow">
                {ids.fields()}
                <p class="muted">{rotating}"Receivers accept either signature while both sign."</p>
                <Field name="overlap_hours" label="Hours that the old secret still signs" kind="number" value="24" hint="0 to 168." flash=flash.clone()/>
                <div><button class="btn first">"Make a new secret"</button></div>
            </form>
        </details>
        <details class="card" open=flash.is_about(&["from_seq", "to_seq"])>
            <summary class="in"><b>"Replay a range"</b></summary>
            <form method="post" action=ReplayWebhook::url() class="in stack narrow">
                {ids.fields()}
                <Field name="from_seq" label="From place in the log" kind="number" flash=flash.clone()/>
                <Field name="to_seq" label="To" kind="number" required=false hint="Empty: the log’s end. Receivers drop doubles by webhook-id." flash=flash.clone()/>
                <div><button class="btn first">"Send once more"</button></div>
            </form>
        </details>
        <details class="card">
            <summary class="in"><b>"Delete"</b></summary>
            <form method="post" action=DeleteWebhook::url() class="in stack">
                {ids.fields()}
                <p>"Its delivery log goes with it. What happened stays in the audit log."</p>
                <div><button class="btn bad">"Delete this webhook"</button></div>
            </form>
        </details>
    }
}
