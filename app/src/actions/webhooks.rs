//! Webhooks and alerts.
#![expect(clippy::too_many_arguments, reason = "a form's fields are its function's arguments")]

use std::collections::BTreeMap;

use agentframer::domain::access::Permission;
use agentframer::domain::alerts::{AlertSettings, Runaway};
use agentframer::domain::field::FieldError;
use agentframer::domain::ids::WebhookId;
use agentframer::domain::time::{DAY, Time};
use agentframer::engine::access::scope::Scope;
use agentframer::engine::alerts::AlertChange;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::webhooks::{EndpointChange, NewEndpoint, Replay};
use leptos::prelude::server;

use super::{Answer, Next, answer, answer_hiding, here};
use crate::ask::Ask;
use crate::flash::Flash;

async fn hook_scope(ask: &Ask, workspace: &str, webhook: &str) -> Result<(Scope, WebhookId)> {
    let scope = ask.scope(workspace, Permission::ChangeWebhooks).await?;
    Ok((scope, webhook.parse().map_err(|_| Error::NotFound)?))
}

fn hook_page(workspace: &str, webhook: &WebhookId) -> String {
    format!("/w/{workspace}/webhooks/{webhook}")
}

/// `Name: value`, a line each.
fn read_headers(text: &str) -> Result<BTreeMap<String, String>> {
    let pair = |line: &str| {
        let wrong = || {
            FieldError::new("headers", format!("has the line “{line}”, which is not of the form Name: value"))
        };
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(pair).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split([',', ' ', '\n', '\r']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Makes an endpoint and shows its secret once.
#[server(endpoint = "create_webhook")]
pub async fn create_webhook(
    workspace: String,
    url: String,
    format: String,
    token: String,
    events: String,
    headers: String,
) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeWebhooks).await?;
        let new = NewEndpoint {
            url: url.clone(),
            format: format.clone(),
            token: Some(token.clone()).filter(|token| !token.trim().is_empty()),
            events: Some(words(&events)),
            headers: Some(read_headers(&headers)?),
        };
        let made = ask.engine.create_webhook(&scope, new).await?;
        let text = "The webhook is ready. Copy its secret now: it is not shown again. Receivers check our signature with it.";
        Ok(Next::saying(hook_page(&workspace, &made.endpoint.id), Flash::secret(text, made.secret)))
    };
    let kept = [("url", &*url), ("format", &format), ("events", &events), ("headers", &headers)];
    answer_hiding(&ask, done.await, &kept, &[("token", &token)])
}

/// Changes an endpoint's address, filter, token or headers; an empty token stays as it is, and so do headers
/// that are neither typed nor removed.
#[server(endpoint = "change_webhook")]
pub async fn change_webhook(
    workspace: String,
    webhook: String,
    url: String,
    token: String,
    events: String,
    headers: String,
    remove_headers: Option<String>,
) -> Answer {
    let ask = here()?;
    let removes = remove_headers.as_deref().unwrap_or_default();
    let done = async {
        let (scope, id) = hook_scope(&ask, &workspace, &webhook).await?;
        let change = EndpointChange {
            url: Some(url.clone()),
            token: Some(token.clone()).filter(|token| !token.trim().is_empty()),
            events: Some(words(&events)),
            headers: match read_headers(&headers)? {
                typed if typed.is_empty() && removes.is_empty() => None,
                typed => Some(typed),
            },
            state: None,
        };
        ask.engine.change_webhook(&scope, &id, change).await?;
        Ok(Next::saying(hook_page(&workspace, &id), Flash::done("Saved. What waits is delivered now.")))
    };
    let kept = [("url", &*url), ("events", &events), ("headers", &headers), ("remove_headers", removes)];
    answer_hiding(&ask, done.await, &kept, &[("token", &token)])
}

/// Pauses or resumes an endpoint.
#[server(endpoint = "set_webhook_state")]
pub async fn set_webhook_state(workspace: String, webhook: String, state: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = hook_scope(&ask, &workspace, &webhook).await?;
        let change = EndpointChange { state: Some(state.clone()), ..EndpointChange::default() };
        ask.engine.change_webhook(&scope, &id, change).await?;
        let text = match state.as_str() {
            "active" => "Resumed. What waits is delivered now, in order.",
            _ => "Paused. Events wait until you resume it; none is lost.",
        };
        Ok(Next::saying(hook_page(&workspace, &id), Flash::done(text)))
    };
    answer(&ask, done.await, &[])
}

/// Deletes an endpoint.
#[server(endpoint = "delete_webhook")]
pub async fn delete_webhook(workspace: String, webhook: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = hook_scope(&ask, &workspace, &webhook).await?;
        ask.engine.delete_webhook(&scope, &id).await?;
        Ok(Next::saying(format!("/w/{workspace}/webhooks"), Flash::done("Deleted, with its delivery log.")))
    };
    answer(&ask, done.await, &[])
}

/// Sends a test event and says what came back.
#[server(endpoint = "test_webhook")]
pub async fn test_webhook(workspace: String, webhook: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = hook_scope(&ask, &workspace, &webhook).await?;
        let result = ask.engine.test_webhook(&scope, &id).await?;
        let status = result.status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
        let flash = match result.fault {
            None => Flash::done(format!(
                "The receiver took the test event: {status} after {} ms.",
                result.duration_ms
            )),
            Some(why) => {
                Flash { problem: Some(format!("The test event did not arrive: {why}.")), ..Flash::default() }
            }
        };
        Ok(Next::saying(hook_page(&workspace, &id), flash))
    };
    answer(&ask, done.await, &[])
}

/// Makes a new secret and shows it once; both sign until the overlap ends.
#[server(endpoint = "rotate_webhook_secret")]
pub async fn rotate_webhook_secret(workspace: String, webhook: String, overlap_hours: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = hook_scope(&ask, &workspace, &webhook).await?;
        let hours = overlap_hours.trim().parse();
        let hours =
            hours.map_err(|_| FieldError::new("overlap_hours", "is not a number of hours from 0 to 168"))?;
        let rotated = ask.engine.rotate_webhook_secret(&scope, &id, Some(hours)).await?;
        let text = format!(
            "This is the new secret; the old one signs too until {}. It is not shown again.",
            crate::words::moment(rotated.previous_ends_at)
        );
        Ok(Next::saying(hook_page(&workspace, &id), Flash::secret(text, rotated.secret)))
    };
    answer(&ask, done.await, &[("overlap_hours", &overlap_hours)])
}

/// Sends once more: what was put aside in the last days, or a range of the log.
#[server(endpoint = "replay_webhook")]
pub async fn replay_webhook(
    workspace: String,
    webhook: String,
    failed_days: Option<String>,
    from_seq: Option<String>,
    to_seq: Option<String>,
) -> Answer {
    let ask = here()?;
    let (from, to) = (from_seq.unwrap_or_default(), to_seq.unwrap_or_default());
    let done = async {
        let (scope, id) = hook_scope(&ask, &workspace, &webhook).await?;
        let replay = match failed_days.as_deref().and_then(|days| days.parse::<i64>().ok()) {
            Some(days) => {
                let since = ask.engine.clock().now().plus(-days.clamp(1, 3_660) * DAY);
                Replay { failed_since: Some(since), ..Replay::default() }
            }
            None => Replay {
                from_seq: place("from_seq", &from)?,
                to_seq: place("to_seq", &to)?,
                failed_since: None::<Time>,
            },
        };
        let ranges = ask.engine.replay_webhook(&scope, &id, replay).await?;
        let text = if ranges == 0 {
            "Nothing was put aside in that time."
        } else {
            "They are sent once more, under the same ids."
        };
        Ok(Next::saying(hook_page(&workspace, &id), Flash::done(text)))
    };
    answer(&ask, done.await, &[("from_seq", &from), ("to_seq", &to)])
}

fn place(field: &str, text: &str) -> Result<Option<i64>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    Ok(Some(text.trim().parse().map_err(|_| FieldError::new(field, "is not a place in the log"))?))
}

/// Changes who is told of what, and when an agent is taken for a runaway.
#[server(endpoint = "set_alerts")]
pub async fn set_alerts(
    workspace: String,
    further_thresholds: String,
    recipients: String,
    slack_url: String,
    remove_slack: Option<String>,
    repeats: String,
    minutes: String,
    times_typical: String,
) -> Answer {
    let ask = here()?;
    let removes = remove_slack.as_deref().unwrap_or_default();
    let kept = [
        ("further_thresholds", &*further_thresholds),
        ("recipients", &*recipients),
        ("remove_slack", removes),
        ("repeats", &*repeats),
        ("minutes", &*minutes),
        ("times_typical", &*times_typical),
    ];
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeWebhooks).await?;
        let typed = words(&further_thresholds);
        let thresholds = typed.iter().map(|word| number("further_thresholds", word));
        let settings = AlertSettings {
            further_thresholds: thresholds.collect::<Result<_>>()?,
            recipients: words(&recipients),
            runaway: Runaway {
                repeats: number("repeats", &repeats)?,
                minutes: number("minutes", &minutes)?,
                times_typical: number("times_typical", &times_typical)?,
            },
        };
        let slack_url = match removes {
            "" => Some(slack_url.clone()).filter(|url| !url.trim().is_empty()),
            _ => Some(String::new()),
        };
        ask.engine.set_alerts(&scope, AlertChange { settings, slack_url }).await?;
        Ok(Next::saying(format!("/w/{workspace}/caps"), Flash::done("Saved.")))
    };
    answer_hiding(&ask, done.await, &kept, &[("slack_url", &slack_url)])
}

fn number(field: &str, text: &str) -> Result<u32> {
    let text = text.trim().trim_end_matches('%');
    Ok(text
        .parse()
        .map_err(|_| FieldError::new(field, format!("has “{text}”, which is not a whole number")))?)
}

/// Posts a test message to Slack.
#[server(endpoint = "test_slack")]
pub async fn test_slack(workspace: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeWebhooks).await?;
        ask.engine.test_slack(&scope).await?;
        Ok(Next::saying(format!("/w/{workspace}/caps"), Flash::done("Slack took the test message.")))
    };
    answer(&ask, done.await, &[])
}
