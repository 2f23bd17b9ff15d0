//! Copies of media in another cell's bucket, where a workspace asks for them. They are made behind the calls, go with
//! their source, and go all together when the workspace no longer wants them.

use serde::Serialize;
use serde_json::json;

use crate::domain::ids::WorkspaceId;
use crate::domain::region::Region;
use crate::domain::time::Time;
use crate::engine::access::scope::Scope;
use crate::engine::calls::media::{Bucket, all_keys, thumbnail_key};
use crate::engine::error::{Error, Result};
use crate::engine::leases::Lease;
use crate::engine::store::generations::NewGeneration;
use crate::engine::store::orphans;
use crate::engine::store::replicas::{self, Replica, Replicated};
use crate::engine::{CellNode, Engine};

/// The job's name.
pub(crate) const REPLICATE: &str = "replication";
/// Generations copied or deleted at a time.
pub(crate) const BATCH: i64 = 50;
/// Batches of a workspace in a run: who has much to copy does not keep the others.
pub(crate) const SHARE: usize = 10;
/// Where copies stand in the other cell's bucket, apart from that cell's own workspaces.
pub(crate) const FOLDER: &str = "replicas";

/// How far a workspace's copies are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicationView {
    /// Where copies go; `None` where they are turned off.
    pub region: Option<Region>,
    /// Generations that have a copy, or of which one is being made. Above zero while turned off: they are being deleted.
    pub copies: i64,
    /// How old the oldest file without a copy is, in microseconds; 0 where all are copied.
    pub lag_us: i64,
}

impl Engine {
    /// The cell of `region` that would take copies of this workspace's media.
    pub(crate) fn replica_cell(&self, scope: &Scope, region: Region) -> Option<&CellNode> {
        let others = self.0.cells.values().filter(|node| node.cell.name != scope.workspace.cell);
        others
            .min_by_key(|node| (node.cell.region != region, node.cell.name.clone()))
            .filter(|node| node.cell.region == region)
    }

    /// How far a workspace's copies are.
    ///
    /// # Errors
    /// The database's own.
    pub async fn replication(&self, scope: &Scope) -> Result<ReplicationView> {
        let (db, id) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let known = replicas::wanted_by(db, id).await?;
        let (to, until) = known.map_or((None, Time(0)), |wanted| (wanted.to, wanted.until));
        let oldest = match &to {
            Some(cell) => replicas::missing(db, id, cell, until, 1).await?.pop(),
            None => None,
        };
        let now = self.0.clock.now().micros();
        Ok(ReplicationView {
            region: to.as_ref().and_then(|cell| self.0.cells.get(cell)).map(|node| node.cell.region),
            copies: replicas::count(db, id).await?,
            lag_us: oldest.map_or(0, |made| now - made.created_at.micros()),
        })
    }

    /// Makes missing copies and deletes unwanted ones; tells how many generations were copied.
    ///
    /// # Errors
    /// The database's own, or a bucket's; the next run goes on where this one ended.
    pub async fn replicate(&self) -> Result<u64> {
        let mut result = Ok(0);
        for node in self.0.cells.values() {
            let Some(lease) = self.lease(node, REPLICATE).await? else { continue };
            let copied = self.replicate_cell(node, &lease).await;
            lease.finish(&json!({ "copied": copied.as_ref().ok(), "complete": copied.is_ok() })).await?;
            result = result.and_then(|sum| copied.map(|copied| sum + copied));
        }
        result
    }

    /// A storage that fails for one workspace does not keep the others waiting.
    async fn replicate_cell(&self, node: &CellNode, lease: &Lease<'_>) -> Result<u64> {
        let mut result = Ok(0);
        for workspace in replicas::wanted(&node.db).await? {
            let copied = self.replicate_workspace(node, lease, &workspace).await;
            result = result.and_then(|sum| copied.map(|copied| sum + copied));
        }
        result
    }

    /// A workspace's share of a run. What it wants is read for each batch: it may be turned off meanwhile.
    async fn replicate_workspace(&self, node: &CellNode, lease: &Lease<'_>, id: &WorkspaceId) -> Result<u64> {
        let mut copied = 0;
        for _ in 0..SHARE {
            let Some(wanted) = replicas::wanted_by(&node.db, id).await? else { break };
            let Some(batch) = self.replicate_batch(node, lease, &wanted).await? else { break };
            copied += batch;
        }
        Ok(copied)
    }

    /// Deletes a batch of unwanted copies; where there are none, tells of those that went and makes a batch of missing
    /// ones. `None` where nothing is left to do.
    async fn replicate_batch(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        wanted: &Replicated,
    ) -> Result<Option<u64>> {
        if !lease.renew().await? {
            return Ok(None);
        }
        let (db, id) = (&node.db, &wanted.workspace_id);
        let unwanted = replicas::unwanted(db, id, wanted.to.as_deref(), BATCH).await?;
        if !unwanted.is_empty() {
            self.delete_copied_files(&unwanted).await?;
            return replicas::remove_unwanted(db, id, &unwanted).await.map(|()| Some(0));
        }
        if wanted.deleted > 0 {
            self.tell_copies_deleted(wanted).await?;
        }
        match wanted.to.as_ref().and_then(|cell| self.0.cells.get(cell)) {
            Some(target) => self.copy_batch(node, lease, wanted, target).await,
            None => Ok(None),
        }
    }

    async fn copy_batch(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        wanted: &Replicated,
        target: &CellNode,
    ) -> Result<Option<u64>> {
        let (db, id, cell) = (&node.db, &wanted.workspace_id, target.cell.name.as_str());
        let missing = replicas::missing(db, id, cell, wanted.until, BATCH).await?;
        let Some(last) = missing.last() else { return Ok(None) };
        let mut copied = 0;
        for made in &missing {
            // Each time: whoever gets the lease takes it that no copy is on its way.
            if !lease.renew().await? {
                break;
            }
            copied += u64::from(self.copy(node, target, made).await?);
        }
        // One that was refused goes, or is missing again: turned off and on, it must not be passed over.
        if copied == missing.len() as u64 {
            replicas::copied_until(db, id, cell, last.created_at).await?;
        }
        Ok(Some(copied))
    }

    /// Copies one generation; false where that is not wanted any more, or the source is about to go. The row comes first,
    /// so that whoever takes the source away knows of the copy, however little of it is there.
    async fn copy(&self, node: &CellNode, target: &CellNode, made: &NewGeneration) -> Result<bool> {
        let cell = target.cell.name.as_str();
        if !replicas::begin(&node.db, made, cell).await? {
            return Ok(false);
        }
        for key in all_keys(&made.object_key, made.files) {
            match node.bucket.copy_to(&key, &target.bucket, &replica_key(&key)).await {
                // A video has no small picture, and a workspace may be deleted at the same time.
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        let kept = replicas::finish(&node.db, made, cell, self.0.clock.now()).await?;
        if !kept {
            // It took longer than the lease, and another node has deleted what was there.
            delete_copy(&target.bucket, &made.object_key, made.files).await?;
        }
        Ok(kept)
    }

    /// The number is forgotten in the act that tells it: a run that is killed or fails tells neither less nor twice.
    async fn tell_copies_deleted(&self, wanted: &Replicated) -> Result<()> {
        let Some(scope) = self.system_in(&wanted.workspace_id).await? else { return Ok(()) };
        let (data, changes) = (json!({ "generations": wanted.deleted }), vec![replicas::told(wanted)]);
        let act = self.act(&scope, "replication.copies_deleted", data, changes).await?;
        self.submit_act(&scope, act).await.map(|_| ())
    }

    /// Deletes the copies of these generations, which are claimed, wherever they are.
    pub(crate) async fn delete_copies(&self, node: &CellNode, generations: &[String]) -> Result<()> {
        let copies = replicas::of(&node.db, generations).await?;
        if copies.iter().any(|copy| !copy.is_made) {
            // Whoever makes it would write files behind this; nobody begins it anew, for its source is claimed.
            let lease = self.lease(node, REPLICATE).await?.ok_or_else(being_copied)?;
            lease.finish(&json!({ "complete": true })).await?;
        }
        if copies.is_empty() { Ok(()) } else { self.delete_replicas(node, copies).await }
    }

    /// Copies files of one generation back from its copy; false where that does not have them all, or the generation goes.
    pub(crate) async fn copy_back(
        &self,
        node: &CellNode,
        made: &NewGeneration,
        lost: &[String],
    ) -> Result<bool> {
        let Some(copy) = replicas::of(&node.db, &[made.id.to_string()]).await?.pop() else {
            return Ok(false);
        };
        if !orphans::stays(&node.db, &made.id).await? {
            return Ok(false);
        }
        let target = self.0.cells.get(&copy.cell).ok_or_else(|| served_elsewhere(&copy.cell))?;
        for key in lost.iter().chain([&thumbnail_key(&made.object_key)]) {
            match target.bucket.copy_to(&replica_key(key), &node.bucket, key).await {
                Err(Error::NotFound) if lost.contains(key) => return Ok(false),
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        let stays = orphans::stays(&node.db, &made.id).await?;
        if !stays {
            // A purge or an erasure may have been here between; it does not come again.
            node.bucket.delete(all_keys(&made.object_key, made.files)).await?;
        }
        Ok(stays)
    }

    /// Deletes copies, then forgets them.
    pub(crate) async fn delete_replicas(&self, node: &CellNode, copies: Vec<Replica>) -> Result<()> {
        self.delete_copied_files(&copies).await?;
        replicas::remove(&node.db, &copies).await
    }

    async fn delete_copied_files(&self, copies: &[Replica]) -> Result<()> {
        for copy in copies {
            let target = self.0.cells.get(&copy.cell).ok_or_else(|| served_elsewhere(&copy.cell))?;
            delete_copy(&target.bucket, &copy.object_key, copy.files).await?;
        }
        Ok(())
    }
}

fn being_copied() -> Error {
    Error::Unavailable(
        "A result is being copied to another region. Nothing was deleted; it is tried again.".into(),
    )
}

fn served_elsewhere(cell: &str) -> Error {
    tracing::warn!(
        cell,
        "copies stand in a cell that this node does not serve; a node that serves it deletes them"
    );
    Error::Unavailable(
        "The copies' cell is not served here. What is left is deleted by a node that serves it.".into(),
    )
}

async fn delete_copy(bucket: &Bucket, first: &str, files: u32) -> Result<()> {
    bucket.delete(all_keys(first, files).iter().map(|key| replica_key(key)).collect()).await
}

/// The copy's key in the other bucket.
pub(crate) fn replica_key(key: &str) -> String {
    format!("{FOLDER}/{key}")
}
