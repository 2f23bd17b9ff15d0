//! Copies of the key table beside the media, one per backup. The backups themselves hold no keys: what an erasure
//! removes from these copies, no backup can read any more.
//!
//! A copy is one file, so whoever changes one reads and writes all of it: a lease sees to it that one does so at a time,
//! or a key that one destroyed would come back with the file of the other.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use crate::engine::error::{Error, Result, internal};
use crate::engine::leases::Lease;
use crate::engine::store::data_keys::{self, WrappedKey};
use crate::engine::{CellNode, Engine};

/// The lease's name.
const ESCROW: &str = "escrow";
/// Where the copies stand in the cell's bucket.
const FOLDER: &str = "keys";
/// Keys read at a time.
const BATCH: i64 = 1_000;
/// How often and how many times the lease is asked for: for ten seconds.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: u32 = 100;

fn key_of(backup: &str) -> String {
    format!("{FOLDER}/{backup}.ndjson")
}

impl Engine {
    /// Keeps a copy of the key table for a backup.
    ///
    /// # Errors
    /// The database's or the bucket's own; [`Error::Unavailable`] where others work on the copies for long.
    pub(crate) async fn keep_keys(&self, node: &CellNode, backup: &str) -> Result<()> {
        let lease = self.escrow(node).await?;
        let kept = keep(node, &lease, backup).await;
        give_back(lease).await;
        kept
    }

    /// The keys that were kept for a backup and not destroyed since.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such copy.
    pub(crate) async fn kept_keys(&self, node: &CellNode, backup: &str) -> Result<Vec<WrappedKey>> {
        read(node, &key_of(backup)).await
    }

    /// Destroys keys: in every copy of the table, then, by `in_table`, in the table itself. No copy is made meanwhile.
    ///
    /// # Errors
    /// The bucket's own, then nothing is done in the table; the database's own; [`Error::Unavailable`] where others work
    /// on the copies for long. A repeat goes on.
    pub(crate) async fn destroy_keys(
        &self,
        node: &CellNode,
        ids: &[String],
        in_table: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let lease = self.escrow(node).await?;
        let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let destroyed = match change(node, &lease, |keys| drop_keys(keys, &ids)).await {
            Ok(()) => in_table.await,
            fault => fault,
        };
        node.sealer.forget();
        give_back(lease).await;
        destroyed
    }

    /// While there is a previous master key: wraps the keys in every copy with the one in force, as those in the table.
    ///
    /// # Errors
    /// As [`Engine::destroy_keys`].
    pub(crate) async fn rewrap_kept_keys(&self, node: &CellNode) -> Result<()> {
        if !node.sealer.is_rotated() {
            return Ok(());
        }
        let lease = self.escrow(node).await?;
        let rewrapped = change(node, &lease, |keys| node.sealer.wrap_all_anew(keys)).await;
        give_back(lease).await;
        rewrapped
    }

    async fn escrow<'a>(&'a self, node: &'a CellNode) -> Result<Lease<'a>> {
        for _ in 0..TRIES {
            match self.lease(node, ESCROW).await? {
                Some(lease) => return Ok(lease),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(taken())
    }
}

fn taken() -> Error {
    let message = "A backup, purge or erasure is at work on the backups’ copies of the keys. Try again in a few minutes.";
    Error::Unavailable(message.into())
}

/// Where the database does not take it back, the lease ends by itself.
async fn give_back(lease: Lease<'_>) {
    if let Err(error) = lease.finish(&json!({})).await {
        tracing::warn!(%error, "the lease of the keys' copies was not given back; it ends in two minutes");
    }
}

async fn keep(node: &CellNode, lease: &Lease<'_>, backup: &str) -> Result<()> {
    let keys = all(node).await?;
    write(node, &key_of(backup), &keys).await?;
    // Where it took so long that the lease ended, one that was destroyed meanwhile is in this copy: it goes again.
    let left: HashSet<String> = all(node).await?.into_iter().map(|key| key.id).collect();
    let gone: HashSet<&str> =
        keys.iter().map(|key| key.id.as_str()).filter(|id| !left.contains(*id)).collect();
    if gone.is_empty() { Ok(()) } else { change(node, lease, |keys| drop_keys(keys, &gone)).await }
}

/// Those that are not in `ids`; `None` where that is all of them.
fn drop_keys(keys: Vec<WrappedKey>, ids: &HashSet<&str>) -> Result<Option<Vec<WrappedKey>>> {
    let before = keys.len();
    let left: Vec<WrappedKey> = keys.into_iter().filter(|key| !ids.contains(key.id.as_str())).collect();
    Ok((left.len() < before).then_some(left))
}

/// Writes each copy anew of which `changed` makes another.
async fn change(
    node: &CellNode,
    lease: &Lease<'_>,
    changed: impl Fn(Vec<WrappedKey>) -> Result<Option<Vec<WrappedKey>>>,
) -> Result<()> {
    let copies: Vec<(String, u64)> = futures::TryStreamExt::try_collect(node.bucket.list(FOLDER)).await?;
    for (copy, _) in copies {
        if !lease.renew().await? {
            return Err(taken());
        }
        let keys = match read(node, &copy).await {
            Err(Error::NotFound) => continue,
            keys => keys?,
        };
        if let Some(keys) = changed(keys)? {
            write(node, &copy, &keys).await?;
        }
    }
    Ok(())
}

async fn all(node: &CellNode) -> Result<Vec<WrappedKey>> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let keys = data_keys::after(&node.db, &after, BATCH).await?;
        let Some(last) = keys.last() else { return Ok(all) };
        after.clone_from(&last.id);
        all.extend(keys);
    }
}

fn line(key: &WrappedKey) -> String {
    serde_json::to_string(key).map(|json| json + "\n").unwrap_or_default()
}

async fn write(node: &CellNode, copy: &str, keys: &[WrappedKey]) -> Result<()> {
    node.bucket.put(copy, keys.iter().map(line).collect::<String>().into()).await
}

async fn read(node: &CellNode, copy: &str) -> Result<Vec<WrappedKey>> {
    let bytes = node.bucket.read(copy).await?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| internal("kept keys", error))).collect()
}
