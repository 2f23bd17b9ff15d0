//! Sessions of members, and the text before the SOC 2 report.

use agentframer::domain::access::Permission;
use leptos::prelude::server;

use super::{Answer, Next, answer, here};
use crate::flash::Flash;

/// Ends a member's session.
#[server(endpoint = "end_member_session")]
pub async fn end_member_session(workspace: String, session: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        let ended = ask.engine.end_member_session(&scope, &session).await?;
        let text = format!("{}’s session has ended. That browser has to sign in again.", ended.name);
        Ok(Next::saying(format!("/w/{workspace}/security"), Flash::done(text)))
    };
    answer(&ask, done.await, &[])
}

/// Accepts the confidentiality text that was shown.
#[server(endpoint = "accept_nda")]
pub async fn accept_nda(workspace: String, text_sha256: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        ask.engine.accept_nda(&scope, &text_sha256).await?;
        let text = "You accepted the confidentiality text. The report can be downloaded now.";
        Ok(Next::saying(format!("/w/{workspace}/security"), Flash::done(text)))
    };
    answer(&ask, done.await, &[])
}
