//! The purger: what is past its retention goes, in small batches under a lease. Objects go before their row says so, so
//! that a crash in between is made good by the next run.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::ids::{GenerationId, WorkspaceId};
use crate::domain::retention::{ATTEMPT_DAYS, DATA_REQUEST_YEARS, Retention};
use crate::domain::time::{DAY, Time};
use crate::engine::access::scope::Scope;
use crate::engine::calls::media::all_keys;
use crate::engine::error::{Error, Result};
use crate::engine::leases::Lease;
use crate::engine::store::generations::{self, NewGeneration};
use crate::engine::store::retention::{self, Cursor};
use crate::engine::store::{checkpoints, data_requests};
use crate::engine::{CellNode, Engine};

/// The job's name.
pub(crate) const PURGE: &str = "purge";
/// Generations whose files go at a time: few, for calls of the workspace wait while they are claimed.
const BATCH: i64 = 25;
/// How long the purger rests after a batch, in relation to how long it worked: calls share the disk.
pub(super) const REST: u32 = 3;
/// Faults one after another at which the storage itself is taken to be down.
const FAULTS: usize = 3;
/// Rows that go at a time.
const ROWS: i64 = 1_000;
/// Log rows that go at a time: few, for calls of the workspace wait meanwhile.
const LOG_ROWS: i64 = 200;

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeReport {
    /// Generations whose files and prompt went.
    pub generations: u64,
    /// Generations whose files the storage did not delete; the next run tries again.
    pub failed: u64,
    /// Generations that are due, but that a hold keeps.
    pub held: u64,
    /// Log rows.
    pub log_rows: u64,
    /// Refused and failed calls.
    pub attempts: u64,
    /// Data keys that were taken out of use: they sealed nothing any more.
    pub keys: u64,
    /// Data keys that were destroyed, after they had been taken out of use an hour before.
    #[serde(default)]
    pub keys_destroyed: u64,
    /// The fault at which the run stopped; the next one goes on there.
    pub stopped_by: Option<String>,
    /// The same for each workspace of which something went or is held.
    #[serde(default)]
    pub workspaces: BTreeMap<String, Purged>,
}

/// What a run did for one workspace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// Generations whose files and prompt went.
    pub generations: u64,
    /// Log rows that went.
    pub log_rows: u64,
    /// Generations that are due, but that a hold keeps.
    pub held: u64,
}

impl Engine {
    /// Purges every cell of this node; a cell that another node purges is left to it. A fault in one cell does not keep
    /// the others, and is told in the report.
    ///
    /// # Errors
    /// The database's own, where not even a report can be kept.
    pub async fn purge(&self) -> Result<PurgeReport> {
        let mut total = PurgeReport::default();
        // At once: a region whose storage is slow to fail does not keep the others.
        let runs = self.0.cells.values().map(|node| self.purge_under_lease(node));
        for report in futures::future::join_all(runs).await {
            total.add(report?);
        }
        Ok(total)
    }

    async fn purge_under_lease(&self, node: &CellNode) -> Result<PurgeReport> {
        let mut report = PurgeReport::default();
        let Some(lease) = self.lease(node, PURGE).await? else { return Ok(report) };
        if let Err(error) = self.purge_cell(node, &lease, &mut report).await {
            tracing::warn!(%error, cell = %node.cell.name, "a purge stopped; the next one goes on");
            report.stopped_by = Some(error.to_string());
        }
        lease.finish(&report).await?;
        Ok(report)
    }

    async fn purge_cell(&self, node: &CellNode, lease: &Lease<'_>, report: &mut PurgeReport) -> Result<()> {
        let storage_answers = self.purge_media(node, lease, report).await?;
        for (workspace, held) in retention::due_but_held(&node.db, self.0.clock.now()).await? {
            report.held += held;
            report.of(&workspace).held = held;
        }
        self.purge_attempts(node, lease, report).await?;
        self.purge_logs(node, lease, report).await?;
        let years_ago = self.0.clock.now().months_back(12 * DATA_REQUEST_YEARS);
        data_requests::remove_ended(&node.db, years_ago).await?;
        if storage_answers {
            self.remove_old_copies(node).await?;
        }
        // Last: what went before has left keys that seal nothing any more.
        self.retire_keys(node, lease, report).await?;
        self.destroy_retired_keys(node, lease, report).await
    }

    /// Lets rows follow retentions that were changed and are not `seen` yet; tells whether there were any.
    async fn follow_changes(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        seen: &mut HashSet<(WorkspaceId, Time)>,
    ) -> Result<bool> {
        let mut any = false;
        for (workspace, days, changed_at) in retention::changed(&node.db).await? {
            if !seen.insert((workspace.clone(), changed_at)) {
                continue;
            }
            any = true;
            self.follow_change(node, lease, &workspace, days, changed_at).await?;
        }
        Ok(any)
    }

    async fn follow_change(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        workspace: &WorkspaceId,
        days: i64,
        changed_at: Time,
    ) -> Result<()> {
        let mut cursor = Some(start());
        while let Some(from) = cursor {
            if !lease.renew().await? {
                return Ok(());
            }
            cursor = retention::follow(&node.db, workspace, days, &from, ROWS).await?;
        }
        // What was written since follows it anyway: the ledger writer takes the days from the account.
        retention::followed(&node.db, workspace, changed_at).await
    }

    /// False where the storage is down.
    async fn purge_media(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        report: &mut PurgeReport,
    ) -> Result<bool> {
        let (mut cursor, mut seen) = (start(), HashSet::new());
        while lease.renew().await? {
            // A retention that is shortened meanwhile does not wait for the end of a long run.
            if self.follow_changes(node, lease, &mut seen).await? {
                cursor = start();
            }
            let began = tokio::time::Instant::now();
            let due = retention::due(&node.db, self.0.clock.now(), &cursor, BATCH).await?;
            let Some(last) = due.last() else { break };
            cursor = (last.expires_at.micros(), last.id.to_string());
            let due = retention::claim(&node.db, due, self.0.clock.now()).await?;
            let (all, batch) = (due.len() as u64, self.delete_files(node, due).await);
            retention::remove_content(&node.db, &batch, self.0.clock.now()).await?;
            report.generations += batch.len() as u64;
            batch.iter().for_each(|gone| report.of(&gone.workspace_id).generations += 1);
            report.failed += all - batch.len() as u64;
            // Files that cannot be deleted do not keep the others; a storage that is down is not asked for each of them.
            if all > 0 && batch.is_empty() && !self.storages_answer().await {
                return Ok(false);
            }
            self.rest(began.elapsed() * REST).await;
        }
        Ok(true)
    }

    /// Leaves the disk to calls; there are none while an installation is filled.
    pub(super) async fn rest(&self, time: Duration) {
        if !self.0.config.filling {
            tokio::time::sleep(time).await;
        }
    }

    async fn storages_answer(&self) -> bool {
        let asked = self.0.cells.values().map(|node| node.bucket.answers());
        futures::future::join_all(asked).await.into_iter().all(|answers| answers)
    }

    /// Deletes the files and copies of generations that were claimed; answers those of which nothing is left. Where the
    /// storage refuses a batch, each goes alone, so that one bad file does not keep the others.
    pub(crate) async fn delete_files(&self, node: &CellNode, due: Vec<NewGeneration>) -> Vec<NewGeneration> {
        if self.delete_batch(node, &due).await.is_ok() {
            return due;
        }
        let (mut gone, mut in_a_row) = (Vec::new(), 0);
        for made in due {
            match self.delete_batch(node, std::slice::from_ref(&made)).await {
                Ok(()) => {
                    in_a_row = 0;
                    gone.push(made);
                }
                Err(error) => {
                    in_a_row += 1;
                    tracing::warn!(%error, generation = %made.id, "files were not deleted; tried again later");
                }
            }
            if in_a_row == FAULTS {
                break;
            }
        }
        gone
    }

    async fn delete_batch(&self, node: &CellNode, due: &[NewGeneration]) -> Result<()> {
        let ids: Vec<String> = due.iter().map(|made| made.id.to_string()).collect();
        self.delete_copies(node, &ids).await?;
        node.bucket.delete(due.iter().flat_map(|made| all_keys(&made.object_key, made.files)).collect()).await
    }

    /// Deletes one generation's files and prompt before their retention ends; what it cost and its log entry stay.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is gone already; [`Error::Conflict`] where a hold keeps it; [`Error::Unavailable`]
    /// where the storage did not delete its files.
    pub async fn delete_generation(&self, scope: &Scope, id: &GenerationId) -> Result<()> {
        let node = self.cell(&scope.workspace)?;
        let made = generations::get(&node.db, &scope.workspace.id, id).await?;
        let made = made.filter(|made| made.deleted_at.is_none()).ok_or(Error::NotFound)?;
        let data = json!({ "generation_id": id, "of_request": made.request_id });
        let changes = retention::remove_one(&made, self.0.clock.now());
        let act = self.act(scope, "generation.deleted", data, changes).await?;
        let request = made.request_id.clone();
        let claimed = retention::claim(&node.db, vec![made], self.0.clock.now()).await?;
        if claimed.is_empty() {
            let message = "A legal hold keeps this generation. Nothing was deleted; lift the hold first.";
            return Err(Error::Conflict(message.into()));
        }
        self.mark_deleted_call(&scope.workspace, &request).await?;
        let gone = self.delete_files(node, claimed).await;
        if gone.is_empty() {
            self.unmark_call(node, &request).await;
            let message = "The media storage did not delete the files. Nothing was changed; try again.";
            return Err(Error::Unavailable(message.into()));
        }
        self.submit_act(scope, act).await.map(|_| ())
    }

    async fn purge_attempts(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        report: &mut PurgeReport,
    ) -> Result<()> {
        let cut = self.0.clock.now().plus(-ATTEMPT_DAYS * DAY);
        while lease.renew().await? {
            let rows = retention::remove_attempts(&node.db, cut, ROWS).await?;
            report.attempts += rows;
            if rows == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn purge_logs(&self, node: &CellNode, lease: &Lease<'_>, report: &mut PurgeReport) -> Result<()> {
        for (workspace, retention, floor) in retention::logs_without_hold(&node.db).await? {
            if let Some(cut) = self.log_cut(node, &workspace, retention, floor).await? {
                // Before its rows: once these are gone, nothing would come back to exports that were left.
                self.purge_exports(node, &workspace, retention.log_cut(self.0.clock.now())).await?;
                self.cut_rows(node, lease, &workspace, cut, report).await?;
            }
        }
        Ok(())
    }

    /// Cuts a log at the row and the checkpoint of [`Engine::log_cut`], until it is done or somebody places a hold.
    async fn cut_rows(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        workspace: &WorkspaceId,
        (last, checkpoint): (i64, i64),
        report: &mut PurgeReport,
    ) -> Result<()> {
        while lease.renew().await? {
            let began = tokio::time::Instant::now();
            let Some(rows) = retention::cut_log(&node.db, workspace, last, LOG_ROWS).await? else { break };
            report.log_rows += rows as u64;
            report.of(workspace).log_rows += rows as u64;
            if rows == 0 {
                return retention::cut_checkpoints(&node.db, workspace, checkpoint).await;
            }
            self.rest(began.elapsed() * REST).await;
        }
        Ok(())
    }

    /// The last row that goes and the number of the checkpoint that covers it: the log then goes on right behind a
    /// signed head. `None` where nothing is due, or a file of that time is still there.
    async fn log_cut(
        &self,
        node: &CellNode,
        workspace: &WorkspaceId,
        retention: Retention,
        floor: i64,
    ) -> Result<Option<(i64, i64)>> {
        let cut: Time = retention.log_cut(self.0.clock.now());
        let Some(checkpoint) = checkpoints::last(&node.db, workspace, cut).await? else { return Ok(None) };
        let is_due = checkpoint.last_seq > floor
            && !retention::has_media_before(&node.db, workspace, checkpoint.to).await?;
        Ok(is_due.then_some((checkpoint.last_seq, checkpoint.number)))
    }
}

fn start() -> Cursor {
    (retention::START.0, retention::START.1.to_owned())
}

impl PurgeReport {
    fn of(&mut self, workspace: &WorkspaceId) -> &mut Purged {
        self.workspaces.entry(workspace.to_string()).or_default()
    }

    fn add(&mut self, other: Self) {
        self.generations += other.generations;
        self.failed += other.failed;
        self.held += other.held;
        self.log_rows += other.log_rows;
        self.attempts += other.attempts;
        self.keys += other.keys;
        self.keys_destroyed += other.keys_destroyed;
        self.stopped_by = self.stopped_by.take().or(other.stopped_by);
        self.workspaces.extend(other.workspaces);
    }
}
