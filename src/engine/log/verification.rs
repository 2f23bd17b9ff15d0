//! Proving a log while it serves: each row's hash, the chain, every signed checkpoint, and the end.

use serde_json::Value;

use crate::domain::checkpoint::Checkpoint;
use crate::domain::ids::{VerificationId, WorkspaceId};
use crate::domain::proof::{Beginning, Proof, Witness};
use crate::domain::time::{HOUR, MINUTE, Time};
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::log::signing;
use crate::engine::store::search::Between;
pub use crate::engine::store::verifications::Verification;
use crate::engine::store::{accounts, check, checkpoints, log, verifications};
use crate::engine::{CellNode, Engine, random};

/// Rows read at a time.
const PIECE: i64 = 2_000;
/// Pieces between two notes of how far a run came.
const NOTED_EVERY: i64 = 5;
/// A run that has not moved for so long is dead.
const STALE: i64 = 2 * MINUTE;
/// Checkpoints end each hour; after so long without one something is wrong.
const LATE: i64 = 6 * HOUR;
/// Checkpoints read at a time.
const CHECKPOINTS: i64 = 500;

/// What a run found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    done_seq: i64,
    /// The first bad row, where one is to blame, and a sentence.
    fault: Option<(Option<i64>, String)>,
}

/// A run that was begun.
struct Run {
    id: VerificationId,
    workspace: WorkspaceId,
    evidence: Evidence,
}

/// What a log is proven with.
struct Evidence {
    end: log::LogEnd,
    /// The signed checkpoints that count, and what is wrong with those that do not.
    witnesses: Vec<Witness>,
    forged: Option<String>,
    beginning: Beginning,
    /// Up to when it is witnessed.
    until: Time,
}

impl Evidence {
    fn proof(&self) -> Proof {
        Proof::from(self.beginning.clone(), self.witnesses.iter().cloned())
    }
}

impl Engine {
    /// The last run over the log; one that has stood still for two minutes is shown as ended.
    ///
    /// # Errors
    /// The database's own.
    pub async fn verification(&self, scope: &Scope) -> Result<Option<Verification>> {
        let db = &self.cell(&scope.workspace)?.db;
        let run = verifications::last(db, &scope.workspace.id).await?;
        let now = self.0.clock.now();
        Ok(run.map(|run| match run.ended_at {
            None if run.seen_at < now.plus(-STALE) => Verification {
                ended_at: Some(run.seen_at),
                fault: Some("The server that did it stopped. Nothing is proven; start it again.".into()),
                ..run
            },
            _ => run,
        }))
    }

    /// Starts a run over the whole log in the background.
    ///
    /// # Errors
    /// [`Error::Conflict`] while one is running.
    pub async fn start_verification(&self, scope: &Scope) -> Result<()> {
        let node = self.cell(&scope.workspace)?.clone();
        let workspace = scope.workspace.id.clone();
        let mut evidence = self.evidence(&node, &workspace).await?.ok_or(Error::NotFound)?;
        let now = self.0.clock.now();
        evidence.forged = evidence.forged.or_else(|| missing(evidence.until, now));
        let run = Run { id: random::id(now), workspace, evidence };
        let Evidence { end, witnesses, .. } = &run.evidence;
        let begun = Verification {
            started_by: scope.actor.clone(),
            began_at: now,
            seen_at: now,
            ended_at: None,
            first_seq: end.floor + 1,
            done_seq: end.floor,
            last_seq: end.seq,
            checkpoints: witnesses.len() as i64,
            bad_seq: None,
            fault: None,
        };
        if !verifications::begin(&node.db, &run.workspace, &run.id, &begun, now.plus(-STALE)).await? {
            let message = "A verification is running already; this page shows it.";
            return Err(Error::Conflict(message.into()));
        }
        let engine = self.clone();
        self.0.running.spawn(async move { engine.run_verification(&node, run).await });
        Ok(())
    }

    async fn run_verification(&self, node: &CellNode, run: Run) {
        let found = self.prove(node, &run).await.unwrap_or_else(|error| Found {
            done_seq: run.evidence.end.floor,
            fault: Some((None, format!("It could not go on: {error} Start it again."))),
        });
        let now = self.0.clock.now();
        if let Err(error) = verifications::end(&node.db, &run.id, found.done_seq, found.fault, now).await {
            tracing::error!(%error, "the result of a verification was not kept");
        }
    }

    async fn prove(&self, node: &CellNode, run: &Run) -> Result<Found> {
        let (end, mut proof) = (&run.evidence.end, run.evidence.proof());
        let (mut after, mut pieces) = (end.floor, 0);
        while after < end.seq {
            let places = Between { after, before: (after + PIECE).min(end.seq) + 1 };
            for row in log::rows(&node.db, &run.workspace, places).await? {
                if let Err(fault) = proof.next(&row) {
                    return Ok(Found { done_seq: proof.head().0, fault: Some(told(&fault)) });
                }
            }
            (after, pieces) = (after + PIECE, pieces + 1);
            let stops = self.0.stopping.is_cancelled();
            if stops || pieces % NOTED_EVERY == 0 && !self.note(node, run, &proof).await? {
                return Ok(Found {
                    done_seq: proof.head().0,
                    fault: Some((None, "It was stopped. Start it again.".into())),
                });
            }
        }
        let fault = proof.end(Some((end.seq, &end.head))).err().map(|fault| told(&fault));
        let fault = fault.or_else(|| run.evidence.forged.clone().map(|sentence| (None, sentence)));
        Ok(Found { done_seq: proof.head().0, fault })
    }

    async fn note(&self, node: &CellNode, run: &Run, proof: &Proof) -> Result<bool> {
        verifications::note(&node.db, &run.id, proof.head().0, self.0.clock.now()).await
    }

    /// What is wrong with a log, its beginning, its end and its checkpoints, a sentence each.
    ///
    /// # Errors
    /// The databases' own.
    pub(in crate::engine) async fn log_faults(
        &self,
        node: &CellNode,
        workspace: &WorkspaceId,
    ) -> Result<Vec<String>> {
        let Some(evidence) = self.evidence(node, workspace).await? else { return Ok(Vec::new()) };
        let broken = check::chain(&node.db, workspace, &evidence.end, evidence.proof()).await?;
        let faults =
            broken.map(|fault| format!("the log is broken: {fault}")).into_iter().chain(evidence.forged);
        Ok(faults.map(|fault| format!("{workspace}: {fault}")).collect())
    }

    /// The end is read after the checkpoints, so that it covers what they cover.
    async fn evidence(&self, node: &CellNode, workspace: &WorkspaceId) -> Result<Option<Evidence>> {
        let (points, forged) = self.believed_checkpoints(node, workspace).await?;
        let end = log::end(&node.db, workspace).await?;
        let account = accounts::get(&node.db, workspace).await?;
        let Some((end, account)) = end.zip(account) else { return Ok(None) };
        let beginning = Beginning {
            after: end.floor,
            hash: end.floor_head.clone(),
            checkpoint: points.iter().find(|point| point.last_seq >= end.floor).cloned(),
            kept_days: account.log_retention_days,
            now: self.0.clock.now(),
        };
        let witnesses = points.iter().filter(|point| point.last_seq > end.floor).map(witness).collect();
        let until = points.last().map_or(account.created_at, |last| last.to);
        Ok(Some(Evidence { end, witnesses, forged, beginning, until }))
    }

    /// The checkpoints of a log that our keys signed, and the first fault among them.
    async fn believed_checkpoints(
        &self,
        node: &CellNode,
        workspace: &WorkspaceId,
    ) -> Result<(Vec<Checkpoint>, Option<String>)> {
        let keys = self.public_keys().await?;
        let mut points: Vec<Checkpoint> = Vec::new();
        loop {
            let after = points.last().map_or(0, |last| last.number);
            let page = checkpoints::following(&node.db, workspace, after, CHECKPOINTS).await?;
            let is_last = (page.len() as i64) < CHECKPOINTS;
            for signed in page {
                match believed(&signed, &keys, points.last()) {
                    Ok(point) => points.push(point),
                    Err(fault) => return Ok((points, Some(fault))),
                }
            }
            if is_last {
                return Ok((points, None));
            }
        }
    }
}

/// The newest checkpoints are the first that somebody would remove.
fn missing(until: Time, now: Time) -> Option<String> {
    let is_late = until < now.plus(-LATE);
    is_late.then(|| {
        format!("No checkpoint is newer than {until}: none was signed, or they were removed. The rows and their chain hold, but what came later is not witnessed.")
    })
}

/// A checkpoint whose signature is ours and that follows the one before it.
fn believed(
    signed: &Value,
    keys: &Value,
    last: Option<&Checkpoint>,
) -> std::result::Result<Checkpoint, String> {
    let number = &signed["number"];
    signing::verify(signed, Some(keys))
        .map_err(|fault| format!("Checkpoint {number} is not believed: {fault}."))?;
    let checkpoint: Checkpoint = serde_json::from_value(signed.clone())
        .map_err(|_| format!("Checkpoint {number} is not one of a log."))?;
    let follows =
        last.is_none_or(|last| checkpoint.number == last.number + 1 && checkpoint.previous == last.hash());
    if follows {
        Ok(checkpoint)
    } else {
        Err(format!("Checkpoint {number} does not follow the one before it: one was removed or replaced."))
    }
}

fn witness(checkpoint: &Checkpoint) -> Witness {
    Witness {
        number: checkpoint.number,
        last_seq: checkpoint.last_seq,
        head_hash: checkpoint.head_hash.clone(),
    }
}

fn told(fault: &crate::domain::proof::Fault) -> (Option<i64>, String) {
    let sentence = fault.to_string();
    let mut letters = sentence.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    (Some(fault.seq()), format!("{first}{}.", letters.as_str()))
}
