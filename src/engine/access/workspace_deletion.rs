//! The end of a workspace. It begins under the account's lock, where holds are asked, and nothing undoes it; it is told as
//! done when all is gone. What fails or is killed in between is ended by a repeat.

use serde_json::json;

use crate::domain::field::FieldError;
use crate::domain::ids::WorkspaceId;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::store::{accounts, data_keys, generations, replicas, workspaces};
use crate::engine::{CellNode, Engine};

/// Copies deleted at a time.
const BATCH: i64 = 50;

impl Engine {
    /// Deletes a workspace: its calls end at once, its media and prompts go, its log stays until its own retention
    /// ends. `confirm` is its name.
    ///
    /// # Errors
    /// The field `confirm` when it is not the name; [`Error::Conflict`] where a legal hold keeps something: nothing was
    /// changed then. [`Error::Unavailable`] where not all is deleted yet.
    pub async fn delete_workspace(&self, scope: &Scope, confirm: &str) -> Result<()> {
        let workspace = &scope.workspace;
        if confirm.trim() != workspace.name {
            return Err(FieldError::new("confirm", "is not the workspace's name; nothing was deleted").into());
        }
        self.start_deletion(scope).await?;
        if let Err(error) = self.finish_deletion(scope).await {
            tracing::warn!(%error, workspace = %workspace.id, "a workspace is deleted in part; a repeat goes on");
            return Err(not_all_deleted());
        }
        self.0.identities.forget();
        Ok(())
    }

    /// Where it has begun before, there is nothing to do and to tell.
    async fn start_deletion(&self, scope: &Scope) -> Result<()> {
        let (cell, id) = (self.cell(&scope.workspace)?, &scope.workspace.id);
        let changes = vec![accounts::start_deletion(id, self.0.clock.now())];
        let data = json!({ "name": scope.workspace.name });
        let act = self.act(scope, "workspace.deletion_started", data, changes).await?;
        match self.submit_act(scope, act).await {
            Err(Error::NotFound) => {}
            started => return started.map(drop),
        }
        if accounts::is_being_deleted(&cell.db, id).await? { Ok(()) } else { Err(held()) }
    }

    /// The directory's entry goes last: while it is there, who deletes the workspace can go on.
    async fn finish_deletion(&self, scope: &Scope) -> Result<()> {
        let (cell, id) = (self.cell(&scope.workspace)?, &scope.workspace.id);
        self.mark_deleted_workspace(&scope.workspace).await?;
        let files = cell.bucket.delete_below(id.as_str()).await?;
        let keys = data_keys::of_content(&cell.db, id).await?;
        let in_table = generations::delete_content(&cell.db, id, self.0.clock.now());
        self.destroy_keys(cell, &keys, in_table).await?;
        self.delete_all_copies(cell, id).await?;
        self.tell_deleted(scope, cell).await?;
        workspaces::delete(&self.0.control, id, self.0.clock.now()).await?;
        tracing::info!(workspace = %id, files, "a workspace was deleted");
        Ok(())
    }

    /// Copies in a cell that this node does not serve are deleted by the replication of one that does.
    async fn delete_all_copies(&self, cell: &CellNode, id: &WorkspaceId) -> Result<()> {
        loop {
            let copies = replicas::unwanted(&cell.db, id, None, BATCH).await?;
            if copies.is_empty() || copies.iter().any(|copy| !self.0.cells.contains_key(&copy.cell)) {
                return Ok(());
            }
            self.delete_replicas(cell, copies).await?;
        }
    }

    /// Once, also where it was killed right after.
    async fn tell_deleted(&self, scope: &Scope, cell: &CellNode) -> Result<()> {
        let id = &scope.workspace.id;
        let data =
            json!({ "name": scope.workspace.name, "copies_left": replicas::count(&cell.db, id).await? });
        let changes = vec![accounts::end_deletion(id, self.0.clock.now())];
        let act = self.act(scope, "workspace.deleted", data, changes).await?;
        match self.submit_act(scope, act).await {
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn held() -> Error {
    let message = "A legal hold keeps data of this workspace. Nothing was deleted; lift the hold first.";
    Error::Conflict(message.into())
}

fn not_all_deleted() -> Error {
    let message = "The workspace’s calls have ended, but not all of it is deleted yet. Delete it again in a few minutes.";
    Error::Unavailable(message.into())
}
