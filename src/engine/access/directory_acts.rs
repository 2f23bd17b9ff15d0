//! Acts that change the directory. Their log is in the workspace's cell, another database: a note of the act is committed
//! with the change, then the act goes into the log with what it changes in the cell, and a node that dies in between leaves
//! the note for the others.

use serde_json::Value;

use crate::domain::time::MINUTE;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::money::ledger_writer::{Act, Work};
use crate::engine::store::pending_acts::{self, PendingAct};
use crate::engine::store::sql::Statement;
use crate::engine::store::{keys, log, workspaces};
use crate::engine::{CellNode, Engine, random};

/// After so long the node that noted an act does not write it any more.
const LEFT_BEHIND: i64 = 2 * MINUTE;
/// A person was taken out of a workspace, or left it.
pub(super) const MEMBER_REMOVED: &str = "member.removed";

impl Engine {
    /// The note of an act by `scope`, for the transaction that changes the directory.
    pub(crate) async fn note_act(&self, scope: &Scope, event: &str, data: Value) -> Result<PendingAct> {
        let entry = self.act(scope, event, data, Vec::new()).await?.entry;
        Ok(PendingAct { id: hex::encode(random::bytes::<16>()), entry, made_at: self.0.clock.now() })
    }

    /// Writes a noted act into the log. Where that fails a job does it later, for what the act tells of is done.
    pub(crate) async fn write_noted(&self, scope: &Scope, act: PendingAct) {
        let written = async { self.write_into_log(self.cell(&scope.workspace)?, &act).await };
        if let Err(error) = written.await {
            tracing::warn!(%error, workspace = %scope.workspace.id, "an act is not in the log yet; it is written in a few minutes");
        }
        self.0.identities.forget();
    }

    async fn write_into_log(&self, node: &CellNode, act: &PendingAct) -> Result<()> {
        let workspace = &act.entry.workspace_id;
        let work = Act { entry: act.entry.clone(), changes: changes(act), tell_nodes: true };
        node.writer.submit(workspace, Work::Act(Box::new(work))).await?;
        pending_acts::remove(&self.0.control, &act.id).await
    }

    /// Writes the acts that nodes left behind which died, or whose cell did not answer. Tells how many.
    ///
    /// # Errors
    /// The directory's own; what a cell does not take waits for the next run.
    pub async fn write_pending_acts(&self) -> Result<usize> {
        let left = pending_acts::noted_before(&self.0.control, self.0.clock.now().plus(-LEFT_BEHIND)).await?;
        let mut count = 0;
        for act in left {
            match self.write_left_behind(&act).await {
                Ok(is_new) => count += usize::from(is_new),
                Err(error) => {
                    let workspace = &act.entry.workspace_id;
                    tracing::error!(%error, %workspace, "an act that was left behind is not in the log yet");
                }
            }
        }
        Ok(count)
    }

    /// True where the log did not have it. A cell of another server's is left to that one.
    async fn write_left_behind(&self, act: &PendingAct) -> Result<bool> {
        // Of a deleted workspace too: its log stays until its own retention ends.
        let cell = workspaces::cell_of(&self.0.control, &act.entry.workspace_id).await?;
        let Some(node) = cell.and_then(|cell| self.0.cells.get(&cell)) else { return Ok(false) };
        let Some(lease) = self.lease(node, "acts").await? else { return Ok(false) };
        let written = self.write_once(node, act).await;
        lease.finish(&serde_json::json!({ "act": act.id })).await?;
        written
    }

    async fn write_once(&self, node: &CellNode, act: &PendingAct) -> Result<bool> {
        if is_logged(node, act).await? {
            return pending_acts::remove(&self.0.control, &act.id).await.map(|()| false);
        }
        self.write_into_log(node, act).await.map(|()| true)
    }
}

/// What an act changes in the cell, in one transaction with its log entry: whoever writes it does the same.
fn changes(act: &PendingAct) -> Vec<Statement> {
    let PendingAct { entry, made_at, .. } = act;
    let user = entry.data.as_ref().and_then(|data| data["user_id"].as_str());
    match (entry.event.as_deref(), user) {
        // Keys that only slept would work again once the person is invited again.
        (Some(MEMBER_REMOVED), Some(user)) => vec![keys::end_of(&entry.workspace_id, user, *made_at)],
        _ => Vec::new(),
    }
}

/// Whether the node died only after it had written the act.
async fn is_logged(node: &CellNode, act: &PendingAct) -> Result<bool> {
    let (entry, event) = (&act.entry, act.entry.event.as_deref().unwrap_or_default());
    let logged = log::data_of_acts(&node.db, &entry.workspace_id, entry.request_id.as_str(), event).await?;
    Ok(logged.contains(&entry.data))
}
