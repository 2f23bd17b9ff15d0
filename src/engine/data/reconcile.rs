//! The reconciler compares rows and files, both ways, and mends what a crash or a foreign hand left: files that no row
//! knows go, lost files come back from their copy, rows whose files are all gone say so.
//!
//! It takes nothing away where that may be a mistake: what a hold keeps, a result of which a file is left, and everything
//! where so much is missing that the storage is probably not the right one. It tells of these instead.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::domain::ids::{WorkspaceId, made_at};
use crate::domain::time::{DAY, HOUR, Time};
use crate::engine::calls::media::{Bucket, file_key};
use crate::engine::data::replication::{FOLDER, REPLICATE, replica_key};
use crate::engine::error::Result;
use crate::engine::leases::Lease;
use crate::engine::store::generations::NewGeneration;
use crate::engine::store::{data_jobs, orphans, replicas, retention, workspaces};
use crate::engine::{CellNode, Engine};

/// The job's name.
pub(crate) const RECONCILE: &str = "reconcile";
/// Files and rows compared at a time.
const BATCH: usize = 500;
/// A call stores its files before it writes its row; it has ended this long after it began.
const SETTLED: i64 = 2 * HOUR;
/// So many lost rows of a cell are believed whatever their share; beyond it, a share of a tenth means a wrong bucket.
const FEW: usize = 10;
/// Lost rows that a run looks after, so that memory stays small; the next one goes on.
const MOST: usize = 10_000;

/// What a run found and mended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReconcileReport {
    /// Files without a row: deleted.
    pub files_without_row: u64,
    /// Rows whose lost files were copied back from another cell.
    pub copied_back: u64,
    /// Rows without any of their files: marked as gone, their prompts removed.
    pub rows_without_files: u64,
    /// Prompts without a result or without a key: removed.
    pub prompts_alone: u64,
    /// Files of copies in another cell that nothing knows of, and copies whose source is gone: deleted.
    pub copies_without_row: u64,
    /// Copies whose files are gone: forgotten, so that they are made anew.
    pub rows_without_copies: u64,
    /// Rows that were left alone: a hold keeps them, some of their files are there, or so many lack theirs that the
    /// storage is probably not the right one.
    pub not_mended: u64,
}

impl ReconcileReport {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, other: &Self) {
        self.files_without_row += other.files_without_row;
        self.copied_back += other.copied_back;
        self.rows_without_files += other.rows_without_files;
        self.prompts_alone += other.prompts_alone;
        self.copies_without_row += other.copies_without_row;
        self.rows_without_copies += other.rows_without_copies;
        self.not_mended += other.not_mended;
    }
}

impl Engine {
    /// Compares and mends every cell of this node.
    ///
    /// # Errors
    /// A database's or bucket's own; nothing is mended by half, and the next run begins anew.
    pub async fn reconcile(&self) -> Result<ReconcileReport> {
        self.reconcile_since(self.0.clock.now()).await
    }

    /// The same for cells of which nobody began it within a day, however often their nodes were restarted.
    pub(crate) async fn reconcile_where_due(&self) -> Result<ReconcileReport> {
        self.reconcile_since(self.0.clock.now().plus(-DAY)).await
    }

    async fn reconcile_since(&self, due: Time) -> Result<ReconcileReport> {
        let mut total = ReconcileReport::default();
        for node in self.0.cells.values() {
            let last = data_jobs::last(&node.db, RECONCILE).await?;
            if last.is_some_and(|last| last.began_at > due) {
                continue;
            }
            let Some(lease) = self.lease(node, RECONCILE).await? else { continue };
            let report = self.reconcile_cell(node, &lease).await?;
            if !report.is_clean() {
                tracing::warn!(cell = node.cell.name, ?report, "rows and files did not agree");
            }
            total.add(&report);
            lease.finish(&report).await?;
        }
        Ok(total)
    }

    async fn reconcile_cell(&self, node: &CellNode, lease: &Lease<'_>) -> Result<ReconcileReport> {
        let (mut report, mut lost) = (ReconcileReport::default(), Lost::default());
        let settled = self.0.clock.now().plus(-SETTLED);
        let directory = workspaces::of_cell(&self.0.control, &node.cell.name).await?;
        for workspace in &directory {
            report.files_without_row += self.files_without_row(node, lease, &workspace.id).await?;
            self.find_lost(node, lease, &workspace.id, settled, &mut lost).await?;
        }
        self.mend_lost(node, lease, lost, &mut report).await?;
        report.prompts_alone = remove_prompts_alone(node, lease, settled).await?;
        let ids: BTreeSet<String> = directory.iter().map(|workspace| workspace.id.to_string()).collect();
        self.compare_copies(node, &ids, &mut report).await?;
        self.rewrap_kept_keys(node).await?;
        Ok(report)
    }

    async fn files_without_row(&self, node: &CellNode, lease: &Lease<'_>, id: &WorkspaceId) -> Result<u64> {
        let settled = self.0.clock.now().plus(-SETTLED);
        let mut files = node.bucket.list(id.as_str()).chunks(BATCH);
        let mut count = 0;
        while let Some(chunk) = files.next().await {
            if !lease.renew().await? {
                break;
            }
            let keys: Vec<String> =
                chunk.into_iter().map(|file| file.map(|(key, _)| key)).collect::<Result<_>>()?;
            let orphans = orphans_among(node, keys, settled).await?;
            count += orphans.len() as u64;
            node.bucket.delete(orphans).await?;
        }
        Ok(count)
    }

    /// Notes the rows of a workspace that lack files.
    async fn find_lost(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        id: &WorkspaceId,
        settled: Time,
        lost: &mut Lost,
    ) -> Result<()> {
        let (mut days, mut cursor) = (Days::default(), (i64::MIN, String::new()));
        while lease.renew().await? {
            let rows = orphans::live(&node.db, id, settled, &cursor, BATCH as i64).await?;
            let Some(last) = rows.last() else { break };
            cursor = (last.created_at.micros(), last.id.to_string());
            for made in rows {
                let missing = days.missing(&node.bucket, &made).await?;
                lost.note(made, missing);
            }
        }
        Ok(())
    }

    /// Files come back from their copy where there is one; rows of which nothing is left are marked as gone.
    async fn mend_lost(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        lost: Lost,
        report: &mut ReconcileReport,
    ) -> Result<()> {
        let (is_wrong_bucket, count) = (lost.is_wrong_bucket(), lost.count as u64);
        let mut gone = Vec::new();
        for row in lost.rows {
            if !lease.renew().await? {
                return Ok(());
            }
            match self.copy_back(node, &row.made, &row.missing).await {
                Ok(true) => report.copied_back += 1,
                Ok(false) if row.is_all() && lost.seen.contains(&row.made.workspace_id) => {
                    gone.push(row.made);
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, generation = %row.made.id, "lost files were not copied back");
                }
            }
        }
        if !is_wrong_bucket {
            for batch in gone.chunks(BATCH) {
                report.rows_without_files += self.mark_gone(node, batch.to_vec()).await?;
            }
        }
        report.not_mended += count - report.copied_back - report.rows_without_files;
        Ok(())
    }

    async fn mark_gone(&self, node: &CellNode, lost: Vec<NewGeneration>) -> Result<u64> {
        let free = retention::claim(&node.db, lost, self.0.clock.now()).await?;
        let gone = self.delete_files(node, free).await;
        retention::remove_content(&node.db, &gone, self.0.clock.now()).await?;
        Ok(gone.len() as u64)
    }

    /// Copies that this cell's workspaces have in other buckets. The replication stands still meanwhile, and makes whole
    /// afterwards what it broke off.
    async fn compare_copies(
        &self,
        node: &CellNode,
        ids: &BTreeSet<String>,
        report: &mut ReconcileReport,
    ) -> Result<()> {
        let Some(lease) = self.lease(node, REPLICATE).await? else { return Ok(()) };
        report.copies_without_row += self.copies_without_source(node, &lease).await?;
        for other in self.0.cells.values().filter(|other| other.cell.name != node.cell.name) {
            for folder in other.bucket.folders(FOLDER).await? {
                if folder.rsplit('/').next().is_some_and(|id| ids.contains(id)) && lease.renew().await? {
                    report.copies_without_row += unknown_copies(node, &other.bucket, &folder).await?;
                }
            }
            for id in ids {
                report.rows_without_copies += rows_without_copies(node, &lease, other, id).await?;
            }
        }
        lease.finish(&serde_json::json!({ "complete": true })).await
    }

    async fn copies_without_source(&self, node: &CellNode, lease: &Lease<'_>) -> Result<u64> {
        let mut count = 0;
        while lease.renew().await? {
            let copies = replicas::without_source(&node.db, BATCH as i64).await?;
            if copies.is_empty() {
                break;
            }
            count += copies.len() as u64;
            self.delete_replicas(node, copies).await?;
        }
        Ok(count)
    }
}

/// A batch at a time: calls wait for whoever writes.
async fn remove_prompts_alone(node: &CellNode, lease: &Lease<'_>, settled: Time) -> Result<u64> {
    let mut count = 0;
    while lease.renew().await? {
        let alone = orphans::prompts_alone(&node.db, settled, BATCH as i64).await?;
        if alone.is_empty() {
            break;
        }
        count += orphans::remove_prompts(&node.db, &alone).await?;
    }
    Ok(count)
}

/// Forgets copies that a workspace has in `other` and of which a file is gone.
async fn rows_without_copies(
    node: &CellNode,
    lease: &Lease<'_>,
    other: &CellNode,
    workspace: &str,
) -> Result<u64> {
    let (mut days, mut after, mut count) = (Days::default(), String::new(), 0);
    while lease.renew().await? {
        let copies = replicas::in_cell(&node.db, workspace, &other.cell.name, &after, BATCH as i64).await?;
        let Some(last) = copies.last() else { break };
        after.clone_from(&last.generation_id);
        let mut lost = Vec::new();
        for copy in copies {
            let missing = days.missing_of(&other.bucket, &replica_key(&copy.object_key), copy.files).await?;
            if !missing.is_empty() {
                lost.push(copy);
            }
        }
        count += lost.len() as u64;
        replicas::remove_lost(&node.db, &lost).await?;
    }
    Ok(count)
}

async fn unknown_copies(node: &CellNode, bucket: &Bucket, folder: &str) -> Result<u64> {
    let mut files = bucket.list(folder).chunks(BATCH);
    let mut count = 0;
    while let Some(chunk) = files.next().await {
        let keys: Vec<String> =
            chunk.into_iter().map(|file| file.map(|(key, _)| key)).collect::<Result<_>>()?;
        let ids: BTreeSet<String> =
            keys.iter().filter_map(|key| generation_of(key)).map(str::to_owned).collect();
        let ids: Vec<String> = ids.into_iter().collect();
        let known: BTreeSet<String> =
            replicas::of(&node.db, &ids).await?.into_iter().map(|copy| copy.generation_id).collect();
        let unknown = |key: &String| generation_of(key).is_some_and(|id| !known.contains(id));
        let unknown: Vec<String> = keys.into_iter().filter(unknown).collect();
        count += unknown.len() as u64;
        bucket.delete(unknown).await?;
    }
    Ok(count)
}

/// Those of `keys` that are of a generation which has no row, or whose row says that its files went.
async fn orphans_among(node: &CellNode, keys: Vec<String>, settled: Time) -> Result<Vec<String>> {
    let old = |id: &&str| made_at(id).is_some_and(|made| made < settled);
    let ids: BTreeSet<String> =
        keys.iter().filter_map(|key| generation_of(key)).filter(old).map(str::to_owned).collect();
    let ids: Vec<String> = ids.into_iter().collect();
    let live: BTreeSet<String> = orphans::live_among(&node.db, &ids).await?.into_iter().collect();
    let orphan = |key: &String| {
        generation_of(key)
            .is_some_and(|id| ids.binary_search_by(|own| own.as_str().cmp(id)).is_ok() && !live.contains(id))
    };
    Ok(keys.into_iter().filter(orphan).collect())
}

/// The generation that a file belongs to: its name up to the number or the ending.
fn generation_of(key: &str) -> Option<&str> {
    let name = key.rsplit('/').next()?;
    name.split(['.', '-']).next().filter(|id| id.starts_with("g_"))
}

/// Rows of a cell that lack files.
#[derive(Default)]
struct Lost {
    /// The first [`MOST`] of them.
    rows: Vec<LostRow>,
    /// How many there are.
    count: usize,
    /// How many rows were looked at.
    checked: usize,
    /// Workspaces of which a file is there.
    seen: HashSet<WorkspaceId>,
}

struct LostRow {
    made: NewGeneration,
    /// The keys of the files that are not there.
    missing: Vec<String>,
}

impl LostRow {
    fn is_all(&self) -> bool {
        self.missing.len() == self.made.files as usize
    }
}

impl Lost {
    fn note(&mut self, made: NewGeneration, missing: Vec<String>) {
        self.checked += 1;
        if missing.len() < made.files as usize && !self.seen.contains(&made.workspace_id) {
            self.seen.insert(made.workspace_id.clone());
        }
        if !missing.is_empty() {
            self.count += 1;
            if self.rows.len() < MOST {
                self.rows.push(LostRow { made, missing });
            }
        }
    }

    const fn is_wrong_bucket(&self) -> bool {
        self.count > FEW && self.count * 10 > self.checked
    }
}

/// The files of the days that rows were last asked for: rows come in the order of days, so two are enough.
#[derive(Default)]
struct Days(HashMap<String, BTreeSet<String>>);

impl Days {
    /// The keys of the generation's files that are not there.
    async fn missing(&mut self, bucket: &Bucket, made: &NewGeneration) -> Result<Vec<String>> {
        self.missing_of(bucket, &made.object_key, made.files).await
    }

    /// The same for a number of files of which the first is at `first`.
    async fn missing_of(&mut self, bucket: &Bucket, first: &str, files: u32) -> Result<Vec<String>> {
        let day = first.rsplit_once('/').map_or("", |(day, _)| day).to_owned();
        if !self.0.contains_key(&day) {
            if self.0.len() >= 2 {
                self.0.clear();
            }
            let files = bucket.list(&day).map_ok(|(key, _)| key).try_collect().await?;
            self.0.insert(day.clone(), files);
        }
        let there = self.0.get(&day);
        let is_missing = |key: &String| there.is_none_or(|there| !there.contains(key));
        Ok((1..=files).map(|number| file_key(first, number)).filter(is_missing).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_generation() {
        assert_eq!(generation_of("ws_1/2026/01/02/g_abc.png"), Some("g_abc"));
        assert_eq!(generation_of("ws_1/2026/01/02/g_abc-2.png"), Some("g_abc"));
        assert_eq!(generation_of("replicas/ws_1/2026/01/02/g_abc.thumb.png"), Some("g_abc"));
        assert_eq!(generation_of("ws_1/other.txt"), None);
    }
}
