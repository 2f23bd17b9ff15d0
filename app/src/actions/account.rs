//! Signing in and out, first accounts and workspaces, the colours.

use agentframer::domain::field::FieldError;
use agentframer::engine::access::own_mail::MailChoices;
use agentframer::engine::access::people::NewPerson;
use agentframer::engine::access::workspaces::NewWorkspace;
use agentframer::engine::error::{Error, Result};
use http::header;
use leptos::prelude::server;
use tower_sessions::Session;

use super::{Answer, Next, answer, form_before, here, own_path};
use crate::ask::SESSION_USER;
use crate::flash::Flash;
use crate::reader::{self, ZONE};

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
pub async fn sign_in(email: String, password: String, next: Option<String>, kept: Option<String>) -> Answer {
    let ask = here()?;
    let kept = kept.unwrap_or_default();
    let done = async {
        let user = ask.engine.sign_in(&email, &password, ask.origin()).await?;
        begin_session(&user.id).await?;
        Ok(Next { to: own_path(next), flash: Flash::unpack(&kept) })
    };
    answer(&ask, done.await, &[("email", &email), ("kept", &kept)])
}

/// Ends the session here and in the store.
#[server(endpoint = "sign_out")]
pub async fn sign_out() -> Answer {
    let ask = here()?;
    let session: Session = leptos_axum::extract().await?;
    let ended =
        session.flush().await.map_err(|_| Error::Unavailable("You are still signed in. Try again.".into()));
    answer(&ask, ended.map(|()| Next::page("/login")), &[])
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

/// Light, dark, or as the system says; kept in a cookie, so that pages come in the right colours at once.
#[server(endpoint = "set_theme")]
pub async fn set_theme(theme: String) -> Answer {
    let ask = here()?;
    let age = if matches!(theme.as_str(), "light" | "dark") { 31_536_000 } else { 0 };
    let theme = if age == 0 { "system" } else { theme.as_str() };
    ask.header(header::SET_COOKIE, format!("theme={theme}; Path=/; Max-Age={age}; SameSite=Lax; HttpOnly"));
    answer(&ask, Ok(Next::page(form_before(&ask))), &[])
}

/// The zone in which the reader sees times: kept with the person, and in a cookie for whoever is not signed in.
#[server(endpoint = "set_zone")]
pub async fn set_zone(zone: String) -> Answer {
    let ask = here()?;
    let done = async {
        if !reader::zones().any(|known| known == zone) {
            return Err(FieldError::new("zone", "is not a time zone such as Europe/Berlin").into());
        }
        if let Ok(user) = ask.user() {
            ask.engine.set_zone(user, &zone).await?;
        }
        ask.header(
            header::SET_COOKIE,
            format!("{ZONE}={zone}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly"),
        );
        Ok(Next::saying(
            "/account",
            Flash::done(format!("Times are shown in {zone} now; days of budgets stay UTC’s.")),
        ))
    };
    answer(&ask, done.await, &[("zone", &zone)])
}

/// Changes one's own name.
#[server(endpoint = "set_name")]
pub async fn set_name(name: String) -> Answer {
    let ask = here()?;
    let done = async {
        ask.engine.set_name(ask.user()?, &name).await?;
        Ok(Next::saying("/account", Flash::done("Saved.")))
    };
    answer(&ask, done.await, &[("name", &name)])
}

/// Asks for another address; it takes effect when the link sent there is followed.
#[server(endpoint = "change_email")]
pub async fn change_email(email: String, email_password: String) -> Answer {
    let ask = here()?;
    let done = async {
        ask.engine.ask_for_email(ask.user()?, &email, &email_password).await?;
        let text =
            format!("A link went to {email}. Your address changes when you follow it, within 24 hours.");
        Ok(Next::saying("/account", Flash::done(text)))
    };
    answer(&ask, done.await, &[("email", &email)])
}

/// Follows the link to another address.
#[server(endpoint = "confirm_email")]
pub async fn confirm_email(token: String) -> Answer {
    let ask = here()?;
    let done = async {
        let email = ask.engine.take_email(ask.user()?, &token).await?;
        Ok(Next::saying("/account", Flash::done(format!("You sign in as {email} from now on."))))
    };
    answer(&ask, done.await, &[])
}

/// Changes which mails come; a box that is not ticked is not sent.
#[server(endpoint = "set_mail_choices")]
pub async fn set_mail_choices(alerts: Option<String>, digest: Option<String>) -> Answer {
    let ask = here()?;
    let done = async {
        let choices = MailChoices { alerts: alerts.is_some(), digest: digest.is_some() };
        ask.engine.set_mail_choices(ask.user()?, choices).await?;
        Ok(Next::saying("/account", Flash::done("Saved.")))
    };
    answer(&ask, done.await, &[])
}

/// Changes one's own password; every other session ends.
#[server(endpoint = "change_password")]
pub async fn change_password(current_password: String, new_password: String) -> Answer {
    let ask = here()?;
    let done = async {
        let user = ask.user()?;
        ask.engine.change_password(user, &current_password, &new_password).await?;
        begin_session(user).await?;
        Ok(Next::saying("/account", Flash::done("Changed. Every other session of yours has ended.")))
    };
    answer(&ask, done.await, &[])
}

/// Ends one of one's own sessions.
#[server(endpoint = "end_session")]
pub async fn end_session(session: String) -> Answer {
    let ask = here()?;
    let done = async {
        ask.engine.end_session(ask.user()?, &session).await?;
        Ok(Next::saying("/account", Flash::done("That session has ended.")))
    };
    answer(&ask, done.await, &[])
}

/// Deletes one's own account.
#[server(endpoint = "delete_account")]
pub async fn delete_account(password: String) -> Answer {
    let ask = here()?;
    let done = async {
        ask.engine.delete_account(ask.user()?, &password, ask.origin()).await?;
        Ok(Next::saying("/login", Flash::done("Your account is deleted.")))
    };
    answer(&ask, done.await, &[])
}
