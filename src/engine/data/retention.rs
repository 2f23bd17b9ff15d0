//! Retention as people set and see it: what a change would delete, and what the last runs did.

use serde::Serialize;

use crate::domain::retention::{ATTEMPT_DAYS, EFFECT, Retention};
use crate::domain::time::Time;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::data::holds::HoldView;
use crate::engine::data::purge::{PURGE, PurgeReport, Purged};
use crate::engine::data::reconcile::{RECONCILE, ReconcileReport};
use crate::engine::error::Result;
use crate::engine::store::retention::{self, MediaCount};
use crate::engine::store::{data_jobs, holds};

/// The last run of a background job over a cell.
#[derive(Debug, Clone, Serialize)]
pub struct LastRun<T> {
    /// When it began.
    pub began_at: Time,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<Time>,
    /// What the last run that ended did.
    pub report: Option<T>,
}

impl<T> LastRun<T> {
    fn map<U>(self, view: impl FnOnce(T) -> U) -> LastRun<U> {
        LastRun { began_at: self.began_at, ended_at: self.ended_at, report: self.report.map(view) }
    }
}

/// How long a workspace's data is kept, and what sees to it.
#[derive(Debug, Clone, Serialize)]
pub struct RetentionView {
    /// The periods that can be changed.
    #[serde(flatten)]
    pub retention: Retention,
    /// Refused and failed calls, in days.
    pub attempt_retention_days: i64,
    /// Holds in force: what they keep is neither purged nor erased.
    pub holds: Vec<HoldView>,
    /// The purger's last run.
    pub last_purge: Option<LastRun<PurgeView>>,
    /// The last comparison of rows and files.
    pub last_reconcile: Option<LastRun<ReconcileView>>,
}

/// What the purger's last run did for this workspace: what it did for others is theirs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PurgeView {
    /// What went, and what a hold keeps.
    #[serde(flatten)]
    pub purged: Purged,
    /// Whether the storage kept it from its end; the next run goes on.
    pub stopped: bool,
}

/// What the last comparison found in the whole cell, without numbers for the same reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReconcileView {
    /// Whether rows and files agreed.
    pub clean: bool,
    /// Whether rows were left alone because too many lack their files.
    pub left_alone: bool,
}

/// What a change of the periods would delete. Nothing is changed by looking.
#[derive(Debug, Clone, Serialize)]
pub struct RetentionPreview {
    /// The periods after the change.
    #[serde(flatten)]
    pub retention: Retention,
    /// Files and prompts that would go at once.
    pub media: MediaCount,
    /// Files and prompts that would be due, but that a hold keeps.
    pub media_held: MediaCount,
    /// Log rows that would go: those of whole months before `log_before`; none while a hold is in force.
    pub log_rows: i64,
    /// Files made before this go.
    pub media_before: Time,
    /// Log rows written before this go.
    pub log_before: Time,
    /// By when all of it is gone.
    pub gone_by: Time,
}

impl Engine {
    /// A workspace's retention, its holds and the last runs.
    ///
    /// # Errors
    /// The database's own.
    pub async fn retention(&self, scope: &Scope) -> Result<RetentionView> {
        let db = &self.cell(&scope.workspace)?.db;
        let active = holds::list(db, &scope.workspace.id, true).await?;
        Ok(RetentionView {
            retention: self.periods(scope).await?,
            attempt_retention_days: ATTEMPT_DAYS,
            holds: active.into_iter().map(HoldView::from).collect(),
            last_purge: last_run(data_jobs::last(db, PURGE).await?).map(|run| {
                run.map(|report: PurgeReport| PurgeView {
                    purged: report.workspaces.get(scope.workspace.id.as_str()).copied().unwrap_or_default(),
                    stopped: report.failed > 0 || report.stopped_by.is_some(),
                })
            }),
            last_reconcile: last_run(data_jobs::last(db, RECONCILE).await?).map(|run| {
                run.map(|report: ReconcileReport| ReconcileView {
                    clean: report.is_clean(),
                    left_alone: report.not_mended > 0,
                })
            }),
        })
    }

    pub(crate) async fn periods(&self, scope: &Scope) -> Result<Retention> {
        let account = self.account(&scope.workspace).await?;
        Ok(Retention {
            media_retention_days: account.media_retention_days,
            log_retention_days: account.log_retention_days,
        })
    }

    /// What [`Engine::set_retention`] with the same periods would delete, and by when.
    ///
    /// # Errors
    /// Names the field that is out of its range.
    pub async fn preview_retention(
        &self,
        scope: &Scope,
        media: Option<u32>,
        log: Option<u32>,
    ) -> Result<RetentionPreview> {
        let after = self.periods(scope).await?.changed(media, log)?;
        let (db, id, now) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let (media_before, log_before) = (after.media_cut(now), after.log_cut(now));
        let (media, media_held) = retention::media_before(db, id, media_before).await?;
        let is_held = !holds::list(db, id, true).await?.is_empty();
        Ok(RetentionPreview {
            retention: after,
            media,
            media_held,
            log_rows: if is_held { 0 } else { retention::log_before(db, id, log_before).await? },
            media_before,
            log_before,
            gone_by: now.plus(EFFECT),
        })
    }

    /// Changes the periods, for what is there too: the purger follows within the hour.
    ///
    /// # Errors
    /// Names the field that is out of its range.
    pub async fn set_retention(
        &self,
        scope: &Scope,
        media: Option<u32>,
        log: Option<u32>,
    ) -> Result<Retention> {
        let before = self.periods(scope).await?;
        let after = before.changed(media, log)?;
        let changes = vec![retention::set(&scope.workspace.id, after, self.0.clock.now())];
        self.log_setting(scope, "retention", &before, &after, changes).await?;
        Ok(after)
    }
}

pub(crate) fn last_run<T: serde::de::DeserializeOwned>(run: Option<data_jobs::JobRun>) -> Option<LastRun<T>> {
    run.map(|run| LastRun {
        began_at: run.began_at,
        ended_at: run.ended_at,
        report: run.report.and_then(|json| serde_json::from_str(&json).ok()),
    })
}
