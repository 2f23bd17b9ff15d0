//! Marks in the bucket, which is in no backup: what stands there as gone, a restore does not bring back. A mark is left
//! before anything goes, so that no kill comes between.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{RequestId, UserId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::access::workspaces::Workspace;
use crate::engine::calls::media::Bucket;
use crate::engine::error::{Result, internal};
use crate::engine::{CellNode, Engine};

/// Where they stand in the cell's bucket.
pub(super) const MARKS: &str = "erased";

/// What a restore does once more.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Mark {
    /// A person who deleted the account.
    pub(super) user_id: Option<UserId>,
    /// Whose the rest is.
    pub(super) workspace_id: Option<WorkspaceId>,
    /// Whether all of the workspace went.
    pub(super) deleted: bool,
    /// Calls whose content went.
    pub(super) requests: Vec<String>,
    /// Data keys that went.
    pub(super) keys: Vec<String>,
    /// When.
    pub(super) at: Option<Time>,
}

impl Mark {
    /// Leaves it under `key`, where an older one may stand.
    pub(super) async fn leave(&self, bucket: &Bucket, key: &str) -> Result<()> {
        let json = serde_json::to_vec(self).map_err(|error| internal("mark", error))?;
        bucket.put(key, json.into()).await
    }
}

/// Every mark below a folder, with its key.
pub(super) async fn read(bucket: &Bucket, folder: &str) -> Result<Vec<(String, Mark)>> {
    let listed: Vec<(String, u64)> = bucket.list(folder).try_collect().await?;
    let mut marks = Vec::with_capacity(listed.len());
    for (key, _) in listed {
        let bytes = bucket.read(&key).await?;
        let mark = serde_json::from_slice(&bytes).map_err(|error| internal("mark", error))?;
        marks.push((key, mark));
    }
    Ok(marks)
}

impl Engine {
    /// Leaves the mark of a workspace; call it when the deletion has begun, which nothing undoes.
    pub(crate) async fn mark_deleted_workspace(&self, workspace: &Workspace) -> Result<()> {
        let mark = Mark { deleted: true, ..self.mark_in(workspace) };
        let key = format!("{MARKS}/workspaces/{}.json", workspace.id);
        mark.leave(&self.cell(workspace)?.bucket, &key).await
    }

    /// The same for one call, of which somebody deleted the result and the prompt.
    pub(crate) async fn mark_deleted_call(&self, workspace: &Workspace, request: &RequestId) -> Result<()> {
        let mark = Mark { requests: vec![request.to_string()], ..self.mark_in(workspace) };
        mark.leave(&self.cell(workspace)?.bucket, &call_mark(request)).await
    }

    /// Takes back the mark of a call that was not deleted.
    pub(crate) async fn unmark_call(&self, node: &CellNode, request: &RequestId) {
        if let Err(error) = node.bucket.delete(vec![call_mark(request)]).await {
            tracing::warn!(%error, %request, "the mark of a call that was not deleted stays");
        }
    }

    /// The same in a cell's bucket for a person who deleted the account. Each cell has it: whoever restores one brings the
    /// whole directory back.
    pub(crate) async fn mark_deleted_user(&self, node: &CellNode, user: &UserId) -> Result<()> {
        let mark = Mark { user_id: Some(user.clone()), at: Some(self.0.clock.now()), ..Mark::default() };
        mark.leave(&node.bucket, &format!("{MARKS}/users/{user}.json")).await
    }

    fn mark_in(&self, workspace: &Workspace) -> Mark {
        Mark { workspace_id: Some(workspace.id.clone()), at: Some(self.0.clock.now()), ..Mark::default() }
    }
}

fn call_mark(request: &RequestId) -> String {
    format!("{MARKS}/calls/{request}.json")
}
