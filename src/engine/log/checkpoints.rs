//! Hourly signed checkpoints: with one, nobody can rewrite or cut off what it covers without being found out.

use crate::domain::checkpoint::Checkpoint;
use crate::domain::ids::WorkspaceId;
use crate::domain::time::{MINUTE, Time};
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result, internal};
use crate::engine::log::reading::{Page, Paged};
use crate::engine::store::checkpoints;
use crate::engine::{CellNode, Engine};

/// Time after a full hour in which what began before it is written.
const GRACE: i64 = MINUTE;

impl Engine {
    /// Signs what every log has come to by the last full hour, empty hours too: a gap would prove nothing. Hours in
    /// which no node ran are one checkpoint, but each month's end has its own, which retention cuts at.
    ///
    /// A log that cannot be signed is told of and holds up no other.
    ///
    /// # Errors
    /// The database's own; the next run goes on.
    pub async fn make_checkpoints(&self) -> Result<usize> {
        let until = self.0.clock.now().plus(-GRACE).hour();
        let mut made = 0;
        for node in self.0.cells.values() {
            for (workspace, created_at) in checkpoints::logs(&node.db).await? {
                match self.checkpoint_log(node, &workspace, created_at, until).await {
                    Ok(more) => made += more,
                    Err(error) => {
                        tracing::error!(%error, %workspace, "a log got no checkpoint; it is tried again");
                    }
                }
            }
        }
        Ok(made)
    }

    async fn checkpoint_log(
        &self,
        node: &CellNode,
        workspace: &WorkspaceId,
        created_at: Time,
        until: Time,
    ) -> Result<usize> {
        let mut last = checkpoints::last(&node.db, workspace, until).await?;
        let mut made = 0;
        loop {
            let from = last.as_ref().map_or(created_at, |last: &Checkpoint| last.to);
            if from >= until {
                return Ok(made);
            }
            let to = from.next_month().min(until);
            let end = checkpoints::log_end(&node.db, workspace, to).await?;
            let next = Checkpoint::following(last.as_ref(), workspace.clone(), created_at, end, to);
            let signed = self.0.signer.sign(&next)?;
            self.keep_checkpoint(node, &next, signed).await?;
            // Another node may have been first: the table says which one counts.
            let kept = checkpoints::last(&node.db, workspace, to).await?;
            last = Some(kept.ok_or_else(|| internal("checkpoint", "was not kept"))?);
            made += 1;
        }
    }

    /// Keeps the checkpoint, unless another node was first, and says so in the log, from where it goes to the SIEM, which
    /// so becomes a witness. An hour in which nothing else happened needs no word.
    async fn keep_checkpoint(
        &self,
        node: &CellNode,
        checkpoint: &Checkpoint,
        signed: serde_json::Value,
    ) -> Result<()> {
        let change = checkpoints::insert(checkpoint, &signed.to_string());
        let scope = match checkpoints::covers_news(&node.db, checkpoint).await? {
            true => self.system_in(&checkpoint.workspace_id).await?,
            false => None,
        };
        let Some(scope) = scope else { return checkpoints::run(&node.db, change).await };
        let mut act = self.act(&scope, "log.checkpoint", signed, vec![change]).await?;
        act.tell_nodes = false;
        match self.submit_act(&scope, act).await {
            // Nothing was inserted: it is there.
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A log's signed checkpoints, the newest first.
    ///
    /// # Errors
    /// The field `limit` or `cursor`.
    pub async fn checkpoints(&self, scope: &Scope, page: Page) -> Result<Paged<serde_json::Value>> {
        let (limit, before) = (page.rows()?, page.place()?);
        let db = &self.cell(&scope.workspace)?.db;
        let rows = checkpoints::page(db, &scope.workspace.id, before, limit + 1).await?;
        Ok(Paged::new(rows, limit, |signed| signed["number"].to_string()))
    }
}
