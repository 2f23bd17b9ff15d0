//! Marks in the bucket, which is in no backup: what stands there as erased, a restore does not bring back
//! (`engine/data/backup.rs` reads them). A mark is left before anything goes, so that no kill comes between; what then
//! stays after all loses its mark, or a restore would erase what a hold keeps by that time.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::execute::Run;
use crate::domain::data_requests::Kind;
use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::erasure::{self, MARKS};

/// What a restore does once more.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Mark {
    workspace_id: Option<WorkspaceId>,
    at: Option<Time>,
    requests: Vec<String>,
    keys: Vec<String>,
}

impl Run<'_> {
    /// Marks calls or keys as erased.
    pub(super) async fn leave_mark(&self, requests: &[String], keys: &[String]) -> Result<()> {
        let Some(first) = requests.first().or(keys.first()) else { return Ok(()) };
        let mark = Mark {
            workspace_id: Some(self.row.workspace_id.clone()),
            at: Some(self.now()),
            requests: requests.to_vec(),
            keys: keys.to_vec(),
        };
        self.write_mark(&format!("{}/{first}.json", self.folder()), &mark).await
    }

    /// Takes back what the marks of this request say of calls and keys that are still there.
    pub(super) async fn withdraw_marks(&self) -> Result<()> {
        if self.row.kind == Kind::Access {
            return Ok(());
        }
        let listed: Vec<(String, u64)> = self.node.bucket.list(&self.folder()).try_collect().await?;
        for (key, _) in listed {
            let bytes = self.node.bucket.read(&key).await?;
            let mark = serde_json::from_slice(&bytes).map_err(|error| internal("erasure mark", error))?;
            self.withdraw(key, mark).await?;
        }
        Ok(())
    }

    async fn withdraw(&self, key: String, mut mark: Mark) -> Result<()> {
        let left = erasure::not_erased(&self.node.db, &mark.requests, &mark.keys).await?;
        if left.is_empty() {
            return Ok(());
        }
        mark.requests.retain(|id| !left.contains(id));
        mark.keys.retain(|id| !left.contains(id));
        if mark.requests.is_empty() && mark.keys.is_empty() {
            return self.node.bucket.delete(vec![key]).await;
        }
        self.write_mark(&key, &mark).await
    }

    async fn write_mark(&self, key: &str, mark: &Mark) -> Result<()> {
        let json = serde_json::to_vec(mark).map_err(|error| internal("erasure mark", error))?;
        self.node.bucket.put(key, json.into()).await
    }

    fn folder(&self) -> String {
        format!("{MARKS}/{}", self.row.id)
    }
}
