//! What an Admin sets for a workspace besides caps (contract §3, `PATCH /settings`).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::field::{self, FieldError};
use crate::domain::region::Region;
use crate::domain::retention::Retention;
use crate::domain::settings::Inference;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::access::workspaces::taken_name;
use crate::engine::error::Result;
use crate::engine::store::sql::Statement;
use crate::engine::store::{accounts, pending_acts, replicas, retention, workspaces};

const CHANGED: &str = "settings.changed";

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

    /// Changes settings. A new name is an act in the log, and all else is one; nothing is changed where one field is wrong.
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

    /// The name is in the directory, and alone can be taken: it goes first, and back again where the rest fails.
    async fn change_settings(&self, scope: &Scope, before: &Settings, after: &Settings) -> Result<()> {
        let changes = self.setting_changes(scope, before, after)?;
        self.rename(scope, &before.name, &after.name).await?;
        let done = self.change_in_cell(scope, before, after, changes).await;
        if done.is_err() {
            self.rename(scope, &after.name, &before.name).await?;
        }
        done
    }

    /// An act of its own: its note is committed with the name.
    async fn rename(&self, scope: &Scope, from: &str, to: &str) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let data = changed("name", json!({ "name": from }), json!({ "name": to }));
        let act = self.note_act(scope, CHANGED, data).await?;
        let mut transaction = self.0.control.begin().await?;
        let renamed = workspaces::rename(&mut transaction, &scope.workspace.id, to).await;
        renamed.map_err(|error| taken_name("name", error))?;
        pending_acts::insert(&mut transaction, &act).await?;
        transaction.commit().await?;
        self.write_noted(scope, act).await;
        Ok(())
    }

    /// All but the name, at once and in one entry of the log.
    async fn change_in_cell(
        &self,
        scope: &Scope,
        before: &Settings,
        after: &Settings,
        changes: Vec<Statement>,
    ) -> Result<()> {
        let (from, to) = difference(before, after);
        if to.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = to.keys().map(String::as_str).collect();
        self.log_setting(scope, &names.join(", "), &from, &to, changes).await
    }

    /// What a change writes in the workspace's cell.
    fn setting_changes(&self, scope: &Scope, before: &Settings, after: &Settings) -> Result<Vec<Statement>> {
        let (id, mut changes) = (&scope.workspace.id, Vec::new());
        if before.replicate_to != after.replicate_to {
            // Turned off, the copies are deleted by the next replication.
            changes.push(replicas::set(id, self.copies_cell(scope, after.replicate_to)?));
        }
        if before.retention != after.retention {
            changes.push(retention::set(id, after.retention, self.0.clock.now()));
        }
        if (before.inference, &before.cost_centre) != (after.inference, &after.cost_centre) {
            changes.push(accounts::set_settings(id, after.inference, after.cost_centre.as_deref()));
        }
        Ok(changes)
    }

    /// The name of the cell that keeps copies in a region.
    fn copies_cell(&self, scope: &Scope, region: Option<Region>) -> Result<Option<&str>> {
        let Some(region) = region else { return Ok(None) };
        let other = self.replica_cell(scope, region).map(|node| node.cell.name.as_str());
        let none = || FieldError::new("replicate_to", format!("{region} has no other cell on this server"));
        Ok(Some(other.ok_or_else(none)?))
    }

    /// Changes a setting in the cell, with the entry that tells from what to what.
    pub(in crate::engine) async fn log_setting(
        &self,
        scope: &Scope,
        setting: &str,
        from: &impl Serialize,
        to: &impl Serialize,
        changes: Vec<Statement>,
    ) -> Result<()> {
        let act = self.act(scope, CHANGED, changed(setting, json!(from), json!(to)), changes).await?;
        self.submit_act(scope, act).await.map(|_| ())
    }
}

fn changed(setting: &str, from: Value, to: Value) -> Value {
    json!({ "setting": setting, "from": from, "to": to })
}

/// The settings that differ in the cell, by name: as they were, and as they will be.
fn difference(before: &Settings, after: &Settings) -> (Map<String, Value>, Map<String, Value>) {
    let fields = |settings: &Settings| match json!(settings) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let (from, to) = (fields(before), fields(after));
    let differs = |name: &String| name != "name" && from[name] != to[name];
    let only = |of: &Map<String, Value>| {
        of.iter()
            .filter(|(name, _)| differs(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    (only(&from), only(&to))
}
