//! Models that a workspace allows, generations, and the starting checklist.

use agentframer::domain::access::Permission;
use agentframer::engine::error::Error;
use leptos::prelude::server;

use super::{Answer, Next, answer, here};
use crate::flash::Flash;
use crate::pages::models::page_of;

/// Allows a model (`yes`) or forbids it to every agent of the workspace.
#[server(endpoint = "set_model_allowed")]
pub async fn set_model_allowed(workspace: String, model: String, allowed: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        let is_allowed = allowed == "yes";
        ask.engine.set_model_allowed(&scope, &model, is_allowed).await?;
        let text = match is_allowed {
            true => "Allowed. Agents whose policy permits it can use it from the next call on.",
            false => "Forbidden. The next call that names it is refused, and costs nothing.",
        };
        Ok(Next::saying(page_of(&format!("/w/{workspace}"), &model), Flash::done(text)))
    };
    answer(&ask, done.await, &[])
}

/// Deletes a generation's files and prompt before their retention ends.
#[server(endpoint = "delete_generation")]
pub async fn delete_generation(workspace: String, generation: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        let id = generation.parse().map_err(|_| Error::NotFound)?;
        ask.engine.delete_generation(&scope, &id).await?;
        let text = "Deleted: the files, their copies and the prompt. The log entry and what it cost stay.";
        Ok(Next::saying(format!("/w/{workspace}/generations"), Flash::done(text)))
    };
    answer(&ask, done.await, &[])
}

/// Takes the starting checklist off the overview.
#[server(endpoint = "dismiss_checklist")]
pub async fn dismiss_checklist(workspace: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        ask.engine.dismiss_checklist(&scope).await?;
        Ok(Next::page(format!("/w/{workspace}")))
    };
    answer(&ask, done.await, &[])
}

/// Says that the default retention is chosen.
#[server(endpoint = "keep_retention")]
pub async fn keep_retention(workspace: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        ask.engine.keep_retention(&scope).await?;
        Ok(Next::page(format!("/w/{workspace}")))
    };
    answer(&ask, done.await, &[])
}
