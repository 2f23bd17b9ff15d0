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

/// Lets a number of operations pass, then answers every one with a fault until it is mended.
#[derive(Debug, Clone)]
pub(crate) struct Faulty {
    store: Arc<InMemory>,
    /// Operations that still pass; below zero all do.
    left: Arc<AtomicI64>,
    /// Operations that it was asked for.
    asked: Arc<AtomicUsize>,
    /// Deletions wait while a test holds it.
    pub(crate) gate: Arc<Mutex<()>>,
    /// Told when a deletion comes to the gate.
    pub(crate) reached: Arc<Notify>,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::default(),
            left: Arc::new(AtomicI64::new(-1)),
            asked: Arc::default(),
            gate: Arc::default(),
            reached: Arc::default(),
        }
    }

    /// Stands in for the bucket of a cell; no clone of the engine may be about.
    pub(crate) fn replace(&self, engine: &mut Engine, cell: &str) {
        let inner = Arc::get_mut(&mut engine.0).expect("nobody else has the engine yet");
        inner.cells.get_mut(cell).unwrap().bucket = Bucket::over(Arc::new(self.clone()), true);
    }

    /// Fails from the operation after `left` others on.
    pub(crate) fn fail_after(&self, left: i64) {
        self.left.store(left, Ordering::SeqCst);
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

    /// Loses every file.
    pub(crate) async fn lose_all(&self) {
        for key in self.keys().await {
            object_store::ObjectStoreExt::delete(self.store.as_ref(), &Path::from(key)).await.unwrap();
        }
    }

    fn pass(&self) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let left = self.left.load(Ordering::SeqCst);
        if left == 0 {
            let source = std::io::Error::other("503 Slow Down").into();
            return Err(Error::Generic { store: "faulty", source });
        }
        if left > 0 {
            self.left.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
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
        self.pass()?;
        self.store.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.pass()?;
        self.store.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.pass()?;
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let own = self.clone();
        let checked = locations.map(move |location| own.pass().and(location));
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
        match self.pass() {
            Ok(()) => self.store.list(prefix),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.pass()?;
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.pass()?;
        self.store.copy_opts(from, to, options).await
    }
}
