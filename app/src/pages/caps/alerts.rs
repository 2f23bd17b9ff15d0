//! Who is told of what, when an agent is taken for a runaway, and what was told.

use agentframer::domain::alerts::Runaway;
use agentframer::engine::alerts::{AlertRow, AlertsView};
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::{SetAlerts, TestSlack};
use crate::components::fact::fact;
use crate::components::field::Field;
use crate::components::when::When;
use crate::flash::Flash;
use crate::words;

/// The settings and the history.
pub fn section(workspace: String, alerts: AlertsView, may: bool, flash: Flash) -> impl IntoView {
    let test = (may && alerts.slack).then(|| {
        view! {
            <form method="post" action=TestSlack::url() class="grow">
                <input type="hidden" name="workspace" value=workspace.clone()/><button class="btn">"Test Slack"</button>
            </form>
        }
    });
    let history = history(alerts.history.clone()).into_any();
    view! {
        <section class="card">
            <header><h2>"Alerts"</h2>{test}</header>
            {if may { form(workspace, alerts, flash).into_any() } else { facts(alerts).into_any() }}
        </section>
        {history}
    }
}

/// What is told when.
const TOLD: &str = "Told once for each threshold and period: the soft alert, a forecast beyond the balance, the floor, an empty balance, a reached cap, tokens that are due, failing webhooks, paused agents. They are events for webhooks too.";

/// The settings for who may not change them.
fn facts(alerts: AlertsView) -> impl IntoView {
    let settings = alerts.settings;
    let thresholds: Vec<String> = settings.further_thresholds.iter().map(|pct| format!("{pct} %")).collect();
    let people = match settings.recipients.as_slice() {
        [] => "the Admins".to_owned(),
        named => named.join(", "),
    };
    let Runaway { repeats, minutes, times_typical } = settings.runaway;
    let repeats = match repeats {
        0 => "not watched".to_owned(),
        _ => format!("{repeats} of one tool and prompt within {}", words::count(minutes, "minute")),
    };
    let spend = match times_typical {
        0 => "not watched".to_owned(),
        _ => format!("{times_typical} times the agent’s typical hour"),
    };
    view! {
        <div class="in stack">
            <p class="muted">{TOLD}</p>
            <dl class="facts">
                {fact("Further thresholds", words::or_dash(Some(thresholds.join(", "))))}
                {fact("Recipients", people)}
                {fact("Slack", if alerts.slack { "a channel is set" } else { "no channel" })}
                {fact("Paused for repeats", repeats)}
                {fact("Paused for spend", spend)}
            </dl>
        </div>
    }
}

fn form(workspace: String, alerts: AlertsView, flash: Flash) -> impl IntoView {
    let settings = alerts.settings;
    let runaway = (
        settings.runaway.repeats.to_string(),
        settings.runaway.minutes.to_string(),
        settings.runaway.times_typical.to_string(),
    );
    let thresholds: Vec<String> = settings.further_thresholds.iter().map(u32::to_string).collect();
    let slack_hint = if alerts.slack {
        "A channel is set. Paste another address to replace it."
    } else {
        "The address of an incoming webhook. Kept encrypted, never shown again."
    };
    let removes = flash.value("remove_slack") == "true";
    view! {
        <form method="post" action=SetAlerts::url() class="in stack narrow">
            <input type="hidden" name="workspace" value=workspace/>
            <p class="muted">{TOLD}</p>
            <Field name="further_thresholds" label="Further thresholds, per cent of a typical month" value=thresholds.join(", ") required=false hint="Besides the soft alert above, such as 90, 100." flash=flash.clone()/>
            <Field name="recipients" label="Recipients" value=settings.recipients.join(", ") required=false hint="E-mail addresses. Empty: the Admins." flash=flash.clone()/>
            <Field name="slack_url" label="Slack" kind="password" autocomplete="off" required=false hint=slack_hint flash=flash.clone()/>
            {alerts.slack.then(|| view! { <label class="choice"><input type="checkbox" name="remove_slack" value="true" checked=removes/><span>"Do not post to Slack any more"</span></label> })}
            <h3>"The runaway agent"</h3>
            <p class="muted">"An agent that goes on with what was refused or has failed, or that spends far more than usual, is paused. One click on its page resumes it."</p>
            <Field name="repeats" label="Repeats of one tool and prompt" kind="number" value=runaway.0 hint="0 turns it off." flash=flash.clone()/>
            <Field name="minutes" label="Within minutes" kind="number" value=runaway.1 flash=flash.clone()/>
            <Field name="times_typical" label="An hour’s spend, as a multiple of the agent’s typical hour" kind="number" value=runaway.2 hint="0 turns it off." flash=flash/>
            <div><button class="btn first">"Save alerts"</button></div>
        </form>
    }
}

fn history(alerts: Vec<AlertRow>) -> impl IntoView {
    if alerts.is_empty() {
        return ().into_any();
    }
    let line = |alert: AlertRow| {
        view! {
            <tr>
                <td><When at=alert.fired_at/></td>
                <td>{alert.message}</td>
                <td>{words::or_dash(alert.channels)}</td>
            </tr>
        }
    };
    view! {
        <section class="card scroll" tabindex="0">
            <header><h2>"What was told"</h2></header>
            <table>
                <thead><tr><th>"When"</th><th>"What"</th><th>"How"</th></tr></thead>
                <tbody>{alerts.into_iter().map(line).collect_view()}</tbody>
            </table>
        </section>
    }
    .into_any()
}
