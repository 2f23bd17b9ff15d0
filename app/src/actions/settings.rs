//! The workspace itself: name, MCP URL, API keys, and its end.

use agentframer::domain::access::Permission;
use agentframer::domain::field::FieldError;
use agentframer::engine::access::settings::SettingsChange;
use agentframer::engine::error::Error;
use leptos::prelude::server;

use super::{Answer, Next, answer, at_input, here};
use crate::flash::Flash;
use crate::words;

fn settings_page(workspace: &str) -> String {
    format!("/w/{workspace}/settings")
}

/// Changes name, cost centre and where models may infer.
#[server(endpoint = "set_settings")]
pub async fn set_settings(workspace: String, name: String, cost_centre: String, inference: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        let change = SettingsChange {
            name: Some(name.clone()),
            cost_centre: Some(Some(cost_centre.clone()).filter(|text| !text.trim().is_empty())),
            inference: Some(
                serde_json::from_value(inference.clone().into())
                    .map_err(|_| FieldError::new("inference", "is not any or region_only"))?,
            ),
            ..SettingsChange::default()
        };
        let saved = ask.engine.set_settings(&scope, change).await;
        saved.map_err(|error| at_input(error, "workspace_name", "name"))?;
        Ok(Next::saying(settings_page(&workspace), Flash::done("Saved.")))
    };
    answer(&ask, done.await, &[("name", &name), ("cost_centre", &cost_centre), ("inference", &inference)])
}

/// Replaces the MCP URL.
#[server(endpoint = "rotate_mcp_url")]
pub async fn rotate_mcp_url(workspace: String, grace_hours: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::RotateMcpUrl).await?;
        let hours = grace_hours.trim().parse();
        let hours =
            hours.map_err(|_| FieldError::new("grace_hours", "is not a number of hours from 0 to 168"))?;
        let (_, ends_at) = ask.engine.rotate_mcp_url(&scope, Some(hours)).await?;
        let text = match hours {
            0 => "The MCP address is new; no address before it works any more.".to_owned(),
            _ => format!("The MCP address is new; the old one works until {}.", words::moment(ends_at)),
        };
        Ok(Next::saying(settings_page(&workspace), Flash::done(text)))
    };
    answer(&ask, done.await, &[("grace_hours", &grace_hours)])
}

/// Makes an API key and shows it once.
#[server(endpoint = "create_api_key")]
pub async fn create_api_key(
    workspace: String,
    key_name: String,
    role: String,
    expires_in_days: String,
) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeAgents).await?;
        let days =
            match expires_in_days.trim() {
                "" => None,
                text => Some(text.parse().map_err(|_| {
                    FieldError::new("expires_in_days", "is not a number of days from 1 to 3650")
                })?),
            };
        // The page has another `name`.
        let made = ask.engine.create_key(&scope, &key_name, &role, days).await;
        let made = made.map_err(|error| at_input(at_input(error, "name", "key_name"), "role", "key_role"))?;
        let text = "The key is ready. Copy it now: it is not shown again.";
        Ok(Next::saying(settings_page(&workspace), Flash::secret(text, made.key)))
    };
    let kept = [("key_name", &*key_name), ("key_role", &role), ("expires_in_days", &expires_in_days)];
    answer(&ask, done.await, &kept)
}

/// Makes an API key in the place of another and shows it once; the older one works until the overlap ends.
#[server(endpoint = "rotate_api_key")]
pub async fn rotate_api_key(workspace: String, key: String, overlap_hours: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeAgents).await?;
        let hours = overlap_hours.trim().parse();
        let hours =
            hours.map_err(|_| FieldError::new("overlap_hours", "is not a number of hours from 0 to 168"))?;
        let id = key.parse().map_err(|_| Error::NotFound)?;
        // The form has no role: it is the key’s own that is too high.
        let made = ask.engine.rotate_key(&scope, &id, hours).await;
        let made = made.map_err(|error| at_input(error, "role", "key"))?;
        let text = "This is the new key. Copy it now: it is not shown again.";
        Ok(Next::saying(settings_page(&workspace), Flash::secret(text, made.key)))
    };
    answer(&ask, done.await, &[("key", &key), ("overlap_hours", &overlap_hours)])
}

/// Ends an API key.
#[server(endpoint = "end_api_key")]
pub async fn end_api_key(workspace: String, key: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeAgents).await?;
        ask.engine.end_key(&scope, &key.parse().map_err(|_| Error::NotFound)?).await?;
        Ok(Next::saying(settings_page(&workspace), Flash::done("Ended. The key does not work any more.")))
    };
    answer(&ask, done.await, &[])
}

/// Turns the daily export of the log on or off.
#[server(endpoint = "set_daily_export")]
pub async fn set_daily_export(workspace: String, turn: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::ChangeSettings).await?;
        let is_on = match turn.as_str() {
            "on" => true,
            "off" => false,
            _ => return Err(FieldError::new("turn", "is not on or off").into()),
        };
        ask.engine.set_daily_export(&scope, is_on).await?;
        let text = match is_on {
            true => {
                "Turned on. The days that are over are exported within minutes, each further one after its midnight in UTC."
            }
            false => "Turned off. The files that are there stay until the log’s retention ends.",
        };
        Ok(Next::saying(settings_page(&workspace), Flash::done(text)))
    };
    answer(&ask, done.await, &[])
}

/// Deletes the workspace.
#[server(endpoint = "delete_workspace")]
pub async fn delete_workspace(workspace: String, confirm: String) -> Answer {
    let ask = here()?;
    let done = async {
        let scope = ask.scope(&workspace, Permission::DeleteWorkspace).await?;
        ask.engine.delete_workspace(&scope, &confirm).await?;
        let text =
            format!("{} is deleted. Its log stays until its own retention ends.", scope.workspace.name);
        Ok(Next::saying("/", Flash::done(text)))
    };
    answer(&ask, done.await, &[("confirm", &confirm)])
}
