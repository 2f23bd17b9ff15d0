//! The daily export: each UTC day of a log becomes a compressed file in the cell's export storage, with a signed manifest
//! of its hashes beside it, for whoever keeps the log a second time. `agentframer audit verify` reads the files.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::TryStreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::audit::Linked;
use crate::domain::ids::WorkspaceId;
use crate::domain::search::Search;
use crate::domain::time::{DAY, MINUTE, Time};
use crate::engine::access::scope::Scope;
use crate::engine::calls::media::{Bucket, Upload};
use crate::engine::error::{Error, Result, internal};
use crate::engine::leases::Lease;
use crate::engine::log::search::Pieces;
use crate::engine::store::log_exports::{self, ExportRow};
use crate::engine::store::search::AuditFilter;
use crate::engine::store::{holds, log, workspaces};
use crate::engine::{CellNode, Engine};

/// The job's name.
const EXPORTS: &str = "log_exports";
/// Where the files stand in the export storage.
const FOLDER: &str = "exports";
/// A day is closed so long after midnight: nodes' clocks differ.
const CLOSED: i64 = 15 * MINUTE;
/// The shape of a manifest; raised when a field changes its meaning.
const VERSION: &str = "1";

/// How a workspace's daily export stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportView {
    /// Whether it is turned on.
    pub is_on: bool,
    /// The folder of its files in the export storage.
    pub folder: String,
    /// The last day that became a file.
    pub last_day: Option<String>,
    /// Why the last try failed; it is tried again.
    pub fault: Option<String>,
}

impl ExportView {
    /// Whether files are there, or come; those that are there stay where it is turned off.
    pub const fn has_files(&self) -> bool {
        self.is_on || self.last_day.is_some()
    }
}

impl Engine {
    /// Whether the log is exported each day, and how far that is.
    ///
    /// # Errors
    /// The database's own.
    pub async fn daily_export(&self, scope: &Scope) -> Result<ExportView> {
        let row = log_exports::get(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await?;
        let folder = folder(&scope.workspace.id);
        Ok(match row {
            Some(row) => ExportView { is_on: row.is_on, folder, last_day: row.last_day, fault: row.fault },
            None => ExportView { is_on: false, folder, last_day: None, fault: None },
        })
    }

    /// Turns the daily export on, from the log's first day on, or off; files that are there stay.
    ///
    /// # Errors
    /// The database's own.
    pub async fn set_daily_export(&self, scope: &Scope, is_on: bool) -> Result<()> {
        let (node, id) = (self.cell(&scope.workspace)?, &scope.workspace.id);
        let before = log_exports::get(&node.db, id).await?.is_some_and(|row| row.is_on);
        if before == is_on {
            return Ok(());
        }
        let change = match is_on {
            true => {
                let first = log::first_time(&node.db, id).await?.unwrap_or_else(|| self.0.clock.now());
                log_exports::start(id, first.day_start())
            }
            false => log_exports::end(id, self.0.clock.now()),
        };
        self.log_setting(scope, "daily_export", &before, &is_on, vec![change]).await
    }

    /// Makes the files of every day that is over; tells how many. A log that cannot be exported does not keep the others.
    ///
    /// # Errors
    /// The database's own; a storage's own is noted, and tried again.
    pub async fn export_logs(&self) -> Result<u64> {
        let (today, mut files) = (self.0.clock.now().plus(-CLOSED).day_start(), 0);
        for node in self.0.cells.values() {
            let due = log_exports::due(&node.db, today).await?;
            if due.is_empty() {
                continue;
            }
            let Some(lease) = self.lease(node, EXPORTS).await? else { continue };
            for row in due {
                files += self.export_log(node, &lease, row, today).await?;
            }
            lease.finish(&json!({ "files": files })).await?;
        }
        Ok(files)
    }

    async fn export_log(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        row: ExportRow,
        today: Time,
    ) -> Result<u64> {
        let (id, mut day, mut files) = (row.workspace_id, row.next, 0);
        let Some(workspace) = workspaces::get(&self.0.control, &id).await? else { return Ok(0) };
        let scope = self.system_scope(workspace);
        while day < today && lease.renew().await? {
            let made = match self.export_day(node, &scope, day).await {
                Ok(made) => made,
                Err(error) => {
                    tracing::warn!(%error, workspace = %id, "a day of the log was not exported");
                    log_exports::failed(&node.db, &id, &error.to_string()).await?;
                    return Ok(files);
                }
            };
            let name = made.then(|| day.date().to_string());
            files += u64::from(made);
            day = day.plus(DAY);
            log_exports::exported(&node.db, &id, name, day).await?;
        }
        Ok(files)
    }

    /// The file first, then its manifest: a file without one is not whole. False where nothing was written that day.
    async fn export_day(&self, node: &CellNode, scope: &Scope, day: Time) -> Result<bool> {
        let of_day = format!("after:{day} before:{}", day.plus(DAY));
        let search: Search = of_day.parse().map_err(|error| internal("export", error))?;
        let mut pieces = self.audit_stream(scope, &AuditFilter { kind: None, search })?;
        let Some(first) = pieces.try_next().await? else { return Ok(false) };
        let name = format!("{}/{}", folder(&scope.workspace.id), day.date().strftime("%Y/%m/%Y-%m-%d"));
        let mut file = DayFile::begin(&node.exports, &format!("{name}.ndjson.gz")).await?;
        if let Err(error) = file.add_all(first, pieces).await {
            file.upload.abort().await;
            return Err(error);
        }
        let told = file.end().await?;
        let manifest = self.0.signer.sign(&json!({
            "type": "agentframer.log_export", "version": VERSION,
            "workspace_id": scope.workspace.id, "region": scope.workspace.region, "day": day.date().to_string(),
            "file": format!("{}.ndjson.gz", day.date()), "made_at": self.0.clock.now(), "content": told,
        }))?;
        node.exports.put(&format!("{name}.manifest.json"), format!("{manifest:#}\n").into()).await?;
        Ok(true)
    }

    /// Deletes the files of whole months before `cut`: an export lives no longer than its log. A hold that is placed
    /// meanwhile keeps the months that are left.
    ///
    /// # Errors
    /// The storage's or the database's own; a repeat goes on.
    pub(crate) async fn purge_exports(
        &self,
        node: &CellNode,
        workspace: &WorkspaceId,
        cut: Time,
    ) -> Result<u64> {
        let mut gone = 0;
        for year in node.exports.folders(&folder(workspace)).await? {
            for month in node.exports.folders(&year).await? {
                let ends = end_of_month(&month);
                if ends.is_some_and(|end| end <= cut) {
                    if holds::any(&node.db, workspace).await? {
                        return Ok(gone);
                    }
                    gone += node.exports.delete_below(&month).await?;
                }
            }
        }
        // One that was turned off is listed among the places until its last file is gone.
        let left = node.exports.list(&folder(workspace)).try_next().await?;
        if left.is_none() {
            log_exports::forget(&node.db, workspace).await?;
        }
        Ok(gone)
    }
}

fn folder(workspace: &WorkspaceId) -> String {
    format!("{FOLDER}/{workspace}")
}

/// When the month of `…/2026/11` ended.
fn end_of_month(folder: &str) -> Option<Time> {
    let mut parts = folder.rsplit('/');
    let (month, year) = (parts.next()?, parts.next()?);
    Time::parse(&format!("{year}-{month}-01T00:00:00Z")).map(Time::next_month)
}

/// A day's file on its way: memory holds a piece of it.
struct DayFile {
    upload: Upload,
    gzip: GzEncoder<Vec<u8>>,
    of_file: Sha256,
    of_lines: Sha256,
    bytes: u64,
    rows: u64,
    first: Option<(i64, String)>,
    last: (i64, String),
}

impl DayFile {
    async fn begin(bucket: &Bucket, key: &str) -> Result<Self> {
        Ok(Self {
            upload: bucket.upload(key).await?,
            gzip: GzEncoder::new(Vec::new(), Compression::default()),
            of_file: Sha256::new(),
            of_lines: Sha256::new(),
            bytes: 0,
            rows: 0,
            first: None,
            last: (0, String::new()),
        })
    }

    async fn add_all(&mut self, first: Vec<Linked>, mut pieces: Pieces<Linked>) -> Result<()> {
        let mut piece = Some(first);
        while let Some(rows) = piece {
            self.add(&rows).await?;
            piece = pieces.try_next().await?;
        }
        Ok(())
    }

    async fn add(&mut self, rows: &[Linked]) -> Result<()> {
        let mut lines = Vec::with_capacity(rows.len() * 640);
        for row in rows {
            serde_json::to_writer(&mut lines, row).map_err(|error| internal("export", error))?;
            lines.push(b'\n');
            self.first.get_or_insert_with(|| (row.seq, row.prev_hash.clone()));
            self.last = (row.seq, row.hash.clone());
        }
        self.rows += rows.len() as u64;
        self.of_lines.update(&lines);
        self.gzip.write_all(&lines).map_err(|error| internal("export", error))?;
        let ready = std::mem::take(self.gzip.get_mut());
        self.send(ready).await
    }

    async fn send(&mut self, ready: Vec<u8>) -> Result<()> {
        self.of_file.update(&ready);
        self.bytes += ready.len() as u64;
        self.upload.write(ready).await
    }

    /// Sends the rest; tells what the manifest says of the content.
    async fn end(mut self) -> Result<Value> {
        self.gzip.try_finish().map_err(|error| internal("export", error))?;
        let rest = std::mem::take(self.gzip.get_mut());
        self.send(rest).await?;
        self.upload.finish().await?;
        let (first_seq, previous) = self.first.ok_or(Error::Internal)?;
        Ok(json!({
            "rows": self.rows, "bytes": self.bytes,
            "sha256": hex::encode(self.of_file.finalize()), "ndjson_sha256": hex::encode(self.of_lines.finalize()),
            "first_seq": first_seq, "prev_hash": previous, "last_seq": self.last.0, "last_hash": self.last.1,
        }))
    }
}
