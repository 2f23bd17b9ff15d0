//! A bucket that fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::{Mutex, Notify};

use crate::engine::Engine;
use crate::engine::calls::media::Bucket;

/// What a bucket may answer instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 503 to everything.
    Busy,
    /// Nothing new fits; deleting and reading works.
    Full,
    /// Only reading works.
    ReadOnly,
}

/// What an operation does to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Read,
    Write,
    Delete,
}

impl Fault {
    const fn meets(self, does: Does) -> bool {
        match self {
            Self::Busy => true,
            Self::Full => matches!(does, Does::Write),
            Self::ReadOnly => !matches!(does, Does::Read),
        }
    }

    fn error(self, location: &str) -> Error {
        let (path, text) = (location.to_owned(), std::io::Error::other);
        match self {
            Self::Busy => Error::Generic { store: "faulty", source: text("503 Slow Down").into() },
            Self::Full => Error::Generic { store: "faulty", source: text("no space left on device").into() },
            Self::ReadOnly => Error::PermissionDenied { path, source: text("read-only").into() },
        }
    }
}

/// Lets a number of operations that its fault meets pass, then answers every one with it until it is mended.
#[derive(Debug, Clone)]
pub(crate) struct Faulty {
    store: Arc<InMemory>,
    /// Operations that still pass; below zero all do.
    left: Arc<AtomicI64>,
    fault: Arc<std::sync::Mutex<Fault>>,
    /// Bytes that it keeps of a file, without a word.
    kept: Arc<AtomicUsize>,
    /// Operations that it was asked for.
    asked: Arc<AtomicUsize>,
    /// Deletions wait while a test holds it.
    pub(crate) gate: Arc<Mutex<()>>,
    /// Told when a deletion comes to the gate.
    pub(crate) reached: Arc<Notify>,
    /// Files are not taken while a test holds it.
    pub(crate) door: Arc<Mutex<()>>,
    /// Told when a file comes to the door.
    pub(crate) came: Arc<Notify>,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::default(),
            left: Arc::new(AtomicI64::new(-1)),
            fault: Arc::new(std::sync::Mutex::new(Fault::Busy)),
            kept: Arc::new(AtomicUsize::new(usize::MAX)),
            asked: Arc::default(),
            gate: Arc::default(),
            reached: Arc::default(),
            door: Arc::default(),
            came: Arc::default(),
        }
    }

    /// Stands in for the bucket of a cell; no clone of the engine may be about.
    pub(crate) fn replace(&self, engine: &mut Engine, cell: &str) {
        let inner = Arc::get_mut(&mut engine.0).expect("nobody else has the engine yet");
        let (node, bucket) = (inner.cells.get_mut(cell).unwrap(), Bucket::over(Arc::new(self.clone()), true));
        (node.bucket, node.exports) = (bucket.clone(), bucket);
    }

    /// Fails from the operation after `left` others on.
    pub(crate) fn fail_after(&self, left: i64) {
        self.left.store(left, Ordering::SeqCst);
    }

    /// What it answers then; [`Fault::Busy`] where nothing else is said.
    pub(crate) fn fail_with(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub(crate) fn mend(&self) {
        self.fail_after(-1);
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> =
            self.store.list(None).map(|meta| meta.unwrap().location.to_string()).collect().await;
        keys.sort();
        keys
    }

    /// How often it was asked for something.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Keeps only so many bytes of a file from now on, and says that it has them all.
    pub(crate) fn keep_only(&self, bytes: usize) {
        self.kept.store(bytes, Ordering::SeqCst);
    }

    /// Loses every file.
    pub(crate) async fn lose_all(&self) {
        self.lose("").await;
    }

    /// Loses the files whose keys end so.
    pub(crate) async fn lose(&self, ending: &str) {
        for key in self.keys().await.into_iter().filter(|key| key.ends_with(ending)) {
            object_store::ObjectStoreExt::delete(self.store.as_ref(), &Path::from(key)).await.unwrap();
        }
    }

    fn pass(&self, does: Does, location: &str) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (left, fault) = (self.left.load(Ordering::SeqCst), *self.fault.lock().unwrap());
        match left {
            _ if !fault.meets(does) => Ok(()),
            0 => Err(fault.error(location)),
            _ => {
                self.left.fetch_sub(i64::from(left > 0), Ordering::SeqCst);
                Ok(())
            }
        }
    }
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.pass(Does::Write, location.as_ref())?;
        self.came.notify_one();
        let _open = self.door.lock().await;
        let mut bytes = bytes::Bytes::from(payload);
        bytes.truncate(self.kept.load(Ordering::SeqCst));
        self.store.put_opts(location, bytes.into(), opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.pass(Does::Write, location.as_ref())?;
        self.store.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.pass(Does::Read, location.as_ref())?;
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let own = self.clone();
        let checked = locations.map(move |location| {
            location.and_then(|path| own.pass(Does::Delete, path.as_ref()).map(|()| path))
        });
        let own = self.clone();
        let one = move |location: Result<Path>| {
            let own = own.clone();
            async move {
                let location = location?;
                own.reached.notify_one();
                let _open = own.gate.lock().await;
                object_store::ObjectStoreExt::delete(own.store.as_ref(), &location).await.map(|()| location)
            }
        };
        checked.then(one).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.pass(Does::Read, "") {
            Ok(()) => self.store.list(prefix),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.pass(Does::Read, "")?;
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.pass(Does::Write, to.as_ref())?;
        self.store.copy_opts(from, to, options).await
    }
}
