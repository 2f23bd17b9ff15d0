//! Who belongs to a workspace.

use agentframer::domain::access::Permission;
use leptos::prelude::server;

use super::{Answer, Next, answer, here};
use crate::flash::Flash;

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
