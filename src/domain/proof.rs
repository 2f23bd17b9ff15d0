//! What proves a whole log: its chain, the checkpoints that were signed over it, where it begins and where it ends.

use std::collections::VecDeque;

use super::audit::{Broken, Linked, Verifier};
use super::checkpoint::Checkpoint;
use super::ids::RequestId;
use super::retention::Retention;
use super::time::Time;

/// The part of a checkpoint that a log must agree with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The checkpoint's number; 0 where it is not known.
    pub number: i64,
    /// The last row that it covers.
    pub last_seq: i64,
    /// That row's hash.
    pub head_hash: String,
}

/// Where a log begins that retention has cut: rows may only be missing where they were due, and a signature says so.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// The last row that is gone; 0 where none is.
    pub after: i64,
    /// Its hash.
    pub hash: String,
    /// The first believed checkpoint that ends there or later: all rows up to its end are older than its time.
    pub checkpoint: Option<Checkpoint>,
    /// The shortest time in days for which the log was to be kept, as far as is known.
    pub kept_days: u32,
    /// Now.
    pub now: Time,
}

impl Beginning {
    fn note(&mut self, row: &Linked) {
        self.kept_days = Retention::told_by(&row.entry).unwrap_or(self.kept_days).min(self.kept_days);
    }

    fn judge(&self) -> Result<(), Fault> {
        let seq = self.after;
        match &self.checkpoint {
            _ if seq == 0 => Ok(()),
            Some(point) if point.last_seq == seq && point.head_hash != self.hash => {
                Err(Fault::Unwitnessed { seq })
            }
            Some(point) if Retention::was_due(self.kept_days, point.to, self.now) => Ok(()),
            Some(_) => Err(Fault::TooEarly { seq, days: self.kept_days }),
            None => Err(Fault::Unwitnessed { seq }),
        }
    }
}

/// What is wrong with a log, and the first row that shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The chain is broken.
    #[error(transparent)]
    Chain(#[from] Broken),
    /// The chain holds, but is not the one that was signed.
    #[error(
        "row {seq} ({request_id}) has another hash than the checkpoint, so the log was rewritten before it"
    )]
    Rewritten {
        /// The row's place.
        seq: i64,
        /// The row's request.
        request_id: RequestId,
    },
    /// The rows that a checkpoint covers are not there.
    #[error("row {before} of the checkpoint is missing: the log begins only at row {seq}")]
    Beheaded {
        /// The first row that is there.
        seq: i64,
        /// The checkpoint's row.
        before: i64,
    },
    /// Rows are gone, and no signature says what they were.
    #[error(
        "row {seq} and those before it are gone, and no signed checkpoint vouches for them: they were deleted"
    )]
    Unwitnessed {
        /// The last row that is gone.
        seq: i64,
    },
    /// Rows are gone that retention would have kept.
    #[error("row {seq} is gone before its time: the log is kept for {days} days, so it was deleted")]
    TooEarly {
        /// The last row that is gone.
        seq: i64,
        /// For how long the log is kept.
        days: u32,
    },
    /// A checkpoint covers more than there is.
    #[error("row {seq} of the checkpoint is missing: the log was cut off after row {after}")]
    CutOff {
        /// The checkpoint's row.
        seq: i64,
        /// The last row that is there.
        after: i64,
    },
    /// The books say that the log goes on, or ends otherwise.
    #[error("the log ends at row {after}, but row {seq} was written")]
    Short {
        /// The row that was written last.
        seq: i64,
        /// The last row that is there.
        after: i64,
    },
}

impl Fault {
    /// The place of the first bad row.
    pub const fn seq(&self) -> i64 {
        match self {
            Self::Chain(
                Broken::Changed { seq, .. } | Broken::Added { seq, .. } | Broken::Unlinked { seq, .. },
            )
            | Self::Rewritten { seq, .. }
            | Self::Beheaded { seq, .. }
            | Self::Unwitnessed { seq }
            | Self::TooEarly { seq, .. }
            | Self::CutOff { seq, .. }
            | Self::Short { seq, .. } => *seq,
        }
    }
}

/// Takes rows in ascending order, one at a time: a log of any length is proven in flat memory.
#[derive(Debug, Default)]
pub struct Proof {
    verifier: Verifier,
    /// In ascending order; those that rows agreed with are gone.
    waiting: VecDeque<Witness>,
    beginning: Option<Beginning>,
}

impl Proof {
    /// Of the rows that `verifier` takes, against `witnesses`, which stand in ascending order.
    pub fn new(verifier: Verifier, witnesses: impl IntoIterator<Item = Witness>) -> Self {
        Self { verifier, waiting: witnesses.into_iter().collect(), beginning: None }
    }

    /// Of all rows that are left of a log, whose `beginning` is proven too.
    pub fn from(beginning: Beginning, witnesses: impl IntoIterator<Item = Witness>) -> Self {
        let verifier = Verifier::after(beginning.after, beginning.hash.clone());
        Self { beginning: Some(beginning), ..Self::new(verifier, witnesses) }
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// The first fault.
    pub fn next(&mut self, row: &Linked) -> Result<(), Fault> {
        if self.verifier.rows() == 0 {
            self.begin(row)?;
        }
        self.verifier.next(row)?;
        if let Some(beginning) = &mut self.beginning {
            beginning.note(row);
        }
        while let Some(witness) = self.waiting.front().filter(|witness| witness.last_seq <= row.seq) {
            if witness.last_seq < row.seq {
                return Err(Fault::Beheaded { seq: row.seq, before: witness.last_seq });
            }
            if witness.head_hash != row.hash {
                return Err(Fault::Rewritten { seq: row.seq, request_id: row.entry.request_id.clone() });
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// A log whose oldest months went begins right after a checkpoint, which still vouches for what its first row says of
    /// the row before.
    fn begin(&mut self, first: &Linked) -> Result<(), Fault> {
        let Some(before) = self.waiting.pop_front_if(|witness| witness.last_seq + 1 == first.seq) else {
            return Ok(());
        };
        if before.head_hash != first.prev_hash {
            return Err(Fault::Rewritten { seq: first.seq, request_id: first.entry.request_id.clone() });
        }
        Ok(())
    }

    /// No row comes any more. `end` is the place and hash of the row that was written last, where that is known.
    ///
    /// # Errors
    /// [`Fault::CutOff`], [`Fault::Short`], or what is wrong with the beginning.
    pub fn end(&self, end: Option<(i64, &str)>) -> Result<(), Fault> {
        let (after, hash) = self.head();
        match self.waiting.front() {
            Some(witness) if witness.last_seq > after => {
                return Err(Fault::CutOff { seq: witness.last_seq, after });
            }
            _ => {}
        }
        match end {
            Some((seq, head)) if (seq, head) != (after, hash) => Err(Fault::Short { seq, after }),
            _ => self.beginning.as_ref().map_or(Ok(()), Beginning::judge),
        }
    }

    /// The place and hash of the last row that held.
    pub fn head(&self) -> (i64, &str) {
        self.verifier.head().unwrap_or_default()
    }

    /// How many rows held.
    pub const fn rows(&self) -> u64 {
        self.verifier.rows()
    }
}
