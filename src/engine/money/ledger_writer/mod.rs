//! Group commit: the one writer per cell and process (design §4).
//!
//! It takes every waiting piece of work, opens one transaction, locks the accounts in id order, lets
//! [`decide`] judge the commands one after another, writes the outcome with a handful of multi-row statements,
//! commits once and answers everyone. There is no timer: a batch is whatever waited while the last one committed.

mod batch;

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use self::batch::Batch;
use crate::domain::audit::Entry;
use crate::domain::ids::{LedgerEntryId, RequestId, WorkspaceId};
use crate::domain::ledger::{Posting, Reserve};
use crate::domain::money::Usd;
use crate::domain::refusals::Refusal;
use crate::domain::time::Time;
use crate::engine::clock::Clock;
use crate::engine::error::{Error, Result};
use crate::engine::store::CellDb;
use crate::engine::store::attempts::Attempt;
use crate::engine::store::books::{self, Wanted};
use crate::engine::store::generations::{NewGeneration, SealedPrompt};
use crate::engine::store::sql::Statement;
use crate::engine::store::usage::Usage;

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
    let mut batch = Batch::new(ledgers, now);
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
