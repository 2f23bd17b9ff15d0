//! Result files: one bucket per cell, keys under the workspace's prefix, links that are signed and end.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use subtle::ConstantTimeEq;

use super::error::{Error, Result, internal};
use super::sealing::{MasterKey, mac};
use crate::domain::time::{SECOND, Time};

/// The bucket of one cell. It reaches nothing outside its folder or prefix.
#[derive(Debug, Clone)]
pub struct Bucket(Arc<dyn ObjectStore>);

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
    /// credentials, region and endpoint, or `memory:`, which is gone at the end (benchmarks).
    ///
    /// # Errors
    /// A sentence that names the storage.
    pub fn open(storage: &str) -> std::result::Result<Self, String> {
        match storage.split_once(':') {
            Some(("file", folder)) => Self::open_folder(folder.trim_start_matches("//")),
            Some(("s3", place)) => Self::open_s3(place.trim_start_matches("//")),
            Some(("memory", _)) => Ok(Self(Arc::new(object_store::memory::InMemory::new()))),
            _ => Err(format!("Storage “{storage}” is not of the form file:FOLDER or s3://bucket/prefix.")),
        }
    }

    fn open_folder(folder: &str) -> std::result::Result<Self, String> {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("Cannot make the media folder {folder}: {error}."))?;
        let store = LocalFileSystem::new_with_prefix(folder);
        let store = store.map_err(|error| format!("Cannot open the media folder {folder}: {error}."))?;
        Ok(Self(Arc::new(store)))
    }

    fn open_s3(place: &str) -> std::result::Result<Self, String> {
        super::providers::http::install_tls();
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let store = AmazonS3Builder::from_env().with_bucket_name(bucket).build();
        let store = store.map_err(|error| format!("Cannot open the bucket {bucket}: {error}."))?;
        Ok(Self(Arc::new(PrefixStore::new(store, prefix))))
    }

    /// Keeps a file.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the bucket does not take it.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let put = self.0.put(&Path::from(key), bytes.into()).await;
        put.map(|_| ()).map_err(|error| unavailable("put", &error))
    }

    /// Reads `range` of a file, or all of it.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is gone.
    pub async fn get(&self, key: &str, range: Option<GetRange>) -> Result<Media> {
        let options = GetOptions { range, ..GetOptions::default() };
        let found = self.0.get_opts(&Path::from(key), options).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => Error::NotFound,
            error => unavailable("get", &error),
        })?;
        let (size, range) = (found.meta.size, found.range.clone());
        let bytes = found.into_stream().map_err(std::io::Error::other).boxed();
        Ok(Media { bytes, content_type: content_type(key).to_owned(), size, range })
    }

    /// Deletes everything below `prefix`; tells how many files went.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the bucket fails; what was deleted stays deleted, and a repeat goes on.
    pub async fn delete_below(&self, prefix: &str) -> Result<u64> {
        let path = Path::from(prefix);
        let keys: Vec<Path> = self
            .0
            .list(Some(&path))
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .map_err(|error| unavailable("list", &error))?;
        let count = keys.len() as u64;
        for key in keys {
            self.0.delete(&key).await.map_err(|error| unavailable("delete", &error))?;
        }
        Ok(count)
    }

    /// Whether the bucket answers.
    pub async fn answers(&self) -> bool {
        match self.0.head(&Path::from("ready")).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => true,
            Err(_) => false,
        }
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

/// The key of the small picture beside a file.
pub fn thumbnail_key(first: &str) -> String {
    format!("{}.thumb.png", first.rsplit_once('.').map_or(first, |(stem, _)| stem))
}

/// Signs links to files.
#[derive(Debug, Clone)]
pub struct UrlSigner([u8; 32]);

impl UrlSigner {
    /// A signer with its own key.
    pub fn new(master: &MasterKey) -> Self {
        Self(master.derive("media links"))
    }

    /// A link to the object, below `base`, that works until `expires`. The key names workspace and object, and both
    /// are signed.
    pub fn sign(&self, base: &str, key: &str, expires: Time) -> String {
        let seconds = expires.micros() / SECOND;
        format!("{base}/media/{key}?expires={seconds}&signature={}", self.signature(key, seconds))
    }

    /// Checks a link's parts.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a wrong signature, [`Error::Ended`] for a link that is over.
    pub fn verify(&self, key: &str, expires: &str, signature: &str, now: Time) -> Result<()> {
        let seconds: i64 = expires.parse().map_err(|_| Error::NotFound)?;
        let expected = self.signature(key, seconds);
        if !bool::from(expected.as_bytes().ct_eq(signature.as_bytes())) {
            return Err(Error::NotFound);
        }
        if now.micros() / SECOND >= seconds {
            return Err(Error::Ended(
                "This link has ended. Ask for the generation again to get a new one.".into(),
            ));
        }
        Ok(())
    }

    fn signature(&self, key: &str, seconds: i64) -> String {
        hex::encode(mac(&self.0, format!("{key}\n{seconds}").as_bytes()))
    }
}
