//! Executing what was approved, in the background: resumable at any step, and done only when a second search says so.
//!
//! An erasure first notes the calls and takes their data keys out of use, then leaves in the bucket what a restore of
//! an older backup must not bring back (`marks.rs`), then deletes objects before rows, and destroys the keys last
//! (`destroying.rs`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::data_requests::{Kind, State, Step};
use crate::domain::time::{DAY, Time};
use crate::engine::access::scope::Scope;
use crate::engine::data::data_requests::discover::{self, Criteria, Of};
use crate::engine::data::data_requests::{about, archive, step};
use crate::engine::error::{Error, Result, internal};
use crate::engine::leases::Lease;
use crate::engine::store::data_requests::{self as store, RequestRow};
use crate::engine::store::generations::NewGeneration;
use crate::engine::store::{erasure, retention, workspaces};
use crate::engine::{CellNode, Engine};

/// The job's name.
const EXECUTE: &str = "data_requests";
/// Calls worked off at a time.
const BATCH: i64 = 200;
/// A run that cannot end within this time has failed, as soon as the bucket lets it take its marks back; until then every
/// fault is tried again.
const PATIENCE: i64 = DAY;

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Calls that it is about.
    pub total: i64,
    /// Calls that are done.
    pub done: i64,
    /// Calls that a hold keeps.
    pub held: i64,
    /// What there was when the run began.
    pub found: store::Matches,
    /// Files there were, without the small pictures.
    pub files: i64,
    /// Copies in other cells there were.
    pub copies: i64,
    /// The cells that held them.
    pub copy_cells: Vec<String>,
    /// Refused and failed calls, and kept answers, that were removed.
    pub derived: u64,
    /// Data keys that were destroyed.
    pub keys: u64,
    /// The last fault, where the run waits to be tried again.
    pub waiting_for: Option<String>,
    /// What earlier runs did, before the request was tried again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Value>,
}

impl Progress {
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Engine {
    /// Executes what was approved; tells how many requests ended.
    ///
    /// # Errors
    /// The database's own; a request's own faults are noted on it and tried again.
    pub async fn execute_data_requests(&self) -> Result<usize> {
        let mut ended = 0;
        for node in self.0.cells.values() {
            if store::to_execute(&node.db).await?.is_empty() {
                continue;
            }
            let Some(lease) = self.lease(node, EXECUTE).await? else { continue };
            // Read under the lease, and each once more before it begins: what ended or was cancelled meanwhile is done.
            for waiting in store::to_execute(&node.db).await? {
                let row = store::get(&node.db, &waiting.workspace_id, &waiting.id).await?;
                let Some(row) = row.filter(|row| row.state.is_executed()) else { continue };
                ended += usize::from(self.execute_one(node, &lease, row).await?);
            }
            lease.finish(&json!({ "ended": ended })).await?;
        }
        Ok(ended)
    }

    async fn execute_one(&self, node: &CellNode, lease: &Lease<'_>, row: RequestRow) -> Result<bool> {
        let Some(workspace) = workspaces::get(&self.0.control, &row.workspace_id).await? else {
            return Ok(false);
        };
        let scope = self.system_scope(workspace);
        let mut run = Run { engine: self, node, lease, scope, progress: progress_of(&row), row };
        match run.work().await {
            Ok(ended) => Ok(ended),
            Err(error) => run.note_fault(&error).await,
        }
    }
}

pub(super) fn progress_of(row: &RequestRow) -> Progress {
    row.progress.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// One request on its way.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine,
    pub(super) node: &'a CellNode,
    lease: &'a Lease<'a>,
    pub(super) scope: Scope,
    pub(super) progress: Progress,
    pub(super) row: RequestRow,
}

impl Run<'_> {
    async fn work(&mut self) -> Result<bool> {
        if self.row.state == State::Approved {
            self.start().await?;
        }
        match self.row.kind {
            Kind::Access => self.give_access().await,
            Kind::Erasure => self.erase().await,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.engine.0.clock.now()
    }

    /// What it is about: nothing that was logged after it began, so that it ends, and later calls are spared.
    pub(super) fn criteria(&self) -> Result<Criteria> {
        let criteria = self.filed_criteria()?;
        Ok(match self.row.started_at {
            Some(began) => criteria.until(began),
            None => criteria,
        })
    }

    /// What it was filed about, whenever that was or will be logged.
    pub(super) fn filed_criteria(&self) -> Result<Criteria> {
        serde_json::from_str(&self.row.criteria).map_err(|error| internal("stored criteria", error))
    }

    /// Notes every call that it is about, and what there is of them.
    async fn start(&mut self) -> Result<()> {
        self.row.started_at = Some(self.now());
        self.note_calls(if self.row.kind == Kind::Erasure { Of::Content } else { Of::All }).await?;
        let (db, id, criteria) = (&self.node.db, &self.row.workspace_id, self.criteria()?);
        let copies = erasure::copies(db, &self.row.id).await?;
        self.progress = Progress {
            total: store::count_items(db, &self.row.id, "pending").await?,
            found: discover::count(db, id, &criteria).await?,
            files: discover::count_files(db, id, &criteria).await?,
            copies: copies.values().sum(),
            copy_cells: copies.into_keys().collect(),
            earlier: std::mem::take(&mut self.progress.earlier),
            ..Progress::default()
        };
        self.move_on(Step::Start, "data_request.started").await
    }

    /// Notes the calls as waiting, batch by batch.
    async fn note_calls(&self, which: Of) -> Result<()> {
        let (db, id, criteria) = (&self.node.db, &self.row.workspace_id, self.criteria()?);
        let mut after = Some(0);
        while let Some(from) = after {
            let (requests, last) = discover::batch(db, id, &criteria, which, from, BATCH).await?;
            let mut transaction = db.begin().await?;
            store::add_items(&mut transaction, &self.row.id, &requests, "pending").await?;
            transaction.commit().await?;
            after = last;
        }
        Ok(())
    }

    async fn move_on(&mut self, way: Step, event: &str) -> Result<()> {
        let from = self.row.state;
        self.row.state = step(from, way)?;
        self.row.progress = serde_json::to_string(&self.progress).ok();
        let changes = vec![store::update(&self.row, from)];
        self.engine.keep_data_request(&self.scope, &self.row, changes, event).await
    }

    pub(super) async fn save_progress(&mut self) -> Result<()> {
        let json = self.progress.json();
        store::set_progress(&self.node.db, &self.row.id, &json).await?;
        self.row.progress = Some(json);
        Ok(())
    }

    /// A fault leaves the request running: what is done stays done, and the next round goes on.
    async fn note_fault(&mut self, error: &Error) -> Result<bool> {
        tracing::warn!(%error, request = %self.row.id, "a data request waits to be tried again");
        self.wait_for(error.to_string()).await
    }

    /// Leaves the rest to the next round, which is the last thing that it does where it took too long; tells whether it
    /// has ended.
    async fn wait_for(&mut self, what: String) -> Result<bool> {
        self.progress.waiting_for = Some(what);
        let too_long = self.row.started_at.is_some_and(|began| began.plus(PATIENCE) < self.now());
        if self.row.state == State::Running && too_long && self.may_fail().await {
            self.row.ended_at = Some(self.now());
            self.move_on(Step::Fail, "data_request.failed").await?;
            return Ok(true);
        }
        self.save_progress().await.map(|()| false)
    }

    /// A run fails once its marks say no more than what it has erased.
    async fn may_fail(&self) -> bool {
        let withdrawn = self.withdraw_marks().await;
        if let Err(error) = &withdrawn {
            tracing::warn!(%error, request = %self.row.id, "an erasure’s marks were not withdrawn; it is tried again");
        }
        withdrawn.is_ok()
    }

    async fn give_access(&mut self) -> Result<bool> {
        self.progress.done = self.progress.total;
        self.row.archive_until = Some(self.now().plus(archive::LINK));
        self.finish(Step::Finish).await
    }

    async fn erase(&mut self) -> Result<bool> {
        self.recount().await?;
        if self.progress.done == 0 && self.is_all_held().await? {
            self.progress.held = self.progress.total;
            self.withdraw_marks().await?;
            self.move_on(Step::Block, "data_request.blocked_by_hold").await?;
            return Ok(true);
        }
        self.progress.waiting_for = None;
        self.retire_keys().await?;
        while self.erase_batch().await? {
            self.save_progress().await?;
        }
        if !self.lease.renew().await? {
            return Ok(false);
        }
        self.destroy_keys().await?;
        if self.has_keys().await? {
            return self
                .wait_for("Data keys of erased prompts are left; they are destroyed next.".into())
                .await;
        }
        let left = discover::count(&self.node.db, &self.row.workspace_id, &self.criteria()?).await?;
        match (self.progress.held, left.prompts + left.media) {
            (0, 0) => self.finish(Step::Finish).await,
            (0, _) => self.search_again(left).await,
            (_, _) => self.finish_in_part().await,
        }
    }

    /// What a hold keeps may have been marked before the hold was placed.
    async fn finish_in_part(&mut self) -> Result<bool> {
        self.withdraw_marks().await?;
        self.finish(Step::FinishInPart).await
    }

    /// A call that was written while the others were noted is about the same subject: the next round erases it.
    async fn search_again(&mut self, left: store::Matches) -> Result<bool> {
        self.note_calls(Of::Left).await?;
        self.progress.found.prompts += left.prompts;
        self.progress.found.media += left.media;
        self.recount().await?;
        self.wait_for("Calls were written while it ran; they are erased next.".into()).await
    }

    async fn is_all_held(&self) -> Result<bool> {
        let criteria = self.criteria()?;
        let (db, id) = (&self.node.db, &self.row.workspace_id);
        let media = discover::count(db, id, &criteria).await?.media;
        Ok(media > 0 && discover::count_held(db, id, &criteria).await? == media)
    }

    /// Objects first, then rows, all of one batch; false when nothing is left to do.
    async fn erase_batch(&mut self) -> Result<bool> {
        if !self.lease.renew().await? {
            return Ok(false);
        }
        let (db, id) = (&self.node.db, &self.row.id);
        let requests = store::items(db, id, "pending", "", BATCH).await?;
        if requests.is_empty() {
            return Ok(false);
        }
        let held = discover::held_among(db, &self.row.workspace_id, &requests).await?;
        store::hold_items(db, id, &held).await?;
        let free: Vec<String> = requests.into_iter().filter(|request| !held.contains(request)).collect();
        let made = store::generations(db, &free).await?;
        let live: Vec<NewGeneration> = made.into_iter().filter(|made| made.deleted_at.is_none()).collect();
        let count = live.len();
        let made = retention::claim(db, live, self.now()).await?;
        if made.len() < count {
            // A hold was placed, or the purger was here, since the batch was read: it is read again.
            return Ok(true);
        }
        self.leave_mark(&free, &[]).await?;
        let gone = self.engine.delete_files(self.node, made).await;
        if gone.len() < count {
            return Err(Error::Unavailable(
                "The media storage did not delete every file. It is tried again.".into(),
            ));
        }
        let before = self.progress.clone();
        let noted = |derived| Progress { derived: before.derived + derived, ..before }.json();
        self.progress.derived +=
            store::erase(db, &self.row.workspace_id, id, &free, &gone, self.now(), noted).await?;
        self.recount().await.map(|()| true)
    }

    /// The calls themselves say how far it is: nothing is lost where a run is killed.
    async fn recount(&mut self) -> Result<()> {
        let (db, id) = (&self.node.db, &self.row.id);
        self.progress.done = store::count_items(db, id, "done").await?;
        self.progress.held = store::count_items(db, id, "held").await?;
        let pending = store::count_items(db, id, "pending").await?;
        self.progress.total = self.progress.done + self.progress.held + pending;
        Ok(())
    }

    /// The certificate and the last log entry.
    async fn finish(&mut self, way: Step) -> Result<bool> {
        self.row.ended_at = Some(self.now());
        let certificate = self.certificate(step(self.row.state, way)?).await?;
        self.row.certificate = Some(certificate.to_string());
        self.move_on(way, "data_request.completed").await.map(|()| true)
    }

    /// What a log entry tells of this request.
    pub(super) fn about(&self) -> Value {
        about(&self.row)
    }
}
