//! The monthly allowance: on the first of a month the balance is brought up to an amount, once, by whichever node comes first.

use serde_json::json;

use crate::domain::field::FieldError;
use crate::domain::ids::WorkspaceId;
use crate::domain::ledger::LARGEST_BALANCE;
use crate::domain::money::Usd;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::money::ledger_writer::Work;
use crate::engine::store::accounts;
use crate::engine::{CellNode, Engine};

impl Engine {
    /// The balance that each month begins with, where an Admin has set one.
    ///
    /// # Errors
    /// The database's own.
    pub async fn allowance(&self, scope: &Scope) -> Result<Option<Usd>> {
        accounts::allowance(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await
    }

    /// Sets the allowance, or takes it away. A new one is given for the first time on the first of the next month.
    ///
    /// # Errors
    /// The field `allowance_usd` where it is not above zero or beyond the largest balance.
    pub async fn set_allowance(&self, scope: &Scope, allowance: Option<Usd>) -> Result<()> {
        if allowance.is_some_and(|amount| !amount.is_positive() || amount > LARGEST_BALANCE) {
            let message = "is not above zero; leave it empty for no allowance. Nothing was changed";
            return Err(FieldError::new("allowance_usd", message).into());
        }
        let before = self.allowance(scope).await?;
        let month = self.0.clock.now().month_key();
        let change = accounts::set_allowance(&scope.workspace.id, allowance, &month);
        self.log_setting(scope, "allowance_usd", &before, &allowance, vec![change]).await
    }

    /// Gives every allowance of this month that is due; tells how many workspaces it looked after.
    ///
    /// # Errors
    /// The database's own; the next run goes on.
    pub async fn give_allowances(&self) -> Result<usize> {
        let mut given = 0;
        for node in self.0.cells.values() {
            if let Some(lease) = self.lease(node, "allowances").await? {
                let of_cell = self.give_allowances_of(node).await?;
                lease.finish(&json!({ "given": of_cell })).await?;
                given += of_cell;
            }
        }
        Ok(given)
    }

    async fn give_allowances_of(&self, node: &CellNode) -> Result<usize> {
        let (month, mut given) = (self.0.clock.now().month_key(), 0);
        for (workspace, allowance) in accounts::allowances_due(&node.db, &month).await? {
            given += usize::from(self.give_allowance(node, &workspace, allowance, &month).await?);
        }
        Ok(given)
    }

    /// False where the workspace is gone, or somebody gave or changed the allowance in the meantime.
    async fn give_allowance(
        &self,
        node: &CellNode,
        id: &WorkspaceId,
        up_to: Usd,
        month: &str,
    ) -> Result<bool> {
        let Some(scope) = self.system_in(id).await? else { return Ok(false) };
        let reference = format!("Monthly allowance {month}");
        let data = json!({ "reference": reference, "allowance_usd": up_to });
        let act = Box::new(self.act(&scope, "balance.topped_up", data, Vec::new()).await?);
        let mark = accounts::mark_allowance(id, up_to, month);
        match node.writer.submit(id, Work::Allowance { up_to, reference, mark, act }).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
