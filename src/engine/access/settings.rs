//! What an Admin sets for a workspace besides caps (contract §3, `PATCH /settings`).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use crate::domain::field::{self, FieldError};
use crate::domain::region::Region;
use crate::domain::retention::Retention;
use crate::domain::settings::Inference;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::access::workspaces::taken_name;
use crate::engine::error::Result;
use crate::engine::store::{accounts, replicas, workspaces};

/// A workspace's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Who pays, in the customer's own words.
    pub cost_centre: Option<String>,
    /// How long data is kept.
    #[serde(flatten)]
    pub retention: Retention,
    /// Where models may infer.
    pub inference: Inference,
    /// The region that keeps copies of the media.
    pub replicate_to: Option<Region>,
}

/// A change of [`Settings`]: an absent field stays, null takes a value away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsChange {
    /// See [`Settings::name`].
    pub name: Option<String>,
    /// See [`Settings::cost_centre`].
    #[serde(deserialize_with = "present")]
    pub cost_centre: Option<Option<String>>,
    /// See [`Retention::media_retention_days`].
    pub media_retention_days: Option<u32>,
    /// See [`Retention::log_retention_days`].
    pub log_retention_days: Option<u32>,
    /// See [`Settings::inference`].
    pub inference: Option<Inference>,
    /// See [`Settings::replicate_to`].
    #[serde(deserialize_with = "present")]
    pub replicate_to: Option<Option<Region>>,
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Engine {
    /// A workspace's settings.
    ///
    /// # Errors
    /// The database's own.
    pub async fn settings(&self, scope: &Scope) -> Result<Settings> {
        let account = self.account(&scope.workspace).await?;
        let copies = account.replicate_to.as_ref().and_then(|cell| self.0.cells.get(cell));
        Ok(Settings {
            name: scope.workspace.name.clone(),
            retention: self.periods(scope).await?,
            cost_centre: account.cost_centre,
            inference: account.inference,
            replicate_to: copies.map(|node| node.cell.region),
        })
    }

    /// Changes settings; each change is an act in the log, and nothing is changed where one field is wrong.
    ///
    /// # Errors
    /// Names the field.
    pub async fn set_settings(&self, scope: &Scope, change: SettingsChange) -> Result<Settings> {
        let before = self.settings(scope).await?;
        let name = change.name.map(|name| field::text("name", &name, 1, 80)).transpose()?;
        let cost_centre = match change.cost_centre {
            Some(given) => given.map(|text| field::text("cost_centre", &text, 1, 80)).transpose()?,
            None => before.cost_centre.clone(),
        };
        let replicate_to = change.replicate_to.unwrap_or(before.replicate_to);
        let retention = before.retention.changed(change.media_retention_days, change.log_retention_days)?;
        let after = Settings {
            name: name.unwrap_or_else(|| before.name.clone()),
            cost_centre,
            retention,
            inference: change.inference.unwrap_or(before.inference),
            replicate_to,
        };
        self.change_settings(scope, &before, &after).await.map(|()| after)
    }

    async fn change_settings(&self, scope: &Scope, before: &Settings, after: &Settings) -> Result<()> {
        if before.replicate_to != after.replicate_to {
            self.set_replication(scope, after.replicate_to).await?;
        }
        if before.retention != after.retention {
            let (media, log) = (after.retention.media_retention_days, after.retention.log_retention_days);
            self.set_retention(scope, Some(media), Some(log)).await?;
        }
        if before.name != after.name {
            let renamed = workspaces::rename(&self.0.control, &scope.workspace.id, &after.name).await;
            renamed.map_err(taken_name)?;
            self.log_setting(scope, "name", &before.name, &after.name, Vec::new()).await?;
        }
        if (before.inference, &before.cost_centre) != (after.inference, &after.cost_centre) {
            let change =
                accounts::set_settings(&scope.workspace.id, after.inference, after.cost_centre.as_deref());
            let (from, to) =
                (json!([before.inference, before.cost_centre]), json!([after.inference, after.cost_centre]));
            self.log_setting(scope, "inference_and_cost_centre", &from, &to, vec![change]).await?;
        }
        Ok(())
    }

    pub(in crate::engine) async fn log_setting(
        &self,
        scope: &Scope,
        setting: &str,
        from: &impl Serialize,
        to: &impl Serialize,
        changes: Vec<crate::engine::store::sql::Statement>,
    ) -> Result<()> {
        let data = json!({ "setting": setting, "from": from, "to": to });
        let act = self.act(scope, "settings.changed", data, changes).await?;
        self.submit_act(scope, act).await.map(|_| ())
    }

    /// Where copies of the media go. Turned off, the copies are deleted, which the log then says.
    async fn set_replication(&self, scope: &Scope, region: Option<Region>) -> Result<()> {
        let cell = match region {
            Some(region) => Some(self.replica_cell(scope, region).ok_or_else(|| {
                FieldError::new("replicate_to", format!("{region} has no other cell on this server"))
            })?),
            None => None,
        };
        let cell = cell.map(|node| node.cell.name.as_str());
        let before = self.account(&scope.workspace).await?.replicate_to;
        let change = replicas::set(&scope.workspace.id, cell);
        self.log_setting(scope, "replicate_to", &before, &cell, vec![change]).await
    }
}
