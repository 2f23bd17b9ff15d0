//! Copies of the key table beside the media, one per backup. The backups themselves hold no keys: what an erasure
//! removes from these copies, no backup can read any more.
//!
//! Whoever changes a file of a copy reads and writes all of it: a lease sees to it that one does so at a time, or a key
//! that one destroyed would come back with the file of the other.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use serde_json::json;

use crate::domain::time::DAY;
use crate::engine::data::key_copies as copies;
use crate::engine::error::{Error, Result};
use crate::engine::leases::Lease;
use crate::engine::store::data_keys::{self, WrappedKey};
use crate::engine::{CellNode, Engine};

/// The lease's name.
const ESCROW: &str = "escrow";
/// Keys read at a time.
const BATCH: i64 = 1_000;
/// How often and how many times the lease is asked for: for ten seconds.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: u32 = 100;

impl Engine {
    /// Keeps a copy of the key table for a backup.
    ///
    /// # Errors
    /// The database's or the bucket's own; [`Error::Unavailable`] where others work on the copies for long. Then there is
    /// no copy.
    pub(crate) async fn keep_keys(&self, node: &CellNode, backup: &str) -> Result<()> {
        let lease = self.escrow(node).await?;
        let kept = keep(node, &lease, backup).await;
        if kept.is_err() {
            give_up(node, backup).await;
        }
        give_back(lease).await;
        kept
    }

    /// The keys that were kept for a backup and not destroyed since.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such copy.
    pub(crate) async fn kept_keys(&self, node: &CellNode, backup: &str) -> Result<Vec<WrappedKey>> {
        copies::all(&node.bucket, backup).await
    }

    /// Destroys keys: in every copy of the table, then, by `in_table`, in the table itself. No copy is made meanwhile.
    ///
    /// # Errors
    /// The bucket's own, then nothing is done in the table; the database's own; [`Error::Unavailable`] where others work
    /// on the copies for long. A repeat goes on.
    pub(crate) async fn destroy_keys<T>(
        &self,
        node: &CellNode,
        ids: &[String],
        in_table: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let lease = self.escrow(node).await?;
        let parts: BTreeSet<String> = ids.iter().map(|id| copies::part_of(id)).collect();
        let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let destroyed = match change(node, &lease, Some(&parts), |keys| drop_keys(keys, &ids)).await {
            Ok(()) => in_table.await,
            Err(fault) => Err(fault),
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
        let rewrapped = change(node, &lease, None, |keys| node.sealer.wrap_all_anew(keys)).await;
        give_back(lease).await;
        rewrapped
    }

    /// Deletes the copies of backups that are older than any that the operator keeps (setting `data.backup_days`).
    ///
    /// # Errors
    /// As [`Engine::destroy_keys`].
    pub(crate) async fn remove_old_copies(&self, node: &CellNode) -> Result<()> {
        let days = i64::from(self.0.config.data.backup_days);
        let cut = self.0.clock.now().plus(days.saturating_mul(-DAY));
        let mut old = copies::files(&node.bucket).await?;
        old.retain(|file| copies::taken_at(file).is_some_and(|taken| taken < cut));
        if old.is_empty() {
            return Ok(());
        }
        // Who changes a file meanwhile would write it again.
        let lease = self.escrow(node).await?;
        let removed = node.bucket.delete(old).await;
        give_back(lease).await;
        removed
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

async fn go_on(lease: &Lease<'_>) -> Result<()> {
    if lease.renew().await? { Ok(()) } else { Err(taken()) }
}

/// Where the database does not take it back, the lease ends by itself.
async fn give_back(lease: Lease<'_>) {
    if let Err(error) = lease.finish(&json!({})).await {
        tracing::warn!(%error, "the lease of the keys' copies was not given back; it ends in two minutes");
    }
}

/// Part by part, as the ids come: memory holds one part.
async fn keep(node: &CellNode, lease: &Lease<'_>, backup: &str) -> Result<()> {
    let (mut part, mut after) = (Vec::<WrappedKey>::new(), String::new());
    loop {
        let keys = data_keys::after(&node.db, &after, BATCH).await?;
        let Some(last) = keys.last() else { break };
        after.clone_from(&last.id);
        for key in keys {
            let begun = part.first().map(|first| copies::part_of(&first.id));
            if begun.is_some_and(|begun| begun != copies::part_of(&key.id)) {
                add(node, lease, backup, std::mem::take(&mut part)).await?;
            }
            part.push(key);
        }
    }
    add(node, lease, backup, part).await
}

/// Adds keys of one part. Where it took so long that the lease ended, one that was destroyed meanwhile may be among them:
/// then the copy is none.
async fn add(node: &CellNode, lease: &Lease<'_>, backup: &str, keys: Vec<WrappedKey>) -> Result<()> {
    let Some(first) = keys.first() else { return Ok(()) };
    let file = copies::file(backup, &copies::part_of(&first.id));
    // A database may sort odd ids by rules of its own, and so come back to a part.
    let mut kept = match copies::read(&node.bucket, &file).await {
        Err(Error::NotFound) => Vec::new(),
        kept => kept?,
    };
    kept.extend(keys);
    copies::write(&node.bucket, &file, &kept).await?;
    go_on(lease).await
}

async fn give_up(node: &CellNode, backup: &str) {
    if let Err(error) = node.bucket.delete_below(&copies::folder(backup)).await {
        tracing::warn!(%error, backup, "a part of the keys' copy of a backup that failed stays until it is too old");
    }
}

/// Those that are not in `ids`; `None` where that is all of them.
fn drop_keys(keys: Vec<WrappedKey>, ids: &HashSet<&str>) -> Result<Option<Vec<WrappedKey>>> {
    let before = keys.len();
    let left: Vec<WrappedKey> = keys.into_iter().filter(|key| !ids.contains(key.id.as_str())).collect();
    Ok((left.len() < before).then_some(left))
}

/// Writes each file anew of which `changed` makes another; with `parts` only theirs, in every copy.
async fn change(
    node: &CellNode,
    lease: &Lease<'_>,
    parts: Option<&BTreeSet<String>>,
    changed: impl Fn(Vec<WrappedKey>) -> Result<Option<Vec<WrappedKey>>>,
) -> Result<()> {
    let mut files = in_parts(node, lease).await?;
    files.retain(|file| parts.is_none_or(|parts| parts.contains(copies::part_in(file))));
    for file in files {
        go_on(lease).await?;
        let keys = match copies::read(&node.bucket, &file).await {
            Err(Error::NotFound) => continue,
            keys => keys?,
        };
        if let Some(keys) = changed(keys)? {
            copies::write(&node.bucket, &file, &keys).await?;
        }
    }
    Ok(())
}

/// Every file, after older copies were split.
async fn in_parts(node: &CellNode, lease: &Lease<'_>) -> Result<Vec<String>> {
    let files = copies::files(&node.bucket).await?;
    let (older, files): (Vec<String>, Vec<String>) =
        files.into_iter().partition(|file| copies::is_whole(file));
    if older.is_empty() {
        return Ok(files);
    }
    for file in older {
        split(node, lease, &file).await?;
    }
    copies::files(&node.bucket).await
}

/// Splits an older copy, which memory holds this once. Until it is done the old file counts, and a repeat begins anew.
async fn split(node: &CellNode, lease: &Lease<'_>, older: &str) -> Result<()> {
    let mut parts = BTreeMap::<String, Vec<WrappedKey>>::new();
    for key in copies::read(&node.bucket, older).await? {
        parts.entry(copies::part_of(&key.id)).or_default().push(key);
    }
    for (part, keys) in parts {
        go_on(lease).await?;
        copies::write(&node.bucket, &copies::file(copies::backup_in(older), &part), &keys).await?;
    }
    go_on(lease).await?;
    node.bucket.delete(vec![older.to_owned()]).await
}
