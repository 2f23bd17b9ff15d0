//! The reconciler compares rows and files, both ways, and mends what a crash or a foreign hand left: files that no row
//! knows go, rows whose files are gone say so.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::domain::ids::{WorkspaceId, made_at};
use crate::domain::time::{DAY, HOUR, Time};
use crate::engine::calls::media::{Bucket, file_key};
use crate::engine::data::replication::{FOLDER, REPLICATE};
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
/// So many lost rows are believed whatever their share; beyond it, a share of a tenth means a wrong bucket.
const FEW: usize = 100;

/// What a run found and mended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileReport {
    /// Files without a row: deleted.
    pub files_without_row: u64,
    /// Rows without their files: marked as gone, their prompts removed.
    pub rows_without_files: u64,
    /// Prompts without a result or without a key: removed.
    pub prompts_alone: u64,
    /// Copies in another cell that nothing knows of: deleted.
    pub copies_without_row: u64,
    /// Rows that were left alone because too many lack their files: the storage is probably not the right one.
    pub not_mended: u64,
}

impl ReconcileReport {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, other: &Self) {
        self.files_without_row += other.files_without_row;
        self.rows_without_files += other.rows_without_files;
        self.prompts_alone += other.prompts_alone;
        self.copies_without_row += other.copies_without_row;
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
        let mut report = ReconcileReport::default();
        let directory = workspaces::of_cell(&self.0.control, &node.cell.name).await?;
        for workspace in &directory {
            report.files_without_row += self.files_without_row(node, lease, &workspace.id).await?;
            self.rows_without_files(node, lease, &workspace.id, &mut report).await?;
        }
        let settled = self.0.clock.now().plus(-SETTLED);
        report.prompts_alone = orphans::remove_prompts(&node.db, settled).await?;
        let ids: BTreeSet<String> = directory.iter().map(|workspace| workspace.id.to_string()).collect();
        report.copies_without_row = self.copies_without_row(node, &ids).await?;
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

    async fn rows_without_files(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        id: &WorkspaceId,
        report: &mut ReconcileReport,
    ) -> Result<()> {
        let (mut lost, mut checked, mut days) = (Vec::new(), 0, Days::default());
        let mut cursor = (i64::MIN, String::new());
        while lease.renew().await? {
            let rows = orphans::live(&node.db, id, &cursor, BATCH as i64).await?;
            let Some(last) = rows.last() else { break };
            cursor = (last.created_at.micros(), last.id.to_string());
            checked += rows.len();
            for made in rows {
                if !days.hold(&node.bucket, &made).await? {
                    lost.push(made);
                }
            }
        }
        if lost.len() > FEW && lost.len() * 10 > checked {
            report.not_mended += lost.len() as u64;
            return Ok(());
        }
        report.rows_without_files += lost.len() as u64;
        for batch in lost.chunks(BATCH) {
            let gone = self.delete_files(node, batch.to_vec()).await;
            retention::remove_content(&node.db, &gone, self.0.clock.now()).await?;
        }
        Ok(())
    }

    /// Copies that this cell's workspaces have in other buckets. The replication stands still meanwhile: it writes a
    /// copy before its row.
    async fn copies_without_row(&self, node: &CellNode, ids: &BTreeSet<String>) -> Result<u64> {
        let Some(lease) = self.lease(node, REPLICATE).await? else { return Ok(0) };
        let mut count = 0;
        for other in self.0.cells.values().filter(|other| other.cell.name != node.cell.name) {
            for folder in other.bucket.folders(FOLDER).await? {
                if folder.rsplit('/').next().is_some_and(|id| ids.contains(id)) && lease.renew().await? {
                    count += unknown_copies(node, &other.bucket, &folder).await?;
                }
            }
        }
        lease.finish(&serde_json::json!({ "complete": true })).await?;
        Ok(count)
    }
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

/// The files of the days that rows were last asked for: rows come in the order of days, so two are enough.
#[derive(Default)]
struct Days(HashMap<String, BTreeSet<String>>);

impl Days {
    /// Whether every file of the generation is there.
    async fn hold(&mut self, bucket: &Bucket, made: &NewGeneration) -> Result<bool> {
        let day = made.object_key.rsplit_once('/').map_or("", |(day, _)| day).to_owned();
        if !self.0.contains_key(&day) {
            if self.0.len() >= 2 {
                self.0.clear();
            }
            let files = bucket.list(&day).map_ok(|(key, _)| key).try_collect().await?;
            self.0.insert(day.clone(), files);
        }
        let files = self.0.get(&day);
        let is_there =
            |number| files.is_some_and(|files| files.contains(&file_key(&made.object_key, number)));
        Ok((1..=made.files).all(is_there))
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
