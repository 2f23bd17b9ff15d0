//! Checkpoints of a log: what a signature over it says (design §5).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::audit::GENESIS;
use super::ids::WorkspaceId;
use super::time::Time;

/// How far a log had come at a time. Each names the one before it, so that none can be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Whose log.
    pub workspace_id: WorkspaceId,
    /// From 1, without gaps.
    pub number: i64,
    /// The first row that is new since the checkpoint before; one after `last_seq` where none is.
    pub first_seq: i64,
    /// The last row.
    pub last_seq: i64,
    /// How many rows are new.
    pub count: i64,
    /// The last row's hash.
    pub head_hash: String,
    /// Rows from this time on …
    pub from: Time,
    /// … to before this one, a full hour.
    pub to: Time,
    /// SHA-256 of the checkpoint before, over its RFC 8785 JSON; zeros for the first.
    pub previous: String,
}

impl Checkpoint {
    /// The checkpoint after `last` (or the first), for a log that has come to `last_seq` and `head_hash` before `to`.
    pub fn following(
        last: Option<&Self>,
        workspace_id: WorkspaceId,
        created_at: Time,
        (last_seq, head_hash): (i64, String),
        to: Time,
    ) -> Self {
        let before = last.map_or(0, |last| last.last_seq);
        Self {
            workspace_id,
            number: last.map_or(0, |last| last.number) + 1,
            first_seq: before + 1,
            last_seq,
            count: last_seq - before,
            head_hash,
            from: last.map_or(created_at, |last| last.to),
            to,
            previous: last.map_or_else(|| GENESIS.to_owned(), Self::hash),
        }
    }

    /// SHA-256 over its RFC 8785 JSON, in hex.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(serde_json_canonicalizer::to_vec(self).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_checkpoint_names_the_one_before() {
        let id: WorkspaceId = "ws_4kP9x2".parse().unwrap();
        let first = Checkpoint::following(None, id.clone(), Time(0), (3, "aa".into()), Time(10));
        assert_eq!((first.number, first.first_seq, first.count, first.previous.as_str()), (1, 1, 3, GENESIS));
        let empty = Checkpoint::following(Some(&first), id, Time(0), (3, "aa".into()), Time(20));
        assert_eq!((empty.first_seq, empty.count, empty.from), (4, 0, Time(10)));
        assert_eq!(empty.previous, first.hash());
    }
}
