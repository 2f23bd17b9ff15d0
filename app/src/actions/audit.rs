//! Searching and proving the log.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::engine::error::Error;
use agentframer::engine::log::saved_searches::NewSearch;
use leptos::prelude::server;

use super::{Answer, Next, answer, here};
use crate::flash::Flash;
use crate::pages::audit::link;

/// Searches for the calls of a prompt. The text goes no further: the page's address holds its hash.
#[server(endpoint = "find_by_prompt")]
pub async fn find_by_prompt(workspace: String, prompt: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ReadActivity).await?;
        if prompt.trim().is_empty() {
            return Err(FieldError::new("prompt", "is missing").into());
        }
        let hashes = ask.engine.hashes_of_prompt(&scope, &prompt).await?;
        Ok(Next::page(link(&workspace, "calls", &format!("hash:{}", hashes.join(",")))))
    };
    answer(&ask, done.await, &[])
}

/// Keeps a search for oneself or, with `shared`, for everybody in the workspace.
#[server(endpoint = "save_search")]
pub async fn save_search(
    workspace: String,
    name: String,
    tab: String,
    query: String,
    shared: Option<String>,
) -> Answer {
    let ask = here()?;
    let kept = name.clone();
    let done = async {
        let scope = ask.scope(&workspace, Permission::ReadActivity).await?;
        let new = NewSearch { name, tab, query, shared: shared.is_some() };
        let saved = ask.engine.save_search(&scope, new).await?;
        let text = format!("“{}” is saved.", saved.name);
        Ok(Next::saying(link(&workspace, &saved.tab, &saved.query), Flash::done(text)))
    };
    answer(&ask, done.await, &[("name", &kept)])
}

/// Forgets a saved search.
#[server(endpoint = "delete_search")]
pub async fn delete_search(workspace: String, search: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ReadActivity).await?;
        let id = search.parse().map_err(|_| Error::NotFound)?;
        ask.engine.delete_search(&scope, &id).await?;
        Ok(Next::saying(link(&workspace, "calls", ""), Flash::done("The saved search is removed.")))
    };
    answer(&ask, done.await, &[])
}

/// Starts a verification of the whole log.
#[server(endpoint = "verify_log")]
pub async fn verify_log(workspace: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ReadActivity).await?;
        // Who comes second sees the run that is there.
        match ask.engine.start_verification(&scope).await {
            Ok(()) | Err(Error::Conflict(_)) => Ok(Next::page(format!("/w/{workspace}/audit/proof"))),
            Err(error) => Err(error),
        }
    };
    answer(&ask, done.await, &[])
}
