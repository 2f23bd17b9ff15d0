//! What proves a whole log: its chain, the checkpoints that were signed over it, and where it ends.

use std::collections::VecDeque;

use super::audit::{Broken, Linked, Verifier};
use super::ids::RequestId;

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
            Self::Chain(Broken::Changed { seq, .. } | Broken::Unlinked { seq, .. })
            | Self::Rewritten { seq, .. }
            | Self::Beheaded { seq, .. }
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
}

impl Proof {
    /// Of the rows that `verifier` takes, against `witnesses`, which stand in ascending order.
    pub fn new(verifier: Verifier, witnesses: impl IntoIterator<Item = Witness>) -> Self {
        Self { verifier, waiting: witnesses.into_iter().collect() }
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
    /// [`Fault::CutOff`] or [`Fault::Short`].
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
            _ => Ok(()),
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
