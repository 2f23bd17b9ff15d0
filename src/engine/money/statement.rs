//! A month's account of a workspace, for finance: what came in, what was charged and for what. Each part adds up.

use crate::domain::focus::{Charge, Payer};
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::domain::usage::{Grouping, Interval, Span, Sums};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::money::billing::LedgerRow;
use crate::engine::store::ledger::{self, LedgerFilter, LedgerKind};
use crate::engine::store::usage;

use crate::engine::money::usage::UsageQuery;

/// One part of a statement: the same charges, taken apart by one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementPart {
    /// By what.
    pub grouping: Grouping,
    /// Each group with its sums, what cost the most first.
    pub lines: Vec<(String, Sums)>,
}

impl StatementPart {
    /// All lines together.
    pub fn total(&self) -> Sums {
        self.lines.iter().map(|(_, sums)| *sums).sum()
    }
}

/// A month's statement: `opening + topped_up - charged = closing`.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The month's first moment in UTC.
    pub month: Time,
    /// Until when it is complete: the month's end, or now.
    pub until: Time,
    /// Who pays, in the customer's own words.
    pub cost_centre: Option<String>,
    /// The balance at the month's beginning.
    pub opening: Usd,
    /// What came in.
    pub topped_up: Usd,
    /// What calls cost.
    pub charged: Usd,
    /// The balance at the month's end.
    pub closing: Usd,
    /// What came in, one by one, the newest first.
    pub top_ups: Vec<LedgerRow>,
    /// The charges by agent, by model, by tool.
    pub parts: Vec<StatementPart>,
}

impl Engine {
    /// The statement of the month that holds `month`.
    ///
    /// # Errors
    /// The database's own.
    pub async fn statement(&self, scope: &Scope, month: Time) -> Result<Statement> {
        let (db, id) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let span = Span { from: month.month_start(), to: month.next_month() };
        let mut parts = Vec::new();
        for grouping in [Grouping::User, Grouping::Model, Grouping::Tool] {
            let query = UsageQuery { span, interval: Interval::Month, grouping: Some(grouping) };
            let mut lines = self.usage(scope, query).await?.groups();
            lines.retain(|(_, sums)| sums.cost.is_positive());
            parts.push(StatementPart { grouping, lines });
        }
        let filter = LedgerFilter { kind: Some(LedgerKind::TopUp), actor: None, span: Some(span) };
        // Few by nature: each was made by a person, or by the first of the month.
        let top_ups = ledger::page(db, id, &filter, None, i64::MAX).await?;
        Ok(Statement {
            month: span.from,
            until: span.to.min(self.0.clock.now()),
            cost_centre: self.account(&scope.workspace).await?.cost_centre,
            opening: ledger::balance_before(db, id, span.from).await?,
            topped_up: top_ups.iter().map(|entry| entry.amount).sum(),
            charged: parts.first().map(StatementPart::total).unwrap_or_default().cost,
            closing: ledger::balance_before(db, id, span.to).await?,
            top_ups: top_ups.into_iter().map(LedgerRow::from).collect(),
            parts,
        })
    }

    /// The month's charges as FOCUS counts them: a line for each day, agent, tool and model.
    ///
    /// # Errors
    /// The database's own.
    pub async fn charges(&self, scope: &Scope, month: Time) -> Result<(Payer, Vec<Charge>)> {
        let (db, id) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let span = Span { from: month.month_start(), to: month.next_month() };
        let payer = Payer {
            workspace: id.to_string(),
            name: scope.workspace.name.clone(),
            region: scope.workspace.region,
            cost_centre: self.account(&scope.workspace).await?.cost_centre,
        };
        let lines = usage::charged_days(db, id, span).await?;
        let charge = |line: usage::DayLine| Charge {
            day: line.day,
            agent: line.user_id,
            tool: line.tool,
            model: line.model,
            sums: line.sums,
        };
        Ok((payer, lines.into_iter().map(charge).collect()))
    }
}
