//! A backup's files: for each database a folder with a compressed file of lines for each table, and a manifest that
//! counts their rows.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::time::Time;
use crate::engine::error::{Error, Result, internal};
use crate::engine::store::sql::Statement;
use crate::engine::store::{Db, dump, usage};

/// The form of a backup; raised when an older program could not read it.
pub(super) const FORMAT: u32 = 2;
/// Written last: a folder without it is no whole backup.
const MANIFEST: &str = "manifest.json";

/// What a backup holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Its form: 2.
    pub format: u32,
    /// Names the copy of the key table in the buckets.
    pub backup_id: String,
    /// When it was taken.
    pub taken_at: Time,
    /// Rows by database (`control`, or `cell-NAME`) and table.
    pub databases: BTreeMap<String, BTreeMap<String, u64>>,
}

fn cannot(what: &str, path: &Path, error: &dyn Display) -> Error {
    Error::Unavailable(format!("Cannot {what} {}: {error}.", path.display()))
}

fn not_whole(path: &Path, why: &dyn Display) -> Error {
    Error::Conflict(format!("{} is not whole: {why}. Nothing was restored.", path.display()))
}

/// Makes a folder in which there is nothing.
pub(super) fn make_empty(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| cannot("make the folder", folder, &error))?;
    let mut entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, &error))?;
    match entries.next() {
        Some(_) => Err(Error::Conflict(format!(
            "{} is not empty. Nothing was written; name a new folder.",
            folder.display()
        ))),
        None => Ok(()),
    }
}

pub(super) fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<()> {
    let json = serde_json::to_vec_pretty(manifest).unwrap_or_default();
    fs::write(folder.join(MANIFEST), json).map_err(|error| cannot("write", folder, &error))
}

pub(super) fn read_manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join(MANIFEST);
    let unread = |error| {
        let place = path.display();
        Error::Unavailable(format!(
            "Cannot read {place}, which a backup writes last: {error}. Nothing was restored."
        ))
    };
    let text = fs::read(&path).map_err(unread)?;
    let json: Value = serde_json::from_slice(&text).map_err(|error| not_whole(&path, &error))?;
    if json["format"] != FORMAT {
        return Err(Error::Conflict(format!(
            "{} is of another form than this program reads. Nothing was changed.",
            path.display()
        )));
    }
    serde_json::from_value(json).map_err(|error| cannot("read", &path, &error))
}

fn table_file(folder: &Path, table: &str) -> PathBuf {
    folder.join(format!("{table}.ndjson.gz"))
}

fn lines(path: &Path) -> Result<BufReader<GzDecoder<BufReader<File>>>> {
    let file = File::open(path).map_err(|error| cannot("read", path, &error))?;
    Ok(BufReader::new(GzDecoder::new(BufReader::new(file))))
}

/// Reads every file to its end, so that a broken backup is refused before anything is changed.
pub(super) fn check(folder: &Path, manifest: &Manifest) -> Result<()> {
    for (part, tables) in &manifest.databases {
        for (table, expected) in tables {
            let path = table_file(&folder.join(part), table);
            let rows = count_lines(lines(&path)?).map_err(|error| not_whole(&path, &error))?;
            if rows != *expected {
                let why = format!("it has {rows} rows, and the manifest counts {expected}");
                return Err(not_whole(&path, &why));
            }
        }
    }
    Ok(())
}

fn count_lines(mut file: impl BufRead) -> std::io::Result<u64> {
    let (mut rows, mut line) = (0, Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        rows += 1;
        line.clear();
    }
    Ok(rows)
}

/// Every table of one moment; tells the rows of each.
pub(super) async fn write_database(db: &Db, folder: &Path) -> Result<BTreeMap<String, u64>> {
    fs::create_dir_all(folder).map_err(|error| cannot("make the folder", folder, &error))?;
    let mut moment = dump::moment(db).await?;
    let mut rows = BTreeMap::new();
    for table in dump::tables(&mut moment, db.dialect).await? {
        let path = table_file(folder, &table);
        let failed = |error: std::io::Error| cannot("write", &path, &error);
        let mut file =
            GzEncoder::new(BufWriter::new(File::create(&path).map_err(failed)?), Compression::fast());
        let count = dump::write(&mut moment, &table, &mut file).await?;
        file.finish().and_then(|mut file| file.flush()).map_err(failed)?;
        rows.insert(table, count);
    }
    Ok(rows)
}

/// Replaces all rows by those of the backup and notes `fact`, all in one transaction.
pub(super) async fn read_database(db: &Db, folder: &Path, fact: Option<Statement>) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let mut tables = dump::tables(&mut transaction, db.dialect).await?;
    tables.retain(|table| table_file(folder, table).is_file());
    in_rounds(tables.clone(), async |table| dump::empty(&mut transaction, table).await).await?;
    let rows = in_rounds(tables, async |table| read_table(&mut transaction, db, folder, table).await).await?;
    if table_file(folder, "usage_hours").is_file() {
        usage::rebuild_days(&mut transaction).await?;
    }
    if let Some(fact) = fact {
        fact.run(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(rows)
}

/// Works on each table; one that refers to others, or that others refer to, waits until it is their turn. Tells the rows.
async fn in_rounds(
    mut waiting: Vec<String>,
    mut work: impl AsyncFnMut(&str) -> Result<Option<u64>>,
) -> Result<u64> {
    let mut rows = 0;
    while !waiting.is_empty() {
        let (before, mut later) = (waiting.len(), Vec::new());
        for table in waiting {
            match work(&table).await? {
                Some(count) => rows += count,
                None => later.push(table),
            }
        }
        if later.len() == before {
            return Err(internal("restore", format!("the tables {later:?} do not fit this version")));
        }
        waiting = later;
    }
    Ok(rows)
}

/// `None` where the table has to wait.
async fn read_table(
    on: &mut sqlx::AnyConnection,
    db: &Db,
    folder: &Path,
    table: &str,
) -> Result<Option<u64>> {
    let columns = dump::columns(on, db.dialect, table).await?;
    dump::savepoint(on).await?;
    match dump::read(on, table, &columns, lines(&table_file(folder, table))?).await {
        Ok(count) => dump::keep(on).await.map(|()| Some(count)),
        Err(error) => {
            tracing::debug!(%error, table, "a table waits for those that it refers to");
            dump::undo(on).await.map(|()| None)
        }
    }
}
