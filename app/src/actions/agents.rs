//! Agents, their policies and tokens.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::ids::AgentId;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::scope::Scope;
use leptos::prelude::server;

use super::{Answer, Next, answer, here, read_json};
use crate::ask::Ask;
use crate::flash::Flash;

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

/// Changes an agent's policy, given as the brief's JSON.
#[server(endpoint = "update_policy")]
pub async fn update_policy(workspace: String, agent: String, policy: String) -> Answer {
    let ask = here()?;
    let done = async {
        let (scope, id) = agent_scope(&ask, &workspace, &agent).await?;
        ask.engine.update_policy(&scope, &id, read_json(&policy)?).await?;
        let text = "The policy is saved. It holds from the next call on.";
        Ok(Next::saying(agent_page(&workspace, &id), Flash::done(text)))
    };
    answer(&ask, done.await, &[("policy", &policy)])
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
