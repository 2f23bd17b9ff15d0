//! Copies of the key table beside the media, one per backup. The backups themselves hold no keys: what an erasure
//! removes from these copies, no backup can read any more.

use std::collections::HashSet;

use crate::engine::error::{Error, Result, internal};
use crate::engine::store::data_keys::{self, WrappedKey};
use crate::engine::{CellNode, Engine};

/// Where the copies stand in the cell's bucket.
const FOLDER: &str = "keys";
/// Keys read at a time.
const BATCH: i64 = 1_000;

fn key_of(backup: &str) -> String {
    format!("{FOLDER}/{backup}.ndjson")
}

impl Engine {
    /// Keeps a copy of the key table for a backup.
    ///
    /// # Errors
    /// The database's or the bucket's own.
    pub(crate) async fn keep_keys(&self, node: &CellNode, backup: &str) -> Result<()> {
        let keys = all(node).await?;
        node.bucket.put(&key_of(backup), keys.iter().map(line).collect::<String>().into()).await?;
        // One that was destroyed while its copy was written is in no copy either.
        let left: HashSet<String> = all(node).await?.into_iter().map(|key| key.id).collect();
        let gone: Vec<String> = keys.into_iter().map(|key| key.id).filter(|id| !left.contains(id)).collect();
        if gone.is_empty() { Ok(()) } else { self.destroy_kept_keys(node, &gone).await }
    }

    /// The keys that were kept for a backup and not destroyed since.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such copy.
    pub(crate) async fn kept_keys(&self, node: &CellNode, backup: &str) -> Result<Vec<WrappedKey>> {
        read(node, &key_of(backup)).await
    }

    /// Removes keys from every copy of the table.
    ///
    /// # Errors
    /// The bucket's own; a repeat goes on.
    pub(crate) async fn destroy_kept_keys(&self, node: &CellNode, ids: &[String]) -> Result<()> {
        let copies: Vec<(String, u64)> = futures::TryStreamExt::try_collect(node.bucket.list(FOLDER)).await?;
        for (copy, _) in copies {
            let keys = match read(node, &copy).await {
                Err(Error::NotFound) => continue,
                keys => keys?,
            };
            let left: Vec<&WrappedKey> = keys.iter().filter(|key| !ids.contains(&key.id)).collect();
            if left.len() < keys.len() {
                let lines: String = left.into_iter().map(line).collect();
                node.bucket.put(&copy, lines.into()).await?;
            }
        }
        Ok(())
    }
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

async fn read(node: &CellNode, copy: &str) -> Result<Vec<WrappedKey>> {
    let bytes = node.bucket.read(copy).await?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| internal("kept keys", error))).collect()
}
