//! The model library as one workspace sees it: what is allowed there, and what each model cost it.

use crate::domain::catalog::Model;
use crate::domain::field::FieldError;
use crate::domain::money::Usd;
use crate::domain::settings::Inference;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::store::{accounts, spend};
use crate::engine::views::overview::{DaySpend, days};

/// A model in a workspace.
#[derive(Debug, Clone)]
pub struct WorkspaceModel {
    /// The catalogue's entry.
    pub model: Model,
    /// Whether its provider is set up on this server.
    pub is_ready: bool,
    /// Whether its vendor has closed it: no call can use it, whatever the workspace allows.
    pub is_closed: bool,
    /// Whether the workspace allows it; an agent's policy may still not.
    pub is_allowed: bool,
    /// Whether the workspace's residency rule keeps agents from it.
    pub must_stay: bool,
}

/// A model with what this workspace spent on it.
#[derive(Debug, Clone)]
pub struct ModelView {
    /// The model.
    pub model: WorkspaceModel,
    /// This UTC month, each day's spend by agent.
    pub spend_by_day: Vec<DaySpend>,
    /// Spent this UTC month.
    pub month_to_date: Usd,
    /// Successful calls this UTC month.
    pub calls_this_month: i64,
}

impl Engine {
    /// The library in the catalogue's order.
    ///
    /// # Errors
    /// The database's own.
    pub async fn workspace_models(&self, scope: &Scope) -> Result<Vec<WorkspaceModel>> {
        let account = self.account(&scope.workspace).await?;
        let (region, today) = (scope.workspace.region, self.0.clock.now().date());
        let view = |(model, is_ready): (&Model, bool)| {
            let stays = model.stays_in(region) && self.0.providers.stays_in(&model.provider, region);
            WorkspaceModel {
                is_ready,
                is_closed: model.check_open(today).is_err(),
                is_allowed: !account.forbidden_models.contains(&model.id),
                must_stay: account.inference == Inference::RegionOnly && !stays,
                model: model.clone(),
            }
        };
        Ok(self.models().into_iter().map(view).collect())
    }

    /// One model with what it cost this month.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the library has none such.
    pub async fn workspace_model(&self, scope: &Scope, id: &str) -> Result<ModelView> {
        let models = self.workspace_models(scope).await?;
        let model = models.into_iter().find(|known| known.model.id == id).ok_or(Error::NotFound)?;
        let (db, now) = (&self.cell(&scope.workspace)?.db, self.0.clock.now());
        let of = spend::Of::Model(id);
        let rows = spend::by_day(db, &scope.workspace.id, of, now.month_start(), now.next_month()).await?;
        Ok(ModelView {
            model,
            month_to_date: rows.iter().map(|row| row.cost).sum(),
            calls_this_month: rows.iter().map(|row| row.calls).sum(),
            spend_by_day: days(rows),
        })
    }

    /// Allows or forbids a model to every agent of the workspace, from the next call on.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the library has none such; [`Error::Conflict`] where its vendor has closed what is to be
    /// allowed.
    pub async fn set_model_allowed(&self, scope: &Scope, id: &str, allowed: bool) -> Result<()> {
        let model = self.0.catalog.get(id).ok_or(Error::NotFound)?;
        if allowed {
            let closed =
                |fault: FieldError| Error::Conflict(format!("{}. Nothing was changed.", fault.message));
            model.check_open(self.0.clock.now().date()).map_err(closed)?;
        }
        let before = self.account(&scope.workspace).await?.forbidden_models;
        let mut after = before.clone();
        after.retain(|forbidden| forbidden != id);
        if !allowed {
            after.push(id.to_owned());
        }
        let change = accounts::set_forbidden_models(&scope.workspace.id, &after);
        self.log_setting(scope, "forbidden_models", &before, &after, vec![change]).await
    }
}
