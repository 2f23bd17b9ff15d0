//! Backup and restore. A backup holds every table but the data keys, taken at one moment of each database while it
//! serves; media and keys stay where they are, in the cells' buckets. So nothing that is erased later can be read from
//! it, and a restore asks the bucket what must not come back.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::domain::time::Time;
use crate::engine::data::backup_files as files;
use crate::engine::data::marks::{self, MARKS, Mark};
use crate::engine::error::{Error, Result};
use crate::engine::store::data_keys::{self, WrappedKey};
use crate::engine::store::dump;
use crate::engine::store::erasure;
use crate::engine::store::workspaces;
use crate::engine::store::{Db, accounts, check, facts, generations, webhooks};
use crate::engine::{CellNode, Engine};

pub use crate::engine::data::backup_files::Manifest;

/// The folder of the control database's tables.
const CONTROL: &str = "control";
/// The fact about a cell that stands while it is restored.
const RESTORING: &str = "restoring";

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Rows that were brought back.
    pub rows: u64,
    /// Data keys that were found in the buckets.
    pub keys: u64,
    /// Calls, people and workspaces that were erased since and stay erased.
    pub erased_again: u64,
}

impl Engine {
    /// Writes a backup of every database of this node into an empty folder.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a folder that is not empty; [`Error::Unavailable`] where something cannot be read or
    /// written: then there is no manifest.
    pub async fn backup(&self, folder: &Path) -> Result<Manifest> {
        files::make_empty(folder)?;
        let taken_at = self.0.clock.now();
        let backup_id = format!("{}-{}", taken_at.millis(), hex::encode(crate::engine::random::bytes::<6>()));
        let mut databases = BTreeMap::new();
        // Cells before the directory: every account that is in a cell's copy is in the directory's.
        for (name, node) in &self.0.cells {
            let part = cell_folder(name);
            databases.insert(part.clone(), files::write_database(&node.db, &folder.join(&part)).await?);
            self.keep_keys(node, &backup_id).await?;
        }
        databases
            .insert(CONTROL.into(), files::write_database(&self.0.control, &folder.join(CONTROL)).await?);
        let manifest = Manifest { format: files::FORMAT, backup_id, taken_at, databases };
        files::write_manifest(folder, &manifest)?;
        Ok(manifest)
    }

    /// Brings a backup back into empty databases. What was erased since it was taken stays erased, and each workspace's
    /// log says that it was restored. One that was broken off begins anew; until it has ended, no server starts.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a database is in use, the backup holds a cell that this node does not serve, or one of
    /// its files is not whole: then nothing was changed; [`Error::Unavailable`] where something cannot be read.
    pub async fn restore(&self, folder: &Path) -> Result<RestoreReport> {
        let manifest = files::read_manifest(folder)?;
        self.check_restorable(&manifest).await?;
        files::check(folder, &manifest)?;
        // What must not come back is known before anything does.
        let beside = self.read_beside(&manifest.backup_id).await?;
        let mut report = RestoreReport::default();
        for part in manifest.databases.keys() {
            let fact = (part != CONTROL).then(|| facts::note(RESTORING, &manifest.backup_id));
            report.rows += files::read_database(self.database(part)?, &folder.join(part), fact).await?;
        }
        for (node, Beside { keys, marks }) in self.0.cells.values().zip(beside) {
            report.keys += keys.len() as u64;
            data_keys::insert(&node.db, keys).await?;
            for mark in marks {
                report.erased_again += self.follow(node, mark).await?;
            }
            // Of those that are gone, nobody is told once more.
            webhooks::delete_of_gone(&node.db, Time(i64::MAX)).await?;
        }
        self.remove_half_made(&manifest).await?;
        self.tell_restored(&manifest).await?;
        for node in self.0.cells.values() {
            facts::remove(&node.db, RESTORING).await?;
        }
        Ok(report)
    }

    /// The backup of which a restore was broken off: its data is there, and some that was erased since may be too.
    ///
    /// # Errors
    /// The database's own.
    pub async fn half_restored(&self) -> Result<Option<String>> {
        for node in self.0.cells.values() {
            if let Some(backup_id) = facts::get(&node.db, RESTORING).await? {
                return Ok(Some(backup_id));
            }
        }
        Ok(None)
    }

    /// For each cell, what stands in its bucket about a backup.
    async fn read_beside(&self, backup_id: &str) -> Result<Vec<Beside>> {
        let mut all = Vec::with_capacity(self.0.cells.len());
        for node in self.0.cells.values() {
            let keys = match self.kept_keys(node, backup_id).await {
                Err(Error::NotFound) => Vec::new(),
                keys => keys?,
            };
            let marks = marks::read(&node.bucket, MARKS).await?;
            all.push(Beside { keys, marks: marks.into_iter().map(|(_, mark)| mark).collect() });
        }
        Ok(all)
    }

    fn database(&self, part: &str) -> Result<&Db> {
        if part == CONTROL {
            return Ok(&self.0.control);
        }
        let node = self
            .0
            .cells
            .iter()
            .find(|(name, _)| cell_folder(name) == part)
            .map(|(_, node)| -> &Db { &node.db });
        node.ok_or_else(|| {
            Error::Conflict(format!(
                "The backup holds {part}, which this server does not serve. Nothing was changed."
            ))
        })
    }

    async fn check_restorable(&self, manifest: &Manifest) -> Result<()> {
        let goes_on = self.half_restored().await?.as_ref() == Some(&manifest.backup_id);
        for part in manifest.databases.keys() {
            let table = if part == CONTROL { "users" } else { "accounts" };
            if !dump::is_empty(self.database(part)?, table).await? && !goes_on {
                let message = format!(
                    "The database {part} is in use. Nothing was changed; restore into empty databases."
                );
                return Err(Error::Conflict(message));
            }
        }
        Ok(())
    }

    /// Does once more what a mark says was done; tells how much that was.
    async fn follow(&self, node: &CellNode, mark: Mark) -> Result<u64> {
        let now = self.0.clock.now();
        if let Some(user) = mark.user_id {
            return self.forget_again(&user).await.map(u64::from);
        }
        let Some(workspace) = mark.workspace_id else { return Ok(0) };
        if mark.deleted {
            workspaces::delete(&self.0.control, &workspace, now).await?;
            accounts::delete_again(&node.db, &workspace, now).await?;
            generations::delete_content(&node.db, &workspace, now).await?;
            return Ok(1);
        }
        erasure::forget_again(&node.db, &workspace, &mark.requests, &mark.keys, now.micros()).await?;
        Ok(mark.requests.len() as u64)
    }

    /// This node's cells that a backup holds.
    fn restored<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = (&'a String, &'a CellNode)> {
        self.0.cells.iter().filter(move |(name, _)| manifest.databases.contains_key(&cell_folder(name)))
    }

    /// Removes what the backup met while it was made. Which workspaces other cells have is not known here.
    async fn remove_half_made(&self, manifest: &Manifest) -> Result<()> {
        for (name, node) in self.restored(manifest) {
            let accounts = check::workspaces(&node.db).await?.into_iter().map(|(id, _)| id);
            workspaces::remove_without_account(&self.0.control, name, &accounts.collect()).await?;
        }
        Ok(())
    }

    async fn tell_restored(&self, manifest: &Manifest) -> Result<()> {
        for (name, node) in self.restored(manifest) {
            for listed in workspaces::of_cell(&self.0.control, name).await? {
                // A deleted one has nobody left to read it.
                let Some(workspace) = workspaces::get(&self.0.control, &listed.id).await? else { continue };
                let scope = self.system_scope(workspace);
                let data = json!({ "backup_id": manifest.backup_id, "taken_at": manifest.taken_at });
                let act = self.act(&scope, "workspace.restored", data, Vec::new()).await?;
                node.writer
                    .submit(
                        &scope.workspace.id,
                        crate::engine::money::ledger_writer::Work::Act(Box::new(act)),
                    )
                    .await?;
            }
        }
        Ok(())
    }
}

/// What a cell's bucket says about a backup.
struct Beside {
    /// Those of its data keys that were not destroyed since.
    keys: Vec<WrappedKey>,
    /// What was erased, whenever.
    marks: Vec<Mark>,
}

fn cell_folder(name: &str) -> String {
    format!("cell-{name}")
}
