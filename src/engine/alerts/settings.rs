//! What an Admin sets about alerts, and what was told.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::alerts::AlertSettings;
use crate::domain::field::FieldError;
use crate::domain::webhooks::endpoint::{self, Format};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::store::alerts;
pub use crate::engine::store::alerts::AlertRow;

/// Alerts that the page shows.
const SHOWN: i64 = 50;

/// The settings as people see them: the Slack URL is a secret.
#[derive(Debug, Clone, Serialize)]
pub struct AlertsView {
    /// Thresholds, recipients, the loop breaker.
    #[serde(flatten)]
    pub settings: AlertSettings,
    /// Whether alerts go to Slack.
    pub slack: bool,
    /// The last alerts, the newest first.
    #[serde(skip)]
    pub history: Vec<AlertRow>,
}

/// A change: the settings as a whole, and the Slack URL where it is to change.
#[derive(Debug, Clone, Default)]
pub struct AlertChange {
    /// The settings.
    pub settings: AlertSettings,
    /// A new URL; empty to take it away; none to keep it.
    pub slack_url: Option<String>,
}

/// The settings as the log keeps them: how many recipients, for an address could not be taken out of it again.
fn logged(settings: &AlertSettings) -> Value {
    let mut logged = json!(settings);
    logged["recipients"] = settings.recipients.len().into();
    logged
}

impl Engine {
    /// The alerts of a workspace.
    ///
    /// # Errors
    /// The database's own.
    pub async fn alerts(&self, scope: &Scope) -> Result<AlertsView> {
        let (db, id) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let (settings, slack) = alerts::settings(db, id).await?;
        Ok(AlertsView { settings, slack: slack.is_some(), history: alerts::list(db, id, SHOWN).await? })
    }

    /// Changes the settings; an act in the log, without the Slack URL.
    ///
    /// # Errors
    /// Names the field.
    pub async fn set_alerts(&self, scope: &Scope, change: AlertChange) -> Result<AlertsView> {
        let (cell, id) = (self.cell(&scope.workspace)?, &scope.workspace.id);
        let settings = change.settings.checked()?;
        let (before, kept) = alerts::settings(&cell.db, id).await?;
        let had_slack = self.slack_url(scope).await?;
        let slack_changed = change
            .slack_url
            .as_deref()
            .map(str::trim)
            .is_some_and(|url| url != had_slack.as_deref().unwrap_or_default());
        let recipients_changed = settings.recipients != before.recipients;
        let slack = match change.slack_url.as_deref().map(str::trim) {
            None => kept,
            Some("") => None,
            Some(url) => {
                let url = self.slack_address(url)?;
                Some(cell.sealer.seal_in(id, "slack", "slack", url.as_bytes(), self.0.clock.now()).await?)
            }
        };
        let to = json!({ "alerts": logged(&settings), "slack": slack.is_some() });
        let data = json!({
            "setting": "alerts", "from": { "alerts": logged(&before), "slack": had_slack.is_some() }, "to": to,
            "slack_changed": slack_changed, "recipients_changed": recipients_changed,
        });
        let act = self.act(scope, "settings.changed", data, vec![alerts::set(id, &settings, slack)]).await?;
        self.submit_act(scope, act).await?;
        self.alerts(scope).await
    }

    /// Takes addresses out of the recipients of a workspace; an act in its log.
    pub(in crate::engine) async fn forget_recipients(
        &self,
        scope: &Scope,
        addresses: &[String],
    ) -> Result<()> {
        let id = &scope.workspace.id;
        let (before, slack) = alerts::settings(&self.cell(&scope.workspace)?.db, id).await?;
        let mut after = before.clone();
        after.recipients.retain(|recipient| !addresses.contains(recipient));
        let changes = vec![alerts::set(id, &after, slack)];
        self.log_setting(
            scope,
            "alerts",
            &json!({ "alerts": logged(&before) }),
            &json!({ "alerts": logged(&after) }),
            changes,
        )
        .await
    }

    fn slack_address(&self, url: &str) -> Result<String> {
        let read = endpoint::url(url, Format::Generic, self.0.config.webhooks.allow_private_addresses);
        Ok(read.map_err(|error| FieldError::new("slack_url", error.message))?.into())
    }

    /// Posts a test message to the workspace's Slack channel.
    ///
    /// # Errors
    /// The field `slack_url`: not set, or what Slack answered.
    pub async fn test_slack(&self, scope: &Scope) -> Result<()> {
        let missing = || FieldError::new("slack_url", "is not set");
        let url = self.slack_url(scope).await?.ok_or_else(missing)?;
        let text =
            format!("A test of AgentFramer’s alerts for “{}”. Nothing happened.", scope.workspace.name);
        let posted = self.post_to_slack(&url, &text).await;
        Ok(posted.map_err(|why| FieldError::new("slack_url", format!("does not work: {why}")))?)
    }
}
