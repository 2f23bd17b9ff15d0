//! Who belongs to a workspace.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::domain::ids::{InvitationId, UserId};
use agentframer::engine::access::members::{Invited, people_list};
use agentframer::engine::error::{Error, Result};
use leptos::prelude::server;

use super::{Answer, Next, answer, here};
use crate::flash::Flash;
use crate::words;

fn members_page(workspace: &str) -> String {
    format!("/w/{workspace}/members")
}

/// Invites a person by mail.
#[server(endpoint = "invite")]
pub async fn invite(workspace: String, email: String, role: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeMembers).await?;
        let invitation = ask.engine.invite(&scope, &email, &role).await?;
        let text = format!("{} is invited as {}.", invitation.email, invitation.role.title());
        Ok(Next::saying(members_page(&workspace), Flash::done(text)))
    };
    answer(&ask, done.await, &[("email", &email), ("role", &role)])
}

/// Shows what a list would do, or, with `send`, invites everybody in it.
#[server(endpoint = "invite_list")]
pub async fn invite_list(workspace: String, people: String, send: Option<String>) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeMembers).await?;
        let flash = if send.is_some() {
            invited(ask.engine.invite_all(&scope, &people).await?)
        } else {
            people_list(&people)?;
            let seen = Flash::default().keeping("people", &people);
            if !seen.fits() {
                let message = "is too long to be looked at first: send it in parts of about 50 people";
                return Err(FieldError::new("people", message).into());
            }
            seen
        };
        Ok(Next::saying(members_page(&workspace), flash))
    };
    answer(&ask, done.await, &[("people", &people)])
}

/// How far a list came; who was not invited stands in the form again.
fn invited(done: Invited) -> Flash {
    let way = if done.people.len() == 1 { "is on its way" } else { "are on their way" };
    let count = format!("{} {way}", words::count(done.people.len(), "invitation"));
    let Some(rest) = done.rest else { return Flash::done(format!("{count}.")) };
    let last = done.people.last().map(String::as_str).unwrap_or_default();
    let problem =
        format!("{count}, the last to {last}. {} Who was not invited stands in the list below.", rest.why);
    Flash { problem: Some(problem), ..Flash::default() }.keeping("people", &rest.list)
}

/// Gives a member another role.
#[server(endpoint = "change_role")]
pub async fn change_role(workspace: String, user: String, role: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeMembers).await?;
        let member = ask.engine.change_role(&scope, &person(&user)?, &role).await?;
        let text =
            format!("{} is {} now. It holds from the next request on.", member.name, member.role.title());
        Ok(Next::saying(members_page(&workspace), Flash::done(text)))
    };
    answer(&ask, done.await, &[])
}

/// Takes a person out of the workspace.
#[server(endpoint = "remove_member")]
pub async fn remove_member(workspace: String, user: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeMembers).await?;
        ask.engine.remove_member(&scope, &person(&user)?).await?;
        let text = "Removed. The person has no access any more, and neither have the person’s API keys.";
        Ok(Next::saying(members_page(&workspace), Flash::done(text)))
    };
    answer(&ask, done.await, &[])
}

/// Sends an open invitation once more.
#[server(endpoint = "resend_invitation")]
pub async fn resend_invitation(workspace: String, invitation: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeMembers).await?;
        let sent = ask.engine.resend_invitation(&scope, &open(&invitation)?).await?;
        let text = format!("{} has a new link; the old one does not work any more.", sent.email);
        Ok(Next::saying(members_page(&workspace), Flash::done(text)))
    };
    answer(&ask, done.await, &[])
}

/// Takes an open invitation back.
#[server(endpoint = "withdraw_invitation")]
pub async fn withdraw_invitation(workspace: String, invitation: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeMembers).await?;
        ask.engine.withdraw_invitation(&scope, &open(&invitation)?).await?;
        Ok(Next::saying(members_page(&workspace), Flash::done("Withdrawn. The link does not work any more.")))
    };
    answer(&ask, done.await, &[])
}

fn person(id: &str) -> Result<UserId> {
    id.parse().map_err(|_| Error::NotFound)
}

fn open(id: &str) -> Result<InvitationId> {
    id.parse().map_err(|_| Error::NotFound)
}

#[cfg(test)]
mod tests {
    use agentframer::engine::access::members::Uninvited;

    use super::*;

    #[test]
    fn a_list_that_was_broken_off_says_how_far_it_came() {
        let people = vec!["a@example.com".to_owned(), "b@example.com".to_owned()];
        let why = Error::Unavailable("The mail to c@example.com did not go out.".into());
        let rest = Some(Uninvited { why, list: "c@example.com,viewer\n".into() });
        let flash = invited(Invited { people: people.clone(), rest });
        assert_eq!(
            flash.headline().unwrap(),
            "2 invitations are on their way, the last to b@example.com. The mail to c@example.com did not go out. \
             Who was not invited stands in the list below."
        );
        assert_eq!(flash.value("people"), "c@example.com,viewer\n");
        let all = invited(Invited { people, rest: None });
        assert_eq!(all.done.as_deref(), Some("2 invitations are on their way."));
    }
}
