//! What the pages' forms send. Each function is a public endpoint: it names its permission first, then calls the one
//! engine function that REST and MCP call too. A fault goes back to the form; a lacking right answers as the pages do.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::ids::AgentId;
use agentframer::domain::money::Usd;
use agentframer::domain::settings::CapsChange;
use agentframer::engine::error::{Error, Result};
use agentframer::engine::people::NewPerson;
use agentframer::engine::scope::Scope;
use agentframer::engine::workspaces::NewWorkspace;
use http::{StatusCode, header};
use leptos::prelude::{ServerFnError, server};
use tower_sessions::Session;

use crate::ask::{Ask, SESSION_USER};
use crate::flash::Flash;

type Answer = std::result::Result<(), ServerFnError>;

/// Where a form leads when all is well, and what the next page says.
struct Next {
    to: String,
    flash: Option<Flash>,
}

impl Next {
    fn page(to: impl Into<String>) -> Self {
        Self { to: to.into(), flash: None }
    }

    fn saying(to: impl Into<String>, flash: Flash) -> Self {
        Self { to: to.into(), flash: Some(flash) }
    }
}

fn here() -> std::result::Result<Ask, ServerFnError> {
    Ask::here().ok_or_else(|| ServerFnError::new("This form works only on the server's own pages."))
}

/// Sends the browser on; back to the form with what was typed where something was wrong.
fn answer(ask: &Ask, done: Result<Next>, kept: &[(&str, &str)]) -> Answer {
    match done {
        Ok(next) => {
            if let Some(flash) = next.flash {
                ask.header(header::SET_COOKIE, flash.cookie());
            }
            ask.redirect(&next.to);
        }
        Err(Error::Unauthenticated) => ask.redirect("/login"),
        Err(Error::NotFound | Error::Forbidden(_)) => ask.response.set_status(StatusCode::NOT_FOUND),
        Err(error) => {
            ask.header(header::SET_COOKIE, Flash::problem(&error, kept).cookie());
            ask.redirect(&form_before(ask));
        }
    }
    Ok(())
}

/// The path of the page that the form was on; never another site's.
fn form_before(ask: &Ask) -> String {
    let referer = ask.parts.headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let url = referer.and_then(|referer| url::Url::parse(referer).ok());
    url.map_or_else(|| "/".into(), |url| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
}

/// Only a path on this server: `//elsewhere` and `https://…` lead home.
fn own_path(next: Option<String>) -> String {
    let own = |next: &String| next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    next.filter(own).unwrap_or_else(|| "/".into())
}

/// A new session id comes with each sign-in (ASVS 7.2.4).
async fn begin_session(user: &agentframer::domain::ids::UserId) -> Result<()> {
    let broken = |error: String| agentframer::engine::error::internal("begin a session", error);
    let session: Session = leptos_axum::extract().await.map_err(|error| broken(error.to_string()))?;
    session.cycle_id().await.map_err(|error| broken(error.to_string()))?;
    session.insert(SESSION_USER, user).await.map_err(|error| broken(error.to_string()))
}

/// The first account and workspace.
#[server(endpoint = "set_up")]
pub async fn set_up(
    token: String,
    name: String,
    email: String,
    password: String,
    workspace_name: String,
    region: String,
) -> Answer {
    let ask = here()?;
    let kept =
        [("name", &*name), ("email", &*email), ("workspace_name", &*workspace_name), ("region", &*region)];
    let done = async {
        let person = NewPerson { email: email.clone(), name: name.clone(), password };
        let workspace = NewWorkspace { name: workspace_name.clone(), region: region.clone() };
        let (user, workspace) = ask.engine.set_up(&token, person, workspace, ask.origin()).await?;
        begin_session(&user.id).await?;
        Ok(Next::page(format!("/w/{}", workspace.id)))
    };
    answer(&ask, done.await, &kept)
}

/// Begins a session.
#[server(endpoint = "sign_in")]
pub async fn sign_in(email: String, password: String, next: Option<String>) -> Answer {
    let ask = here()?;
    let done = async {
        let user = ask.engine.sign_in(&email, &password, ask.origin()).await?;
        begin_session(&user.id).await?;
        Ok(Next::page(own_path(next)))
    };
    answer(&ask, done.await, &[("email", &email)])
}

/// Ends the session here and in the store.
#[server(endpoint = "sign_out")]
pub async fn sign_out() -> Answer {
    let ask = here()?;
    let session: Session = leptos_axum::extract().await?;
    session.flush().await.map_err(|_| ServerFnError::new("You are still signed in. Try again."))?;
    answer(&ask, Ok(Next::page("/login")), &[])
}

/// Joins a workspace by an invitation, with a new account or the one that is signed in.
#[server(endpoint = "accept_invitation")]
pub async fn accept_invitation(token: String, name: Option<String>, password: Option<String>) -> Answer {
    let ask = here()?;
    let kept = name.clone().unwrap_or_default();
    let done = async {
        let person = password.map(|password| NewPerson {
            email: String::new(),
            name: name.unwrap_or_default(),
            password,
        });
        let signed_in = ask.info.user.as_ref();
        let (user, workspace) = ask.engine.accept_invitation(&token, signed_in, person, ask.origin()).await?;
        begin_session(&user.id).await?;
        Ok(Next::page(format!("/w/{workspace}")))
    };
    answer(&ask, done.await, &[("name", &kept)])
}

/// Makes a workspace; the region never changes afterwards.
#[server(endpoint = "create_workspace")]
pub async fn create_workspace(workspace_name: String, region: String) -> Answer {
    let ask = here()?;
    let done = async {
        let new = NewWorkspace { name: workspace_name.clone(), region: region.clone() };
        let workspace = ask.engine.create_workspace(ask.user()?, new, ask.origin()).await?;
        Ok(Next::page(format!("/w/{}", workspace.id)))
    };
    answer(&ask, done.await, &[("workspace_name", &workspace_name), ("region", &region)])
}

/// Adds money to the balance.
#[server(endpoint = "top_up")]
pub async fn top_up(workspace: String, amount_usd: String, reference: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeBilling).await?;
        let amount =
            amount("amount_usd", &amount_usd)?.ok_or_else(|| FieldError::new("amount_usd", "is missing"))?;
        let made = ask.engine.top_up(&scope, amount, &reference).await?;
        let text = format!("{} added. The balance is {} now.", amount.display(), made.balance_usd.display());
        Ok(Next::saying(format!("/w/{workspace}/billing"), Flash::done(text)))
    };
    answer(&ask, done.await, &[("amount_usd", &amount_usd), ("reference", &reference)])
}

/// Invites a person by mail.
#[server(endpoint = "invite")]
pub async fn invite(workspace: String, email: String, role: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeMembers).await?;
        let invitation = ask.engine.invite(&scope, &email, &role).await?;
        let text = format!("{} is invited as {}.", invitation.email, invitation.role.title());
        Ok(Next::saying(format!("/w/{workspace}/members"), Flash::done(text)))
    };
    answer(&ask, done.await, &[("email", &email), ("role", &role)])
}

/// Changes the workspace's caps; an empty amount takes a cap away.
#[server(endpoint = "set_caps")]
pub async fn set_caps(
    workspace: String,
    workspace_month_usd: String,
    call_usd: String,
    floor_usd: String,
    soft_alert_pct: String,
    preflight_usd: String,
    preflight_required: Option<String>,
) -> Answer {
    let ask = here()?;
    let required = if preflight_required.is_some() { "true" } else { "false" };
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeBilling).await?;
        let percent = soft_alert_pct.trim().parse();
        let percent =
            percent.map_err(|_| FieldError::new("soft_alert_pct", "is not a percentage from 1 to 100"))?;
        let change = CapsChange {
            workspace_month_usd: Some(amount("workspace_month_usd", &workspace_month_usd)?),
            call_usd: Some(amount("call_usd", &call_usd)?),
            floor_usd: Some(amount("floor_usd", &floor_usd)?),
            preflight_usd: Some(amount("preflight_usd", &preflight_usd)?),
            preflight_required: Some(Some(required == "true")),
            soft_alert_pct: Some(Some(percent)),
        };
        ask.engine.set_caps(&scope, &change).await?;
        let text = "Saved. The limits hold from the next call on.";
        Ok(Next::saying(format!("/w/{workspace}/caps"), Flash::done(text)))
    };
    let kept = [
        ("workspace_month_usd", &*workspace_month_usd),
        ("call_usd", &*call_usd),
        ("floor_usd", &*floor_usd),
        ("soft_alert_pct", &*soft_alert_pct),
        ("preflight_usd", &*preflight_usd),
        ("preflight_required", required),
    ];
    answer(&ask, done.await, &kept)
}

/// An amount as it is typed; `None` where the input is empty.
fn amount(field: &str, text: &str) -> Result<Option<Usd>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let amount = text.parse::<Usd>().map_err(|error| FieldError::new(field, error.to_string()))?;
    Ok(Some(amount))
}

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

/// Light, dark, or as the system says; kept in a cookie, so that pages come in the right colours at once.
#[server(endpoint = "set_theme")]
pub async fn set_theme(theme: String) -> Answer {
    let ask = here()?;
    let age = if matches!(theme.as_str(), "light" | "dark") { 31_536_000 } else { 0 };
    let theme = if age == 0 { "system" } else { theme.as_str() };
    ask.header(header::SET_COOKIE, format!("theme={theme}; Path=/; Max-Age={age}; SameSite=Lax; HttpOnly"));
    answer(&ask, Ok(Next::page(form_before(&ask))), &[])
}

async fn agent_scope(ask: &Ask, workspace: &str, agent: &str) -> Result<(Scope, AgentId)> {
    let scope = ask.scope(workspace, Permission::ChangeAgents).await?;
    Ok((scope, agent.parse().map_err(|_| Error::NotFound)?))
}

fn agent_page(workspace: &str, agent: &AgentId) -> String {
    format!("/w/{workspace}/agents/{agent}")
}

fn read_json(text: &str) -> Result<serde_json::Value> {
    let broken = |error: serde_json::Error| FieldError::new("policy", format!("is not JSON: {error}"));
    Ok(serde_json::from_str(text).map_err(broken)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_our_own_pages_only() {
        for foreign in ["//evil.example", "https://evil.example", "/\\evil.example", ""] {
            assert_eq!(own_path(Some(foreign.into())), "/", "{foreign}");
        }
        assert_eq!(own_path(Some("/w/x/audit?y=1".into())), "/w/x/audit?y=1");
    }
}
