//! The archive of an access request: one tar file (POSIX ustar), made while it is fetched. Nothing of it is ever
//! stored, so an erasure or a purge has nothing more to look for.

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::domain::ids::{DataRequestId, RequestId};
use crate::domain::time::{DAY, SECOND, Time};
use crate::engine::calls::media::file_key;
use crate::engine::data::data_requests::execute::progress_of;
use crate::engine::error::{Error, Result, internal};
use crate::engine::store::data_requests::{self as store, RequestRow};
use crate::engine::store::generations::{self, NewGeneration};
use crate::engine::store::{log, workspaces};
use crate::engine::{CellNode, Engine};

/// How long the link works.
pub(super) const LINK: i64 = 7 * DAY;
/// What begins the key of an archive's link.
pub const PREFIX: &str = "archives/";
/// Tar's unit.
const BLOCK: usize = 512;
/// Calls read at a time.
const BATCH: i64 = 100;

/// What is signed in a link.
pub(super) fn link_key(row: &RequestRow) -> String {
    format!("{PREFIX}{}/{}", row.workspace_id, row.id)
}

type Chunks = mpsc::Sender<std::io::Result<Bytes>>;

impl Engine {
    /// The archive behind a signed link, in pieces, in memory that does not grow.
    ///
    /// # Errors
    /// [`Error::NotFound`] for anything wrong, [`Error::Ended`] for a link that is over.
    pub async fn open_archive(
        &self,
        key: &str,
        expires: &str,
        signature: &str,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>> {
        self.0.urls.verify(key, expires, signature, self.0.clock.now())?;
        let (workspace, id) =
            key.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')).ok_or(Error::NotFound)?;
        let workspace = workspace.parse().map_err(|_| Error::NotFound)?;
        let id: DataRequestId = id.parse().map_err(|_| Error::NotFound)?;
        let workspace = workspaces::get(&self.0.control, &workspace).await?.ok_or(Error::NotFound)?;
        let node = self.cell(&workspace)?.clone();
        let row = store::get(&node.db, &workspace.id, &id).await?.ok_or(Error::NotFound)?;
        let (chunks, received) = mpsc::channel(16);
        let now = self.0.clock.now();
        self.0.running.spawn(async move {
            let mut archive = Archive { node, row, chunks, now, listed: Vec::new(), gone: Vec::new() };
            if let Err(error) = archive.write().await {
                // Breaks the stream off, so that nobody takes a part for the whole.
                let _ = archive.chunks.send(Err(std::io::Error::other(error))).await;
            }
        });
        Ok(stream::unfold(received, |mut received| async { Some((received.recv().await?, received)) })
            .boxed())
    }
}

struct Archive {
    node: CellNode,
    row: RequestRow,
    chunks: Chunks,
    now: Time,
    /// The manifest's lines.
    listed: Vec<Value>,
    /// What a purge or an erasure took since the request was executed.
    gone: Vec<Value>,
}

impl Archive {
    async fn write(&mut self) -> Result<()> {
        for state in ["pending", "done", "held"] {
            let mut after = String::new();
            loop {
                let requests = store::items(&self.node.db, &self.row.id, state, &after, BATCH).await?;
                let Some(last) = requests.last() else { break };
                after.clone_from(last);
                for request in &requests {
                    self.write_call(request).await?;
                }
            }
        }
        let manifest = json!({
            "data_request_id": self.row.id, "workspace_id": self.row.workspace_id, "made_at": self.now,
            "match": serde_json::from_str::<Value>(&self.row.criteria).unwrap_or_default(), "files": self.listed,
            "found": progress_of(&self.row).found, "gone_meanwhile": self.gone,
        });
        self.write_bytes("manifest.json", pretty(&manifest).into()).await?;
        self.send(Bytes::from_static(&[0; 2 * BLOCK])).await
    }

    /// `calls/REQUEST.json` with the log rows and the prompt, and the results beside it.
    async fn write_call(&mut self, request: &str) -> Result<()> {
        let id: RequestId = request.parse().map_err(|error| internal("stored id", error))?;
        let rows = log::of_request(&self.node.db, &self.row.workspace_id, request).await?;
        let made = store::generations(&self.node.db, &[request.to_owned()]).await?.pop();
        let (mut files, prompt) = (Vec::new(), self.prompt(&id).await?);
        if let Some(made) = &made {
            self.note_gone(request, made, prompt.is_some());
        }
        if let Some(made) = made.filter(|made| made.deleted_at.is_none()) {
            for number in 1..=made.files {
                files.extend(self.write_result(&file_key(&made.object_key, number)).await?);
            }
        }
        let entries: Vec<_> = rows.into_iter().map(|row| row.entry).collect();
        let call = json!({ "request_id": request, "log": entries, "prompt": prompt, "results": files });
        self.write_bytes(&format!("calls/{request}.json"), pretty(&call).into()).await
    }

    /// An archive is made while it is fetched: it says what it lacks of that which there was.
    fn note_gone(&mut self, request: &str, made: &NewGeneration, has_prompt: bool) {
        if let Some(at) = made.deleted_at {
            self.gone
                .push(json!({ "request_id": request, "what": "results", "files": made.files, "since": at }));
        }
        if !has_prompt {
            self.gone.push(json!({ "request_id": request, "what": "prompt" }));
        }
    }

    async fn prompt(&self, id: &RequestId) -> Result<Option<String>> {
        let workspace = &self.row.workspace_id;
        match generations::prompt(&self.node.db, workspace, id).await? {
            Some((key, sealed)) => self.node.sealer.open_prompt(workspace, &key, id.as_str(), &sealed).await,
            None => Ok(None),
        }
    }

    /// A result under `media/`; `None` where it went meanwhile.
    async fn write_result(&mut self, key: &str) -> Result<Option<String>> {
        let media = match self.node.bucket.get(key, None).await {
            Ok(media) => media,
            Err(Error::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let path = format!("media/{}", key.rsplit('/').next().unwrap_or(key));
        self.send(header(&path, media.size, self.now)).await?;
        let (mut bytes, mut sha) = (media.bytes, Sha256::new());
        while let Some(chunk) = bytes.try_next().await.map_err(|error| internal("archive", error))? {
            sha.update(&chunk);
            self.send(chunk).await?;
        }
        self.send(padding(media.size)).await?;
        self.list(&path, media.size, sha);
        Ok(Some(path))
    }

    async fn write_bytes(&mut self, path: &str, bytes: Bytes) -> Result<()> {
        let size = bytes.len() as u64;
        self.list(path, size, Sha256::new_with_prefix(&bytes));
        self.send(header(path, size, self.now)).await?;
        self.send(bytes).await?;
        self.send(padding(size)).await
    }

    fn list(&mut self, path: &str, size: u64, sha: Sha256) {
        self.listed.push(json!({ "path": path, "bytes": size, "sha256": hex::encode(sha.finalize()) }));
    }

    async fn send(&self, bytes: Bytes) -> Result<()> {
        // Fails when nobody reads any more.
        self.chunks.send(Ok(bytes)).await.map_err(|error| internal("archive", error))
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap_or_default()
}

fn padding(size: u64) -> Bytes {
    Bytes::from(vec![0; (BLOCK - (size % BLOCK as u64) as usize) % BLOCK])
}

/// A ustar header of a plain file; paths of ours are far below its 100 bytes.
fn header(path: &str, size: u64, now: Time) -> Bytes {
    let mut block = [0u8; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, &format!("{:011o}\0", now.micros() / SECOND));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Bytes::copy_from_slice(&block)
}
