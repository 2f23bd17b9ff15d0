//! Result files: one bucket per cell, keys under the workspace's prefix, links that are signed and end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart,
};
use subtle::ConstantTimeEq;

use crate::domain::region::Region;
use crate::domain::time::{SECOND, Time};
use crate::engine::data::sealing::{MasterKeys, mac};
use crate::engine::error::{Error, Result, internal};

/// How often and how long one request to a bucket is tried: background work comes back by itself, and a caller waits.
const RETRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);
/// Files deleted at a time.
const DELETED: usize = 500;
/// Parts of an upload that are on their way at a time, of 5 MiB each.
const PARTS: usize = 2;

/// The bucket of one cell. It reaches nothing outside its folder or prefix.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// Whether the store keeps a media type beside the bytes; folders do not.
    keeps_types: bool,
}

/// A file that is written in pieces, of which memory holds a few.
#[derive(Debug)]
pub struct Upload(WriteMultipart);

impl Upload {
    /// Adds a piece.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the bucket did not take one before it.
    pub async fn write(&mut self, piece: Vec<u8>) -> Result<()> {
        self.0.wait_for_capacity(PARTS).await.map_err(|error| unavailable("upload", &error))?;
        self.0.put(piece.into());
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the bucket did not take all of it: then there is no file.
    pub async fn finish(self) -> Result<()> {
        self.0.finish().await.map(drop).map_err(|error| unavailable("upload", &error))
    }

    /// Gives the file up, with what the bucket has of it.
    pub async fn abort(self) {
        // A bucket that fails here too drops parts by its own rules.
        let _ = self.0.abort().await;
    }
}

/// A part of a file, or all of it.
pub struct Media {
    /// The bytes, as they are read.
    pub bytes: BoxStream<'static, std::io::Result<Bytes>>,
    /// The media type.
    pub content_type: String,
    /// The whole file's length.
    pub size: u64,
    /// Which bytes these are.
    pub range: std::ops::Range<u64>,
}

impl Bucket {
    /// Opens `file:FOLDER`, which is made where missing, `s3://bucket/prefix` with the usual `AWS_…` variables for
    /// credentials and endpoint, or `memory:`, which is gone at the end (benchmarks). The bucket is in the cell's region,
    /// unless an endpoint of one's own says otherwise by `AWS_REGION`.
    ///
    /// # Errors
    /// A sentence that names the storage.
    pub fn open(storage: &str, region: Region) -> std::result::Result<Self, String> {
        match storage.split_once(':') {
            Some(("file", folder)) => Self::open_folder(folder.trim_start_matches("//")),
            Some(("s3", place)) => {
                Self::on_s3(AmazonS3Builder::from_env(), place.trim_start_matches("//"), region)
            }
            Some(("memory", _)) => Ok(Self::over(Arc::new(object_store::memory::InMemory::new()), true)),
            _ => Err(format!("Storage “{storage}” is not of the form file:FOLDER or s3://bucket/prefix.")),
        }
    }

    /// Whether `storage` could be opened, without making a folder.
    ///
    /// # Errors
    /// As [`Bucket::open`].
    pub fn check(storage: &str, region: Region) -> std::result::Result<(), String> {
        if storage.starts_with("file:") { Ok(()) } else { Self::open(storage, region).map(drop) }
    }

    fn open_folder(folder: &str) -> std::result::Result<Self, String> {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("Cannot make the media folder {folder}: {error}."))?;
        let store = LocalFileSystem::new_with_prefix(folder);
        let store = store.map_err(|error| format!("Cannot open the media folder {folder}: {error}."))?;
        Ok(Self::over(Arc::new(store), false))
    }

    /// `place` is the bucket's name and the prefix in it.
    pub(crate) fn on_s3(
        builder: AmazonS3Builder,
        place: &str,
        region: Region,
    ) -> std::result::Result<Self, String> {
        crate::engine::outbound::install_tls();
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let store = in_region(builder, region).with_bucket_name(bucket).with_retry(retry).build();
        let store = store.map_err(|error| format!("Cannot open the bucket {bucket}: {error}."))?;
        Ok(Self::over(Arc::new(PrefixStore::new(store, prefix)), true))
    }

    /// A bucket over any store.
    pub(crate) fn over(store: Arc<dyn ObjectStore>, keeps_types: bool) -> Self {
        Self { store, keeps_types }
    }

    /// Keeps a file under the media type that its key says, and checks that all of it arrived.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the bucket does not take it whole.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let (path, length) = (Path::from(key), bytes.len() as u64);
        let attributes = match self.keeps_types {
            true => Attributes::from_iter([(Attribute::ContentType, content_type(key))]),
            false => Attributes::new(),
        };
        let put = self.store.put_opts(&path, bytes.into(), attributes.into()).await;
        put.map_err(|error| unavailable("put", &error))?;
        let arrived = self.store.head(&path).await.map_err(|error| unavailable("put", &error))?.size;
        if arrived == length {
            return Ok(());
        }
        let _ = internal("put", format!("{arrived} of {length} bytes of {key} arrived"));
        Err(Error::Unavailable(
            "The media storage did not take the whole file. Nothing was charged; try again.".into(),
        ))
    }

    /// Begins a file that is written in pieces; it is there once [`Upload::finish`] answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the bucket does not take it.
    pub async fn upload(&self, key: &str) -> Result<Upload> {
        let path = Path::from(key);
        let begun = if self.keeps_types {
            let attributes = Attributes::from_iter([(Attribute::ContentType, content_type(key))]);
            self.store.put_multipart_opts(&path, attributes.into()).await
        } else {
            self.store.put_multipart(&path).await
        };
        begun.map(|begun| Upload(WriteMultipart::new(begun))).map_err(|error| unavailable("upload", &error))
    }

    /// Copies a file into another bucket.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is gone, [`Error::Unavailable`] when one of the two fails.
    pub async fn copy_to(&self, key: &str, other: &Self, other_key: &str) -> Result<()> {
        let found =
            self.store.get(&Path::from(key)).await.map_err(|error| missing_or_unavailable("copy", &error))?;
        let bytes = found.bytes().await.map_err(|error| unavailable("copy", &error))?;
        other.put(other_key, bytes).await
    }

    /// A file's bytes, for files that are small.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is gone.
    pub async fn read(&self, key: &str) -> Result<Bytes> {
        let found =
            self.store.get(&Path::from(key)).await.map_err(|error| missing_or_unavailable("read", &error))?;
        found.bytes().await.map_err(|error| unavailable("read", &error))
    }

    /// The keys and sizes of all files below `prefix`, in the store's order, as they are listed.
    pub fn list(&self, prefix: &str) -> BoxStream<'static, Result<(String, u64)>> {
        let listed = self.store.list(Some(&Path::from(prefix)));
        listed
            .map_ok(|meta| (meta.location.to_string(), meta.size))
            .map_err(|error| unavailable("list", &error))
            .boxed()
    }

    /// The names directly below `prefix` that hold files, such as the months of a year.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the bucket does not answer.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let listed = self.store.list_with_delimiter(Some(&Path::from(prefix))).await;
        let listed = listed.map_err(|error| unavailable("list", &error))?;
        Ok(listed.common_prefixes.iter().map(ToString::to_string).collect())
    }

    /// Deletes files; one that is gone already is no fault.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when one was not deleted; the others may be.
    pub async fn delete(&self, keys: Vec<String>) -> Result<()> {
        let paths = stream::iter(keys.into_iter().map(|key| Ok(Path::from(key)))).boxed();
        let mut deleted = self.store.delete_stream(paths);
        let mut fault = None;
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => fault = Some(error),
            }
        }
        fault.map_or(Ok(()), |error| Err(unavailable("delete", &error)))
    }

    /// Reads `range` of a file, or all of it.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is gone, or something of another media type stands in its place.
    pub async fn get(&self, key: &str, range: Option<GetRange>) -> Result<Media> {
        let options = GetOptions { range, ..GetOptions::default() };
        let found = self.store.get_opts(&Path::from(key), options).await;
        let found = found.map_err(|error| missing_or_unavailable("get", &error))?;
        if found.attributes.get(&Attribute::ContentType).is_some_and(|stored| **stored != *content_type(key))
        {
            let _ = internal("get", format!("{key} is not stored as {}", content_type(key)));
            return Err(Error::NotFound);
        }
        let (size, range) = (found.meta.size, found.range.clone());
        let bytes = found.into_stream().map_err(std::io::Error::other).boxed();
        Ok(Media { bytes, content_type: content_type(key).to_owned(), size, range })
    }

    /// Deletes everything below `prefix`; tells how many files went.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the bucket fails; what was deleted stays deleted, and a repeat goes on.
    pub async fn delete_below(&self, prefix: &str) -> Result<u64> {
        let mut listed = self.list(prefix).chunks(DELETED);
        let mut count = 0;
        while let Some(chunk) = listed.next().await {
            let keys: Vec<String> =
                chunk.into_iter().map(|file| file.map(|(key, _)| key)).collect::<Result<_>>()?;
            count += keys.len() as u64;
            self.delete(keys).await?;
        }
        Ok(count)
    }

    /// Whether the bucket answers.
    pub async fn answers(&self) -> bool {
        match self.store.head(&Path::from("ready")).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => true,
            Err(_) => false,
        }
    }
}

/// One node may serve several regions, but has one environment: at Amazon, each cell's bucket is in the cell's region.
fn in_region(builder: AmazonS3Builder, region: Region) -> AmazonS3Builder {
    let given = |key| builder.get_config_value(&key).is_some();
    match given(AmazonS3ConfigKey::Endpoint) && given(AmazonS3ConfigKey::Region) {
        true => builder,
        false => builder.with_region(region.as_str()),
    }
}

fn missing_or_unavailable(what: &'static str, error: &object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::NotFound,
        error => unavailable(what, error),
    }
}

fn unavailable(what: &'static str, error: &object_store::Error) -> Error {
    let _ = internal(what, error);
    Error::Unavailable(
        "The media storage does not answer. Nothing was charged; try again in a moment.".into(),
    )
}

/// The media type that a key's ending says; files are named by what their bytes are.
pub fn content_type(key: &str) -> &'static str {
    match key.rsplit_once('.').map(|(_, ending)| ending) {
        Some("png") => "image/png",
        Some("apng") => "image/apng",
        Some("jpg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        Some("mp4") => "video/mp4",
        Some("webm") => "video/webm",
        Some("json") => "application/json",
        Some("ndjson") => "application/x-ndjson",
        Some("gz") => "application/gzip",
        _ => "application/octet-stream",
    }
}

/// The key of file `number` (from 1) of a generation whose first file is at `first`.
pub fn file_key(first: &str, number: u32) -> String {
    match first.rsplit_once('.') {
        Some((stem, ending)) if number > 1 => format!("{stem}-{number}.{ending}"),
        _ => first.to_owned(),
    }
}

/// Every key of a generation: its files and the small picture beside the first.
pub fn all_keys(first: &str, files: u32) -> Vec<String> {
    (1..=files).map(|number| file_key(first, number)).chain([thumbnail_key(first)]).collect()
}

/// The key of the small picture beside a file.
pub fn thumbnail_key(first: &str) -> String {
    format!("{}.thumb.png", first.rsplit_once('.').map_or(first, |(stem, _)| stem))
}

/// Signs links to files.
#[derive(Clone)]
pub struct UrlSigner {
    /// The one in force first; older links work on after a rotation.
    keys: Vec<[u8; 32]>,
}

impl UrlSigner {
    /// A signer with its own key.
    pub fn new(keys: &MasterKeys) -> Self {
        Self { keys: keys.derive("media links") }
    }

    /// A link to the object, below `base`, that works until `expires`. The key names workspace and object, and both
    /// are signed.
    pub fn sign(&self, base: &str, key: &str, expires: Time) -> String {
        let seconds = expires.micros() / SECOND;
        format!("{base}/media/{key}?expires={seconds}&signature={}", signature(&self.keys[0], key, seconds))
    }

    /// Checks a link's parts.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a wrong signature, [`Error::Ended`] for a link that is over.
    pub fn verify(&self, key: &str, expires: &str, signature: &str, now: Time) -> Result<()> {
        let seconds: i64 = expires.parse().map_err(|_| Error::NotFound)?;
        let fits = |own: &[u8; 32]| {
            bool::from(self::signature(own, key, seconds).as_bytes().ct_eq(signature.as_bytes()))
        };
        if !self.keys.iter().any(fits) {
            return Err(Error::NotFound);
        }
        if now.micros() / SECOND >= seconds {
            return Err(Error::Ended(
                "This link has ended. Ask for the generation again to get a new one.".into(),
            ));
        }
        Ok(())
    }
}

fn signature(own: &[u8; 32], key: &str, seconds: i64) -> String {
    hex::encode(mac(own, format!("{key}\n{seconds}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_in_its_cells_region_but_for_endpoints_of_ones_own() {
        let region = |builder: &AmazonS3Builder| builder.get_config_value(&AmazonS3ConfigKey::Region);
        let environment = AmazonS3Builder::new().with_region("eu-west-1");
        let at_amazon = in_region(environment.clone(), Region::UsEast1);
        assert_eq!(region(&at_amazon).as_deref(), Some("us-east-1"));
        let own = in_region(environment.with_endpoint("https://s3.example.com"), Region::UsEast1);
        assert_eq!(region(&own).as_deref(), Some("eu-west-1"));
        let silent = AmazonS3Builder::new().with_endpoint("https://s3.example.com");
        assert_eq!(region(&in_region(silent, Region::UsEast1)).as_deref(), Some("us-east-1"));
    }
}
