//! Agents, their policies and tokens.
#![expect(clippy::too_many_arguments, reason = "a form's fields are its function's arguments")]

use std::collections::BTreeMap;

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::ids::AgentId;
use agentframer::domain::money::Usd;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::error::{Error, Result};
use leptos::prelude::server;
use serde_json::{Map, Value, json};

use super::{Answer, Next, answer, here, read_json};
use crate::ask::Ask;
use crate::flash::Flash;
use crate::pages::agent::trial_text;

/// Makes an agent and shows its token once.
#[server(endpoint = "create_agent")]
pub async fn create_agent(workspace: String, name: String, policy: Option<String>) -> Answer {
    let ask = here()?;
    let typed = policy.clone().unwrap_or_default();
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeAgents).await?;
        let policy =
            policy.filter(|text| !text.trim().is_empty()).map(|text| read_json(&text)).transpose()?;
        let made = ask.engine.create_agent(&scope, &name, policy).await?;
        let text = format!("{} is ready. Copy its token now: it is not shown again.", made.agent.name);
        Ok(Next::saying(agent_page(&workspace, &made.agent.id), Flash::secret(text, made.token)))
    };
    answer(&ask, done.await, &[("name", &name), ("policy", &typed)])
}

/// Changes an agent's policy, given as the brief's JSON, or tries it on what the agent did.
#[server(endpoint = "update_policy")]
pub async fn update_policy(workspace: String, agent: String, policy: String, step: Option<String>) -> Answer {
    let ask = here()?;
    let done = async { save_or_try(&ask, &workspace, &agent, read_json(&policy)?, step).await };
    answer(&ask, done.await.map_err(of_the_json), &[("policy", &policy)])
}

/// The JSON is one input, in which the error names a place.
fn of_the_json(error: Error) -> Error {
    match error {
        Error::Field(FieldError { field, message }) if field != "policy" => {
            FieldError::new("policy", format!("has a fault: {field} {message}")).into()
        }
        other => other,
    }
}

/// As [`update_policy`], from controls: `tools[NAME]` is permit, deny or none, and `models[NAME]` is there where it is
/// chosen.
#[server(endpoint = "set_policy")]
pub async fn set_policy(
    workspace: String,
    agent: String,
    #[server(default)] tools: BTreeMap<String, String>,
    which_models: String,
    #[server(default)] models: BTreeMap<String, String>,
    ip_allowlist: String,
    day_usd: String,
    month_usd: String,
    call_usd: String,
    token_rotation_days: String,
    step: Option<String>,
) -> Answer {
    let ask = here()?;
    let chosen = |choice: &str| {
        tools.iter().filter(|(_, chosen)| *chosen == choice).map(|(tool, _)| tool.clone()).collect::<Vec<_>>()
    };
    let caps = [("day_usd", &day_usd), ("month_usd", &month_usd), ("call_usd", &call_usd)];
    let caps = caps.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let caps: Map<String, Value> = caps.map(|(name, text)| (name.to_owned(), money(text))).collect();
    let networks: Vec<&str> =
        ip_allowlist.split([',', ' ', '\n', '\r']).filter(|word| !word.is_empty()).collect();
    let ticked: Vec<&str> = models.keys().map(String::as_str).collect();
    let policy = json!({
        "permissions": chosen("permit"), "denied": chosen("deny"),
        "models": (which_models == "some").then_some(&ticked),
        "ip_allowlist": networks,
        "token_rotation_days": number(&token_rotation_days),
        "caps": (!caps.is_empty()).then_some(caps),
    });
    let typed = serde_json::to_string_pretty(&policy).unwrap_or_default();
    let done = async {
        clear_choice(&which_models, &ticked)?;
        save_or_try(&ask, &workspace, &agent, policy, step).await
    };
    answer(
        &ask,
        done.await,
        &[("policy", &typed), ("which_models", &which_models), ("models", &ticked.join(" "))],
    )
}

/// Ticks count with “Only these” alone, which needs one. What was meant is not guessed: it decides what is paid for.
fn clear_choice(which: &str, ticked: &[&str]) -> Result<()> {
    let fault = match (which == "some", ticked.is_empty()) {
        (false, false) => {
            "are ticked, but “Every model of the workspace” is chosen: choose “Only these”, or untick them"
        }
        (true, true) => {
            "are missing: “Only these” is chosen and none is ticked; tick one, or choose “Every model of the workspace”"
        }
        _ => return Ok(()),
    };
    Err(FieldError::new("models", fault).into())
}

async fn save_or_try(
    ask: &Ask,
    workspace: &str,
    agent: &str,
    policy: Value,
    step: Option<String>,
) -> Result<Next> {
    let (scope, id) = agent_scope(ask, workspace, agent).await?;
    let page = agent_page(workspace, &id);
    if step.as_deref() == Some("try") {
        let name = ask.engine.agent(&scope, &id).await?.name;
        let trial = ask.engine.try_policy_json(&scope, &name, &policy).await?;
        let text = format!("Not saved yet. {}", trial_text(&trial));
        let typed = serde_json::to_string_pretty(&policy).unwrap_or_default();
        return Ok(Next::saying(page, Flash::done(text).keeping("policy", &typed)));
    }
    ask.engine.update_policy(&scope, &id, policy).await?;
    Ok(Next::saying(page, Flash::done("The policy is saved. It holds from the next call on.")))
}

/// An amount as JSON; a text that is none stays one, and the policy's reader names it.
fn money(text: &str) -> Value {
    let amount = text.trim().parse::<Usd>().ok().and_then(|amount| serde_json::to_value(amount).ok());
    amount.unwrap_or_else(|| text.into())
}

fn number(text: &str) -> Value {
    text.trim().parse::<u64>().map_or_else(|_| text.into(), Value::from)
}

/// Makes a new token and shows it once; the older ones work until the overlap ends.
#[server(endpoint = "rotate_agent")]
pub async fn rotate_agent(workspace: String, agent: String, overlap_hours: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = agent_scope(&ask, &workspace, &agent).await?;
        let hours = overlap_hours.trim().parse();
        let hours =
            hours.map_err(|_| FieldError::new("overlap_hours", "is not a number of hours from 0 to 168"))?;
        let rotated = ask.engine.rotate_agent(&scope, &id, Some(hours)).await?;
        let text = "This is the new token. Copy it now: it is not shown again.";
        Ok(Next::saying(agent_page(&workspace, &id), Flash::secret(text, rotated.token)))
    };
    answer(&ask, done.await, &[("overlap_hours", &overlap_hours)])
}

/// Stops an agent's calls until somebody resumes it.
#[server(endpoint = "pause_agent")]
pub async fn pause_agent(workspace: String, agent: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = agent_scope(&ask, &workspace, &agent).await?;
        ask.engine.pause_agent(&scope, &id).await?;
        Ok(Next::saying(
            agent_page(&workspace, &id),
            Flash::done("Paused. Its calls are refused until you resume it."),
        ))
    };
    answer(&ask, done.await, &[])
}

/// Lets a paused agent call again.
#[server(endpoint = "resume_agent")]
pub async fn resume_agent(workspace: String, agent: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = agent_scope(&ask, &workspace, &agent).await?;
        ask.engine.resume_agent(&scope, &id).await?;
        Ok(Next::saying(agent_page(&workspace, &id), Flash::done("Resumed. Its calls work again.")))
    };
    answer(&ask, done.await, &[])
}

/// Ends an agent and all its tokens for good.
#[server(endpoint = "revoke_agent")]
pub async fn revoke_agent(workspace: String, agent: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = agent_scope(&ask, &workspace, &agent).await?;
        ask.engine.revoke_agent(&scope, &id).await?;
        Ok(Next::saying(
            agent_page(&workspace, &id),
            Flash::done("Revoked. Its tokens do not work any more."),
        ))
    };
    answer(&ask, done.await, &[])
}

async fn agent_scope(ask: &Ask, workspace: &str, agent: &str) -> Result<(Scope, AgentId)> {
    let scope = ask.scope(workspace, Permission::ChangeAgents).await?;
    Ok((scope, agent.parse().map_err(|_| Error::NotFound)?))
}

fn agent_page(workspace: &str, agent: &AgentId) -> String {
    format!("/w/{workspace}/agents/{agent}")
}
