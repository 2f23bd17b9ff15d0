//! Hourly signed checkpoints: with one, nobody can rewrite or cut off what it covers without being found out.

use crate::domain::checkpoint::Checkpoint;
use crate::domain::ids::WorkspaceId;
use crate::domain::time::{MINUTE, Time};
use crate::engine::access::scope::Scope;
use crate::engine::error::{Result, internal};
use crate::engine::log::reading::{Page, Paged};
use crate::engine::store::checkpoints;
use crate::engine::{CellNode, Engine};

/// Time after a full hour in which what began before it is written.
const GRACE: i64 = MINUTE;

impl Engine {
    /// Signs what every log has come to by the last full hour, empty hours too: a gap would prove nothing. Hours in
    /// which no node ran are one checkpoint, but each month's end has its own, which retention cuts at.
    ///
    /// # Errors
    /// The database's own; the next run goes on.
    pub async fn make_checkpoints(&self) -> Result<usize> {
        let until = self.0.clock.now().plus(-GRACE).hour();
        let mut made = 0;
        for node in self.0.cells.values() {
            for (workspace, created_at) in checkpoints::logs(&node.db).await? {
                made += self.checkpoint_log(node, &workspace, created_at, until).await?;
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
            if checkpoints::insert(&node.db, &next, &signed.to_string()).await? {
                self.announce(node, &next, signed).await?;
            }
            // Another node may have been first: the table says which one counts.
            let kept = checkpoints::last(&node.db, workspace, to).await?;
            last = Some(kept.ok_or_else(|| internal("checkpoint", "was not kept"))?);
            made += 1;
        }
    }

    /// Writes the checkpoint into the log, from where it goes to the SIEM, which so becomes a witness. An hour in which
    /// nothing else happened needs no word.
    async fn announce(
        &self,
        node: &CellNode,
        checkpoint: &Checkpoint,
        signed: serde_json::Value,
    ) -> Result<()> {
        if !checkpoints::covers_news(&node.db, checkpoint).await? {
            return Ok(());
        }
        let Some(scope) = self.system_in(&checkpoint.workspace_id).await? else { return Ok(()) };
        let mut act = self.act(&scope, "log.checkpoint", signed, Vec::new()).await?;
        act.tell_nodes = false;
        self.submit_act(&scope, act).await.map(|_| ())
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
