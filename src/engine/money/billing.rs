//! Money as people see it: balance, caps, top-ups, ledger.

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::json;

use crate::domain::field::{self, FieldError};
use crate::domain::ids::{LedgerEntryId, RequestId};
use crate::domain::ledger::{LARGEST_BALANCE, Period, Tally};
use crate::domain::money::Usd;
use crate::domain::settings::{Caps, CapsChange};
use crate::domain::time::{DAY, Time};
use crate::domain::usage::Span;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::log::reading::{Page, Paged};
use crate::engine::money::ledger_writer::Work;
use crate::engine::store::books;
use crate::engine::store::ledger::{self, LedgerEntry};
pub use crate::engine::store::ledger::{LedgerFilter, LedgerKind};
use crate::engine::store::{accounts, agents, tallies, usage};

/// Ledger entries that an export reads at a time.
const PIECE: i64 = 2_000;

/// A cap and how far it is used.
#[derive(Debug, Clone, Serialize)]
pub struct CapView {
    /// `workspace_month`, `call`, `agent_day`, `agent_month` or `agent_call`.
    pub cap: &'static str,
    /// The agent, for an agent's cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The limit.
    pub limit_usd: Usd,
    /// Charged and reserved in its period; nothing for caps per call.
    pub used_usd: Usd,
    /// When it begins anew.
    pub resets_at: Option<Time>,
}

/// The soft alert's state.
#[derive(Debug, Clone, Serialize)]
pub struct SoftAlert {
    /// Per cent of the typical month.
    pub threshold_pct: u32,
    /// Whether this month has reached it.
    pub reached: bool,
}

/// `get_credits` (contract §2).
#[derive(Debug, Clone, Serialize)]
pub struct Credits {
    /// Available and reserved.
    pub balance_usd: Usd,
    /// Set aside for calls that run.
    pub reserved_usd: Usd,
    /// What a call can still reserve.
    pub available_usd: Usd,
    /// Below it, agents are asked to stop.
    pub floor_usd: Option<Usd>,
    /// Whether the available money is below the floor.
    pub below_floor: bool,
    /// Spent this UTC month.
    pub month_to_date_usd: Usd,
    /// Mean of the last three full months with spend; until there is one, the top-ups of the first 30 days.
    pub typical_month_usd: Option<Usd>,
    /// The soft alert.
    pub soft_alert: SoftAlert,
    /// The caps that are set.
    pub caps: Vec<CapView>,
}

/// A ledger entry as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerRow {
    /// Its id.
    pub id: LedgerEntryId,
    /// When.
    pub ts: Time,
    /// `top_up` or `charge`.
    pub kind: &'static str,
    /// Above zero where money came in.
    pub amount_usd: Usd,
    /// Available and reserved afterwards.
    pub balance_after_usd: Usd,
    /// The call or act.
    pub request_id: RequestId,
    /// Who caused it.
    pub actor: String,
    /// A top-up's reference.
    pub reference: Option<String>,
}

/// A top-up's answer.
#[derive(Debug, Clone, Serialize)]
pub struct TopUp {
    /// The ledger entry.
    pub id: LedgerEntryId,
    /// When.
    pub ts: Time,
    /// How much.
    pub amount_usd: Usd,
    /// What it was paid with.
    pub reference: String,
    /// The balance afterwards.
    pub balance_usd: Usd,
}

impl Engine {
    /// Balance, month and caps of a workspace; with `agent`, the agent's caps too.
    ///
    /// # Errors
    /// The database's own.
    pub async fn credits(&self, scope: &Scope) -> Result<Credits> {
        self.credits_for(scope, None).await
    }

    pub(crate) async fn credits_for(
        &self,
        scope: &Scope,
        agent: Option<&agents::AgentRow>,
    ) -> Result<Credits> {
        let (db, id, now) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let account = self.account(&scope.workspace).await?;
        let month_to_date = usage::totals(db, id, now.month_start(), now.next_month()).await?.cost;
        let typical = self.typical_month(scope, account.created_at).await?;
        let alert_at = typical.map(|typical| typical.percent(account.caps.soft_alert_pct));
        Ok(Credits {
            balance_usd: account.available.saturating_add(account.reserved),
            reserved_usd: account.reserved,
            available_usd: account.available,
            floor_usd: account.caps.floor_usd,
            below_floor: account.caps.floor_usd.is_some_and(|floor| account.available < floor),
            month_to_date_usd: month_to_date,
            typical_month_usd: typical,
            soft_alert: SoftAlert {
                threshold_pct: account.caps.soft_alert_pct,
                reached: alert_at.is_some_and(|at| at.is_positive() && month_to_date >= at),
            },
            caps: self.cap_views(scope, &account.caps, agent).await?,
        })
    }

    async fn typical_month(&self, scope: &Scope, created_at: Time) -> Result<Option<Usd>> {
        let (db, id, now) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id, self.0.clock.now());
        let mut months = Vec::new();
        for back in 1..=3 {
            let (from, to) = (now.months_back(back), now.months_back(back - 1));
            // The month of its making is not a full one, unless it was made at its very start.
            if created_at <= from {
                months.push(usage::totals(db, id, from, to).await?.cost.micros());
            }
        }
        let spent: i64 = months.iter().sum();
        // Months in which nothing was spent say nothing of what is usual.
        if spent > 0 {
            return Ok(Some(Usd::from_micros(spent / months.len() as i64)));
        }
        let first_30_days = created_at.plus(30 * DAY);
        let topped_up = ledger::topped_up(db, id, created_at, first_30_days).await?;
        Ok(Some(topped_up).filter(|sum| sum.is_positive()))
    }

    async fn cap_views(
        &self,
        scope: &Scope,
        caps: &Caps,
        agent: Option<&agents::AgentRow>,
    ) -> Result<Vec<CapView>> {
        let now = self.0.clock.now();
        let mut views = Vec::new();
        let mut add = |cap, agent: Option<&agents::AgentRow>, limit: Option<Usd>, used: Tally, resets_at| {
            views.extend(limit.map(|limit_usd| CapView {
                cap,
                agent: agent.map(|agent| agent.name.clone()),
                limit_usd,
                used_usd: used.spent.saturating_add(used.reserved),
                resets_at,
            }));
        };
        let month = self.tally(scope, None, now.month_key()).await?;
        add("workspace_month", None, caps.workspace_month_usd, month, Some(now.next_month()));
        add("call", None, caps.call_usd, Tally::default(), None);
        if let Some(row) = agent {
            let limits = row.policy.limits();
            let day = self.tally(scope, Some(row), now.day_key()).await?;
            let month = self.tally(scope, Some(row), now.month_key()).await?;
            add("agent_day", agent, limits.day_usd, day, Some(now.next_day()));
            add("agent_month", agent, limits.month_usd, month, Some(now.next_month()));
            add("agent_call", agent, limits.call_usd, Tally::default(), None);
        }
        Ok(views)
    }

    async fn tally(&self, scope: &Scope, agent: Option<&agents::AgentRow>, key: String) -> Result<Tally> {
        let period = Period { agent: agent.map(|agent| agent.id.clone()), key };
        tallies::get(&self.cell(&scope.workspace)?.db, &books::tally_id(&scope.workspace.id, &period)).await
    }

    /// Adds money to the balance.
    ///
    /// # Errors
    /// The field `amount_usd` (not above nothing, or beyond the largest balance) or `reference`.
    pub async fn top_up(&self, scope: &Scope, amount: Usd, reference: &str) -> Result<TopUp> {
        let reference = field::text("reference", reference, 1, 200)?;
        let wrong = |message: String| Error::from(FieldError::new("amount_usd", message));
        if !amount.is_positive() {
            return Err(wrong("is not above zero; no money was moved".into()));
        }
        let data = json!({ "amount_usd": amount, "reference": reference });
        let act = Box::new(self.act(scope, "balance.topped_up", data, Vec::new()).await?);
        let work = Work::TopUp { amount, reference: reference.clone(), act };
        let outcome = self.cell(&scope.workspace)?.writer.submit(&scope.workspace.id, work).await?;
        let too_much = || {
            wrong(format!("would bring the balance above {}; no money was moved", LARGEST_BALANCE.display()))
        };
        let id = outcome.ledger_entry.ok_or_else(too_much)?;
        Ok(TopUp { id, ts: outcome.at, amount_usd: amount, reference, balance_usd: outcome.balance })
    }

    /// The last top-up of this amount with this reference, within a day: the same may have been sent twice.
    ///
    /// # Errors
    /// The database's own.
    pub async fn same_top_up(
        &self,
        scope: &Scope,
        amount: Usd,
        reference: &str,
    ) -> Result<Option<LedgerRow>> {
        let now = self.0.clock.now();
        let span = Some(Span { from: now.plus(-DAY), to: now.plus(1) });
        let filter = LedgerFilter { kind: Some(LedgerKind::TopUp), span, ..LedgerFilter::default() };
        let db = &self.cell(&scope.workspace)?.db;
        let rows = ledger::page(db, &scope.workspace.id, &filter, None, PIECE).await?;
        let is_same =
            |row: &LedgerEntry| row.amount == amount && row.reference.as_deref() == Some(reference.trim());
        Ok(rows.into_iter().find(is_same).map(LedgerRow::from))
    }

    /// The ledger's entries that match, newest first.
    ///
    /// # Errors
    /// The field `limit` or `cursor`.
    pub async fn ledger(&self, scope: &Scope, filter: &LedgerFilter, page: Page) -> Result<Paged<LedgerRow>> {
        let (limit, before) = (page.rows()?, page.place()?);
        let db = &self.cell(&scope.workspace)?.db;
        let rows = ledger::page(db, &scope.workspace.id, filter, before, limit + 1).await?;
        Ok(Paged::new(rows, limit, |row| row.seq.to_string()).map(LedgerRow::from))
    }

    /// The whole match, newest first, in memory that does not grow.
    ///
    /// # Errors
    /// [`Error::WrongRegion`]; later faults end the stream with an error.
    pub fn ledger_stream(
        &self,
        scope: &Scope,
        filter: &LedgerFilter,
    ) -> Result<BoxStream<'static, Result<LedgerRow>>> {
        let (db, id, filter) =
            (self.cell(&scope.workspace)?.db.clone(), scope.workspace.id.clone(), filter.clone());
        let pieces = stream::try_unfold(Some(i64::MAX), move |before| {
            let (db, id, filter) = (db.clone(), id.clone(), filter.clone());
            async move {
                let Some(before) = before else { return Ok(None) };
                let rows = ledger::page(&db, &id, &filter, Some(before), PIECE).await?;
                let next = rows.last().map(|row| row.seq).filter(|_| rows.len() as i64 == PIECE);
                Ok::<_, Error>(Some((stream::iter(rows.into_iter().map(|row| Ok(row.into()))), next)))
            }
        });
        Ok(pieces.try_flatten().boxed())
    }

    /// The limits of a workspace.
    ///
    /// # Errors
    /// The database's own.
    pub async fn caps(&self, scope: &Scope) -> Result<Caps> {
        Ok(self.account(&scope.workspace).await?.caps)
    }

    /// Changes the limits; the next call follows them.
    ///
    /// # Errors
    /// Names the field.
    pub async fn set_caps(&self, scope: &Scope, change: &CapsChange) -> Result<Caps> {
        let before = self.caps(scope).await?;
        let after = before.changed(change)?;
        let changes = vec![accounts::set_caps(&scope.workspace.id, &after)];
        self.log_setting(scope, "caps", &before, &after, changes).await?;
        Ok(after)
    }
}

impl From<LedgerEntry> for LedgerRow {
    fn from(entry: LedgerEntry) -> Self {
        Self {
            id: entry.id,
            ts: entry.at,
            kind: entry.kind,
            amount_usd: entry.amount,
            balance_after_usd: entry.balance_after,
            request_id: entry.request_id,
            actor: entry.actor,
            reference: entry.reference,
        }
    }
}
