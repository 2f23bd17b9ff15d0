//! The files of the keys' copies. Each backup has a folder with a file for each part of the ids: who changes some keys
//! reads and writes the few small files in which they stand. Older versions wrote one file, which counts while it is there.

use futures::TryStreamExt;

use crate::domain::time::Time;
use crate::engine::calls::media::Bucket;
use crate::engine::error::{Error, Result, internal};
use crate::engine::store::data_keys::WrappedKey;

/// Where the copies stand in the cell's bucket.
const FOLDER: &str = "keys";
const ENDING: &str = ".ndjson";

/// The part in which a key stands: the two random digits that follow the `dk_` of its id. So keys that are read in the
/// order of their ids come part by part.
pub(super) fn part_of(id: &str) -> String {
    let digits = id.chars().skip(3).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    digits.chain(['-', '-']).take(2).collect()
}

/// The folder of a backup's copy.
pub(super) fn folder(backup: &str) -> String {
    format!("{FOLDER}/{backup}")
}

/// The file of a part.
pub(super) fn file(backup: &str, part: &str) -> String {
    format!("{FOLDER}/{backup}/{part}{ENDING}")
}

/// The one file of an older copy.
fn whole(backup: &str) -> String {
    format!("{FOLDER}/{backup}{ENDING}")
}

/// Whether a file is an older copy's only one.
pub(super) fn is_whole(file: &str) -> bool {
    file.matches('/').count() == 1
}

/// The part that a file holds.
pub(super) fn part_in(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(ENDING).unwrap_or(name)
}

/// The backup that a file belongs to.
pub(super) fn backup_in(file: &str) -> &str {
    let name = file.split('/').nth(1).unwrap_or_default();
    name.strip_suffix(ENDING).unwrap_or(name)
}

/// When that backup was taken: its name begins with the milliseconds.
pub(super) fn taken_at(file: &str) -> Option<Time> {
    let millis: i64 = backup_in(file).split('-').next()?.parse().ok()?;
    Some(Time(millis.saturating_mul(1_000)))
}

/// Every file of every copy.
///
/// # Errors
/// The bucket's own.
pub(super) async fn files(bucket: &Bucket) -> Result<Vec<String>> {
    bucket.list(FOLDER).map_ok(|(file, _)| file).try_collect().await
}

/// The keys of a backup's copy.
///
/// # Errors
/// [`Error::NotFound`] where there is none; the bucket's own.
pub(super) async fn all(bucket: &Bucket, backup: &str) -> Result<Vec<WrappedKey>> {
    match read(bucket, &whole(backup)).await {
        Err(Error::NotFound) => {}
        keys => return keys,
    }
    let files: Vec<String> = bucket.list(&folder(backup)).map_ok(|(file, _)| file).try_collect().await?;
    if files.is_empty() {
        return Err(Error::NotFound);
    }
    let mut keys = Vec::new();
    for file in files {
        keys.extend(read(bucket, &file).await?);
    }
    Ok(keys)
}

/// The keys of a file.
///
/// # Errors
/// [`Error::NotFound`] where it is gone; the bucket's own.
pub(super) async fn read(bucket: &Bucket, file: &str) -> Result<Vec<WrappedKey>> {
    let bytes = bucket.read(file).await?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| internal("kept keys", error))).collect()
}

/// Writes a file, which may be there.
///
/// # Errors
/// The bucket's own.
pub(super) async fn write(bucket: &Bucket, file: &str, keys: &[WrappedKey]) -> Result<()> {
    bucket.put(file, keys.iter().map(line).collect::<String>().into()).await
}

fn line(key: &WrappedKey) -> String {
    serde_json::to_string(key).map(|json| json + "\n").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_its_backup_and_its_part() {
        assert_eq!(["dk_7f00", "dk_7f99", "dk_7", "past"].map(part_of), ["7f", "7f", "7-", "t-"]);
        let of_part = file("1792000000000-0a1b", "7f");
        assert_eq!(of_part, "keys/1792000000000-0a1b/7f.ndjson");
        assert_eq!((part_in(&of_part), backup_in(&of_part)), ("7f", "1792000000000-0a1b"));
        let older = whole("1792000000000-0a1b");
        assert_eq!(
            (backup_in(&older), is_whole(&older), is_whole(&of_part)),
            ("1792000000000-0a1b", true, false)
        );
        assert_eq!([&of_part, &older].map(|file| taken_at(file)), [Some(Time(1_792_000_000_000_000)); 2]);
        assert_eq!(taken_at("keys/by-hand.ndjson"), None);
    }

    #[test]
    fn lines_of_older_copies_are_read() {
        let key = WrappedKey {
            id: "dk_7f".into(),
            workspace_id: "ws_1".into(),
            scope: "2026-11-22".into(),
            wrapped: vec![1, 254],
            wrapped_by: "0a".into(),
            created_at: Time(1_792_000_000_000_000),
        };
        let mut older = serde_json::to_value(&key).unwrap();
        assert_eq!(older["wrapped"], "Af4=");
        older["wrapped"] = serde_json::json!([1, 254]);
        for written in [serde_json::to_value(&key).unwrap(), older] {
            assert_eq!(serde_json::from_value::<WrappedKey>(written).unwrap(), key);
        }
    }
}
