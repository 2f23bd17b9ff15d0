//! One transaction's work: decided job by job by the pure ledger, written with a handful of multi-row statements.

use std::collections::HashMap;

use sqlx::AnyConnection;

use super::{Act, CallRecord, Job, Outcome, Work};
use crate::domain::audit::{Entry, link};
use crate::domain::ids::{LedgerEntryId, RequestId, WorkspaceId};
use crate::domain::ledger::{Command, HoldState, Period, Posting, Reserve, decide};
use crate::domain::money::Usd;
use crate::domain::refusals::Refusal;
use crate::domain::time::Time;
use crate::engine::error::{Error, Result};
use crate::engine::random;
use crate::engine::store::attempts::{self, Attempt};
use crate::engine::store::books::{self, Changes, Ledger};
use crate::engine::store::generations::{self, NewGeneration, SealedPrompt};
use crate::engine::store::ledger::{self as entries, LedgerEntry};
use crate::engine::store::log::{self, LogRow};
use crate::engine::store::sql::Statement;
use crate::engine::store::usage::{self, Usage};
use crate::engine::store::{Dialect, TELL_NODES};

/// Rows that only grow, collected over a batch.
#[derive(Debug, Default)]
struct Rows {
    entries: Vec<LedgerEntry>,
    log: Vec<LogRow>,
    generations: Vec<NewGeneration>,
    prompts: Vec<SealedPrompt>,
    usage: Vec<Usage>,
    attempts: Vec<Attempt>,
    tell_nodes: bool,
}

/// One transaction's state.
pub(super) struct Batch {
    ledgers: HashMap<WorkspaceId, Ledger>,
    now: Time,
    changes: Changes,
    rows: Rows,
}

impl Batch {
    pub(super) fn new(ledgers: HashMap<WorkspaceId, Ledger>, now: Time) -> Self {
        Self { ledgers, now, changes: Changes::default(), rows: Rows::default() }
    }

    /// What becomes of `job`, after the work that came before it.
    pub(super) async fn post(&mut self, on: &mut AnyConnection, job: &Job) -> Result<Outcome> {
        let workspace = &job.workspace;
        if !self.ledgers.contains_key(workspace) {
            return Err(Error::NotFound);
        }
        match &job.work {
            Work::Reserve(reserve) => self.reserve(workspace, reserve),
            Work::Settle { request_id, cost, record } => self.settle(workspace, request_id, *cost, record),
            Work::Release { request_id, attempt, event } => {
                self.release(workspace, request_id, attempt.as_deref(), event.as_deref())
            }
            Work::TopUp { amount, reference, act } => self.top_up(workspace, *amount, reference, act),
            Work::Allowance { up_to, reference, mark, act } => {
                run_all(on, std::slice::from_ref(mark)).await?;
                self.allowance(workspace, *up_to, reference, act)
            }
            Work::Call(record) => self.call(workspace, record),
            Work::Act(act) => self.act(on, workspace, act).await,
            Work::Attempt(attempt) => self.attempt(workspace, attempt),
        }
    }

    fn ledger(&mut self, workspace: &WorkspaceId) -> Result<&mut Ledger> {
        self.ledgers.get_mut(workspace).ok_or(Error::NotFound)
    }

    fn decide(
        &mut self,
        workspace: &WorkspaceId,
        command: &Command,
    ) -> Result<std::result::Result<Posting, Refusal>> {
        let now = self.now;
        Ok(decide(&mut self.ledger(workspace)?.books, command, now))
    }

    fn outcome(
        &self,
        workspace: &WorkspaceId,
        posting: Option<std::result::Result<Posting, Refusal>>,
    ) -> Outcome {
        let balance = self.ledgers.get(workspace).map_or(Usd::ZERO, |ledger| ledger.books.account.balance());
        Outcome { posting, balance, answer: None, ledger_entry: None, at: self.now }
    }

    fn reserve(&mut self, workspace: &WorkspaceId, reserve: &Reserve) -> Result<Outcome> {
        let posting = self.decide(workspace, &Command::Reserve(reserve.clone().into()))?;
        if posting == Ok(Posting::Reserved) {
            let hold = self
                .ledger(workspace)?
                .books
                .holds
                .get(&reserve.request_id)
                .cloned()
                .ok_or(Error::Internal)?;
            self.touch(workspace, hold.periods());
            self.changes.keys.extend(hold.key.iter().map(|key| (workspace.clone(), key.clone())));
            self.changes.reserved.push((workspace.clone(), hold));
        }
        Ok(self.outcome(workspace, Some(posting)))
    }

    fn touch(&mut self, workspace: &WorkspaceId, periods: [Period; 3]) {
        self.changes.touched.insert(workspace.clone());
        self.changes.periods.extend(periods.map(|period| (workspace.clone(), period)));
    }

    fn ended(&mut self, workspace: &WorkspaceId, request_id: &RequestId, state: HoldState) -> Result<()> {
        let hold = self.ledger(workspace)?.books.holds.get(request_id).cloned().ok_or(Error::Internal)?;
        self.touch(workspace, hold.periods());
        self.changes.ended.entry(state.as_str()).or_default().push(request_id.to_string());
        Ok(())
    }

    fn settle(
        &mut self,
        workspace: &WorkspaceId,
        id: &RequestId,
        cost: Usd,
        record: &CallRecord,
    ) -> Result<Outcome> {
        let posting = self.decide(workspace, &Command::Settle { request_id: id.clone(), cost })?;
        let charged = match posting {
            Ok(Posting::Settled { charged }) => charged,
            Ok(Posting::Late) => return self.settle_late(workspace, record, posting),
            _ => return Ok(self.outcome(workspace, Some(posting))),
        };
        self.ended(workspace, id, HoldState::Settled)?;
        let mut outcome = self.outcome(workspace, Some(posting));
        let entry = self.charge(workspace, id, charged, &record.entry.user_id)?;
        let answer = self.write_call(workspace, record, charged)?;
        if let Some(key) = self.ledger(workspace)?.books.keep_answer(id, &answer.to_string()) {
            self.changes.keys.insert((workspace.clone(), key));
        }
        outcome.answer = Some(answer);
        outcome.ledger_entry = Some(entry);
        Ok(outcome)
    }

    /// The money went back before the result came: the result is kept and shown, and nothing is charged.
    fn settle_late(
        &mut self,
        workspace: &WorkspaceId,
        record: &CallRecord,
        posting: std::result::Result<Posting, Refusal>,
    ) -> Result<Outcome> {
        let mut late = record.clone();
        if let Some(generation) = &mut late.generation {
            generation.late = true;
        }
        let answer = self.write_call(workspace, &late, Usd::ZERO)?;
        Ok(Outcome { answer: Some(answer), ..self.outcome(workspace, Some(posting)) })
    }

    fn charge(
        &mut self,
        workspace: &WorkspaceId,
        id: &RequestId,
        charged: Usd,
        actor: &str,
    ) -> Result<LedgerEntryId> {
        let amount = Usd::ZERO.saturating_sub(charged);
        self.ledger_entry(workspace, "charge", amount, id, actor, None)
    }

    fn ledger_entry(
        &mut self,
        workspace: &WorkspaceId,
        kind: &'static str,
        amount: Usd,
        request_id: &RequestId,
        actor: &str,
        reference: Option<String>,
    ) -> Result<LedgerEntryId> {
        let now = self.now;
        let ledger = self.ledger(workspace)?;
        // Its log entry is written right after it, at the same time: a month's charges are those that its log tells.
        let (balance_after, seq) = (ledger.books.account.balance(), ledger.log.seq + 1);
        let at = now.max(ledger.log.ts);
        let id: LedgerEntryId = random::id(self.now);
        self.rows.entries.push(LedgerEntry {
            id: id.clone(),
            workspace_id: workspace.clone(),
            seq,
            kind,
            amount,
            balance_after,
            request_id: request_id.clone(),
            actor: actor.to_owned(),
            reference,
            at,
        });
        Ok(id)
    }

    fn release(
        &mut self,
        workspace: &WorkspaceId,
        id: &RequestId,
        attempt: Option<&Attempt>,
        event: Option<&Entry>,
    ) -> Result<Outcome> {
        let key = self.ledger(workspace)?.books.holds.get(id).and_then(|hold| hold.key.clone());
        let posting = self.decide(workspace, &Command::Release { request_id: id.clone() })?;
        if matches!(posting, Ok(Posting::Released { .. })) {
            self.ended(workspace, id, HoldState::Released)?;
            let freed = key
                .filter(|key| self.ledgers.get(workspace).is_some_and(|l| !l.books.keys.contains_key(key)));
            self.changes.freed_keys.extend(freed.map(|key| books::key_id(workspace, &key)));
            self.rows.attempts.extend(attempt.cloned());
            if let Some(event) = event {
                self.append(workspace, event.clone())?;
            }
        }
        Ok(self.outcome(workspace, Some(posting)))
    }

    fn top_up(
        &mut self,
        workspace: &WorkspaceId,
        amount: Usd,
        reference: &str,
        act: &Act,
    ) -> Result<Outcome> {
        let posting = self.decide(workspace, &Command::TopUp { amount })?;
        let mut outcome = self.outcome(workspace, Some(posting.clone()));
        if posting.is_ok() {
            let (id, actor) = (&act.entry.request_id, &act.entry.user_id);
            let entry =
                self.ledger_entry(workspace, "top_up", amount, id, actor, Some(reference.to_owned()))?;
            outcome.ledger_entry = Some(entry);
            self.append(workspace, act.entry.clone())?;
        }
        Ok(outcome)
    }

    /// Only under the account's lock is it known how much is missing.
    fn allowance(
        &mut self,
        workspace: &WorkspaceId,
        up_to: Usd,
        reference: &str,
        act: &Act,
    ) -> Result<Outcome> {
        let missing = up_to.saturating_sub(self.ledger(workspace)?.books.account.balance());
        if !missing.is_positive() {
            return Ok(self.outcome(workspace, None));
        }
        let mut act = act.clone();
        if let Some(data) = act.entry.data.as_mut().and_then(serde_json::Value::as_object_mut) {
            data.insert("amount_usd".into(), serde_json::to_value(missing).unwrap_or_default());
        }
        self.top_up(workspace, missing, reference, &act)
    }

    fn call(&mut self, workspace: &WorkspaceId, record: &CallRecord) -> Result<Outcome> {
        let answer = self.write_call(workspace, record, Usd::ZERO)?;
        Ok(Outcome { answer: Some(answer), ..self.outcome(workspace, None) })
    }

    async fn act(&mut self, on: &mut AnyConnection, workspace: &WorkspaceId, act: &Act) -> Result<Outcome> {
        run_all(on, &act.changes).await?;
        self.rows.tell_nodes |= act.tell_nodes;
        self.append(workspace, act.entry.clone())?;
        Ok(self.outcome(workspace, None))
    }

    fn attempt(&mut self, workspace: &WorkspaceId, attempt: &Attempt) -> Result<Outcome> {
        self.rows.attempts.push(attempt.clone());
        Ok(self.outcome(workspace, None))
    }

    /// The log entry, the roll-up, the prompt and the generation of a call that cost `charged`.
    fn write_call(
        &mut self,
        workspace: &WorkspaceId,
        record: &CallRecord,
        charged: Usd,
    ) -> Result<serde_json::Value> {
        let ledger = self.ledger(workspace)?;
        let (balance, retention_days) = (ledger.books.account.balance(), ledger.media_days);
        let entry = Entry { cost_usd: charged, retention_days, ..record.entry.clone() };
        let at = self.append_with_balance(workspace, entry, Some(balance))?;
        // The retention may have been changed while the call ran, and only here is it known which one counts.
        let expires_at = self.ledger(workspace)?.end_of_media(at);
        self.rows.usage.push(Usage { cost: charged, calls: 1, at, ..record.usage.clone() });
        let prompt = record.prompt.clone();
        self.rows.prompts.extend(prompt.map(|prompt| SealedPrompt { created_at: at, expires_at, ..prompt }));
        let generation = record.generation.clone();
        self.rows.generations.extend(generation.map(|made| NewGeneration {
            cost: charged,
            created_at: at,
            expires_at,
            ..made
        }));
        let mut answer = record.answer.clone();
        if let Some(fields) = answer.as_object_mut().filter(|fields| fields.contains_key("cost_usd")) {
            fields.insert("cost_usd".into(), serde_json::to_value(charged).unwrap_or_default());
            fields.insert("balance_after_usd".into(), serde_json::to_value(balance).unwrap_or_default());
        }
        Ok(answer)
    }

    fn append(&mut self, workspace: &WorkspaceId, entry: Entry) -> Result<Time> {
        self.append_with_balance(workspace, entry, None)
    }

    /// Puts `entry` at the log's end; its time is now, but never before the entry in front of it.
    fn append_with_balance(
        &mut self,
        workspace: &WorkspaceId,
        mut entry: Entry,
        balance: Option<Usd>,
    ) -> Result<Time> {
        let now = self.now;
        let log = &mut self.ledger(workspace)?.log;
        let at = now.max(log.ts);
        entry.ts = at;
        let linked = link(log.seq, &log.head, entry);
        (log.seq, log.ts) = (linked.seq, at);
        log.head.clone_from(&linked.hash);
        self.changes.touched.insert(workspace.clone());
        self.rows.log.push(LogRow { linked, balance_after: balance });
        Ok(at)
    }

    /// Writes all that was decided.
    pub(super) async fn save(self, on: &mut AnyConnection, dialect: Dialect) -> Result<()> {
        let Self { ledgers, now, mut changes, rows } = self;
        changes.touched.extend(rows.entries.iter().map(|entry| entry.workspace_id.clone()));
        books::save(on, &ledgers, changes, now).await?;
        entries::insert(on, rows.entries).await?;
        log::insert(on, rows.log).await?;
        generations::insert(on, rows.generations).await?;
        generations::insert_prompts(on, dialect, rows.prompts).await?;
        let refused = rows.attempts.iter().map(Attempt::usage);
        usage::add(on, rows.usage.into_iter().chain(refused).collect()).await?;
        attempts::fold(on, rows.attempts).await?;
        if rows.tell_nodes {
            Statement::new(TELL_NODES, Vec::new()).run(on).await?;
        }
        Ok(())
    }
}

/// Runs an act's changes inside a savepoint: a name that is taken fails this act, not the batch.
async fn run_all(on: &mut AnyConnection, changes: &[Statement]) -> Result<()> {
    Statement::new("SAVEPOINT act", Vec::new()).run(on).await?;
    for change in changes {
        if let Err(error) = run_change(on, change).await {
            Statement::new("ROLLBACK TO SAVEPOINT act", Vec::new()).run(on).await?;
            return Err(error);
        }
    }
    Statement::new("RELEASE SAVEPOINT act", Vec::new()).run(on).await?;
    Ok(())
}

/// Runs one change of an act.
async fn run_change(on: &mut AnyConnection, change: &Statement) -> Result<()> {
    match change.clone().run(on).await {
        Ok(0) if !change.may_miss() => Err(Error::NotFound),
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(fault)) if fault.is_unique_violation() => Err(Error::Conflict(
            "That name is taken in this workspace. Nothing was changed; choose another.".into(),
        )),
        Err(error) => Err(error.into()),
    }
}
