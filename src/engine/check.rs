//! `agentframer check`: the invariants of design §4 on the real databases, while they serve.

use crate::domain::time::MINUTE;
use crate::engine::Engine;
use crate::engine::error::Result;
use crate::engine::store::{check, workspaces};

impl Engine {
    /// Every fault, a sentence each; none where the books are whole.
    ///
    /// # Errors
    /// When a database does not answer.
    pub async fn check(&self) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        for (name, node) in &self.0.cells {
            faults.extend(check::money(&node.db).await?);
            faults.extend(check::foreign(&node.db).await?);
            faults.extend(check::overdue(&node.db, self.0.clock.now().plus(-MINUTE)).await?);
            let directory = workspaces::of_cell(&self.0.control, name).await?;
            for (workspace, region) in check::workspaces(&node.db).await? {
                let listed = directory.iter().find(|listed| listed.id.as_str() == workspace);
                if listed.is_none_or(|listed| {
                    listed.region.as_str() != region || listed.region != node.cell.region
                }) {
                    faults
                        .push(format!("{workspace}: has an account in cell {name}, where it does not live"));
                }
                if let Some(listed) = listed {
                    faults.extend(self.log_faults(node, &listed.id).await?);
                }
            }
        }
        Ok(faults)
    }
}
