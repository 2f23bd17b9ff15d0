//! Group commit: the one writer per cell and process (design §4).
//!
//! It takes every waiting piece of work, opens one transaction, locks the accounts in id order, lets
//! [`decide`] judge the commands one after another, writes the outcome with a handful of multi-row statements,
//! commits once and answers everyone. There is no timer: a batch is whatever waited while the last one committed.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::AnyConnection;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::domain::audit::{Entry, link};
use crate::domain::ids::{LedgerEntryId, RequestId, WorkspaceId};
use crate::domain::ledger::{Command, HoldState, Posting, Refusal, Reserve, decide};
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::engine::clock::Clock;
use crate::engine::error::{Error, Result};
use crate::engine::random;
use crate::engine::store::attempts::{self, Attempt};
use crate::engine::store::books::{self, Changes, Ledger, Wanted};
use crate::engine::store::generations::{self, NewGeneration, SealedPrompt};
use crate::engine::store::ledger::{self as entries, LedgerEntry};
use crate::engine::store::log::{self, LogRow};
use crate::engine::store::sql::Statement;
use crate::engine::store::usage::{self, Usage};
use crate::engine::store::{CellDb, Dialect, TELL_NODES};

/// Pieces of work that may share a transaction.
const LARGEST_BATCH: usize = 256;
/// Pieces of work that may wait; callers beyond it wait for a place.
const QUEUE: usize = 8_192;

/// A successful call, to be written when it is settled.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// The log entry; its time and cost are set when it is written.
    pub entry: Entry,
    /// The result, where the call made one.
    pub generation: Option<NewGeneration>,
    /// The prompt, sealed.
    pub prompt: Option<SealedPrompt>,
    /// What it counts in the roll-up besides one call and its cost.
    pub usage: Usage,
    /// The answer, into which `balance_after_usd` is written; kept for the idempotency key.
    pub answer: serde_json::Value,
}

/// An administrative act: its log entry and, in the same transaction, its changes.
#[derive(Debug, Clone)]
pub struct Act {
    /// The log entry; its time is set when it is written.
    pub entry: Entry,
    /// The changes, which happen all or not at all.
    pub changes: Vec<Statement>,
    /// Whether nodes must forget what they cached.
    pub tell_nodes: bool,
}

/// One piece of work.
#[derive(Debug, Clone)]
pub enum Work {
    /// Before the provider is asked.
    Reserve(Reserve),
    /// The provider delivered.
    Settle {
        /// The call.
        request_id: RequestId,
        /// What it cost.
        cost: Usd,
        /// What is written.
        record: Box<CallRecord>,
    },
    /// The provider failed or the deadline passed.
    Release {
        /// The call.
        request_id: RequestId,
        /// What is told about it.
        attempt: Option<Box<Attempt>>,
        /// The event that says so in the log.
        event: Option<Box<Entry>>,
    },
    /// Money comes in.
    TopUp {
        /// How much.
        amount: Usd,
        /// The payer's reference.
        reference: String,
        /// The log entry.
        act: Box<Act>,
    },
    /// The month's allowance: brings the balance up to an amount, once.
    Allowance {
        /// The balance to be reached.
        up_to: Usd,
        /// The ledger entry's reference.
        reference: String,
        /// Marks the month; changes nothing where it is marked, and then nothing is done.
        mark: Statement,
        /// The log entry, without the amount.
        act: Box<Act>,
    },
    /// A free call.
    Call(Box<CallRecord>),
    /// An administrative act.
    Act(Box<Act>),
    /// A refused call.
    Attempt(Box<Attempt>),
}

/// What became of a piece of work.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the ledger did; `None` for work without money.
    pub posting: Option<std::result::Result<Posting, Refusal>>,
    /// The balance afterwards: available and reserved.
    pub balance: Usd,
    /// The call's answer with its balance, for settled and free calls.
    pub answer: Option<serde_json::Value>,
    /// The ledger entry that was made.
    pub ledger_entry: Option<LedgerEntryId>,
    /// When it was written.
    pub at: Time,
}

#[derive(Debug)]
struct Job {
    workspace: WorkspaceId,
    work: Work,
    reply: oneshot::Sender<Result<Outcome>>,
}

/// The way to the writer. Cheap to clone; the writer ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct LedgerWriter {
    jobs: mpsc::Sender<Job>,
    committed: Arc<Notify>,
}

impl LedgerWriter {
    /// Starts the writer of one cell.
    pub fn start(db: CellDb, clock: Clock) -> (Self, JoinHandle<()>) {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let committed = Arc::new(Notify::new());
        let writing = write_all(db, clock, waiting, Arc::clone(&committed));
        (Self { jobs, committed }, tokio::spawn(writing))
    }

    /// Waits for the next commit: webhooks deliver at once what it wrote.
    pub async fn committed(&self) {
        self.committed.notified().await;
    }

    /// Hands `work` to the writer and waits until it is durable.
    ///
    /// # Errors
    /// [`Error::Conflict`] when an act's change met something that is there, [`Error::NotFound`] when the workspace
    /// has no account or an act changed nothing, [`Error::Unavailable`] when the database did not take it: then
    /// nothing was changed.
    pub async fn submit(&self, workspace: &WorkspaceId, work: Work) -> Result<Outcome> {
        let (reply, answer) = oneshot::channel();
        let closing =
            || Error::Unavailable("The server is shutting down. Nothing was changed; try again.".into());
        let job = Job { workspace: workspace.clone(), work, reply };
        self.jobs.send(job).await.map_err(|_| closing())?;
        answer.await.map_err(|_| closing())?
    }
}

async fn write_all(db: CellDb, clock: Clock, mut waiting: mpsc::Receiver<Job>, committed: Arc<Notify>) {
    let mut batch = Vec::with_capacity(LARGEST_BATCH);
    while waiting.recv_many(&mut batch, LARGEST_BATCH).await > 0 {
        metrics::histogram!("agentframer_ledger_batch_size").record(batch.len() as f64);
        commit(&db, &clock, std::mem::take(&mut batch)).await;
        committed.notify_one();
    }
}

/// Commits a batch; where that fails, each job alone, so that one bad job cannot fail the others.
async fn commit(db: &CellDb, clock: &Clock, jobs: Vec<Job>) {
    match attempt_commit(db, clock, &jobs).await {
        Ok(outcomes) => reply(jobs, outcomes),
        Err(error) if jobs.len() == 1 => reply(jobs, vec![Err(error)]),
        Err(error) => {
            tracing::warn!(%error, jobs = jobs.len(), "a batch failed; trying its jobs one by one");
            for job in jobs {
                let outcome = attempt_commit(db, clock, std::slice::from_ref(&job)).await;
                let outcome =
                    outcome.map_or_else(Err, |mut outcomes| outcomes.pop().unwrap_or(Err(Error::Internal)));
                reply(vec![job], vec![outcome]);
            }
        }
    }
}

fn reply(jobs: Vec<Job>, outcomes: Vec<Result<Outcome>>) {
    for (job, outcome) in jobs.into_iter().zip(outcomes) {
        // A caller that went away does not matter: what it asked for is done.
        let _ = job.reply.send(outcome);
    }
}

async fn attempt_commit(db: &CellDb, clock: &Clock, jobs: &[Job]) -> Result<Vec<Result<Outcome>>> {
    let now = clock.now();
    let mut transaction = db.begin().await?;
    let ledgers = books::load(&mut transaction, db.dialect, &wanted(jobs, now)).await?;
    let mut batch = Batch { ledgers, now, changes: Changes::default(), rows: Rows::default() };
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        outcomes.push(batch.post(&mut transaction, job).await);
    }
    if let Some(lost) =
        outcomes.iter().find_map(|outcome| outcome.as_ref().err()).filter(|error| is_lost(error))
    {
        return Err(lost.clone());
    }
    batch.save(&mut transaction, db.dialect).await?;
    transaction.commit().await?;
    Ok(outcomes)
}

/// Whether the transaction cannot go on after this error.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::Internal)
}

fn wanted(jobs: &[Job], now: Time) -> Wanted {
    let mut wanted = Wanted::default();
    for job in jobs {
        wanted.workspaces.insert(job.workspace.clone());
        match &job.work {
            Work::Reserve(reserve) => {
                wanted.spenders.insert((job.workspace.clone(), reserve.agent_id.clone(), now));
                wanted.keys.extend(reserve.key.iter().map(|key| (job.workspace.clone(), key.key.clone())));
            }
            Work::Settle { request_id, .. } | Work::Release { request_id, .. } => {
                wanted.holds.insert(request_id.clone());
            }
            Work::TopUp { .. } | Work::Allowance { .. } | Work::Call(_) | Work::Act(_) | Work::Attempt(_) => {
            }
        }
    }
    wanted
}

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
struct Batch {
    ledgers: HashMap<WorkspaceId, Ledger>,
    now: Time,
    changes: Changes,
    rows: Rows,
}

impl Batch {
    async fn post(&mut self, on: &mut AnyConnection, job: &Job) -> Result<Outcome> {
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

    fn touch(&mut self, workspace: &WorkspaceId, periods: [crate::domain::ledger::Period; 3]) {
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

    async fn save(self, on: &mut AnyConnection, dialect: Dialect) -> Result<()> {
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
