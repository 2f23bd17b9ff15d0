//! The log's entries and their hash chain (design §5).

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::{RequestId, WorkspaceId};
use super::money::Usd;
use super::region::Region;
use super::time::Time;

/// The hash before a log's first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The event name of a successful paid or free call.
pub const CALL: &str = "call";

/// One entry. The first eleven fields are the brief's audit row, in its order. An administrative act carries
/// the same fields, with `event` and `data` after them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened; never before the entry in front of it.
    pub ts: Time,
    /// The call's or the act's id.
    pub request_id: RequestId,
    /// The workspace whose log this is.
    pub workspace_id: WorkspaceId,
    /// `agent.NAME`, or a person's or key's opaque id; never an e-mail address.
    pub user_id: String,
    /// The tool, for a call.
    pub tool: Option<String>,
    /// The model, where the tool has one.
    pub model: Option<String>,
    /// `sha256:…` over the workspace's salt and the prompt.
    pub prompt_hash: Option<String>,
    /// What was charged.
    pub cost_usd: Usd,
    /// Where the result is, unsigned.
    pub result_url: Option<String>,
    /// The workspace's region.
    pub region: Region,
    /// How long the result is kept, in days.
    pub retention_days: u32,
    /// What happened, for an administrative act, such as `member.invited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The act's details: what changed from what to what, nothing secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

/// An entry in its place, as exports carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
    /// Its place, from 1, without gaps.
    pub seq: i64,
    /// The hash of the entry before it.
    pub prev_hash: String,
    /// Its own hash.
    pub hash: String,
}

/// A row of an export as somebody hands it in. Whatever no hash covers is no part of the log, and is not passed over.
#[derive(Debug, Deserialize)]
pub struct ExportedRow {
    #[serde(flatten)]
    entry: Entry,
    seq: i64,
    prev_hash: String,
    hash: String,
    #[serde(flatten)]
    more: BTreeMap<String, IgnoredAny>,
}

impl ExportedRow {
    /// The row, where it has no other fields than those that were hashed.
    ///
    /// # Errors
    /// [`Broken::Added`] names the first that it has besides.
    pub fn checked(self) -> Result<Linked, Broken> {
        let Self { entry, seq, prev_hash, hash, more } = self;
        match more.into_keys().next() {
            Some(field) => Err(Broken::Added { seq, request_id: entry.request_id, field }),
            None => Ok(Linked { entry, seq, prev_hash, hash }),
        }
    }
}

/// `SHA-256(previous hash ‖ RFC 8785 JSON of the entry)` in hex; the previous hash enters as its 32 bytes.
pub fn hash(prev_hash: &str, entry: &Entry) -> String {
    let mut sha = Sha256::new();
    sha.update(hex::decode(prev_hash).unwrap_or_default());
    sha.update(serde_json_canonicalizer::to_vec(entry).unwrap_or_default());
    hex::encode(sha.finalize())
}

/// Puts `entry` behind the entry at `seq` whose hash is `prev_hash`.
pub fn link(seq: i64, prev_hash: &str, entry: Entry) -> Linked {
    let hash = hash(prev_hash, &entry);
    Linked { entry, seq: seq + 1, prev_hash: prev_hash.to_owned(), hash }
}

/// What is wrong with a chain, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The row's fields are not what was hashed.
    #[error("row {seq} ({request_id}) was changed: its content does not give its hash")]
    Changed {
        /// The row's place.
        seq: i64,
        /// The row's request.
        request_id: RequestId,
    },
    /// The row has a field that was not hashed.
    #[error("row {seq} ({request_id}) was changed: {field} was added to it")]
    Added {
        /// The row's place.
        seq: i64,
        /// The row's request.
        request_id: RequestId,
        /// The field.
        field: String,
    },
    /// The row does not follow the one before it.
    #[error(
        "row {seq} ({request_id}) does not follow row {after}: a row was deleted, inserted or moved between them"
    )]
    Unlinked {
        /// The row's place.
        seq: i64,
        /// The row's request.
        request_id: RequestId,
        /// The place of the row before it.
        after: i64,
    },
}

/// Checks rows in ascending order, one at a time, so that a log of any length verifies in flat memory.
#[derive(Debug, Default)]
pub struct Verifier {
    last: Option<(i64, String)>,
    rows: u64,
}

impl Verifier {
    /// For rows behind the one at `seq` with this hash: where retention cut the log, or its very beginning.
    pub const fn after(seq: i64, hash: String) -> Self {
        Self { last: Some((seq, hash)), rows: 0 }
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// Names the row that was changed, or that does not follow the row before it. The first row of an export may
    /// stand anywhere; row 1 must follow nothing.
    pub fn next(&mut self, row: &Linked) -> Result<(), Broken> {
        let (seq, request_id) = (row.seq, row.entry.request_id.clone());
        let (after, expected) = match &self.last {
            Some((after, head)) => (*after, head.as_str()),
            None if seq == 1 => (0, GENESIS),
            None => (seq - 1, row.prev_hash.as_str()),
        };
        if seq != after + 1 || row.prev_hash != expected {
            return Err(Broken::Unlinked { seq, request_id, after });
        }
        if hash(&row.prev_hash, &row.entry) != row.hash {
            return Err(Broken::Changed { seq, request_id });
        }
        self.last = Some((seq, row.hash.clone()));
        self.rows += 1;
        Ok(())
    }

    /// How many rows held.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The place and hash of the last row that held.
    pub fn head(&self) -> Option<(i64, &str)> {
        self.last.as_ref().map(|(seq, hash)| (*seq, hash.as_str()))
    }
}

/// `sha256:…` over the workspace's random salt and the prompt: the same prompt is found again, a stranger to the
/// salt cannot guess it (design §5).
pub fn prompt_hash(salt: &[u8], prompt: &str) -> String {
    let mut sha = Sha256::new();
    sha.update(salt);
    sha.update(prompt.as_bytes());
    format!("sha256:{}", hex::encode(sha.finalize()))
}

#[cfg(test)]
mod tests {
    use super::super::ids::Id;
    use super::*;

    fn entry(n: i64) -> Entry {
        Entry {
            ts: Time(n * 1_000_000),
            request_id: RequestId::new(n as u64, [7; 10]),
            workspace_id: "ws_4kP9x2".parse().unwrap(),
            user_id: "agent.growth-bot".into(),
            tool: Some("generate_image".into()),
            model: Some("flux-pro-1.1".into()),
            prompt_hash: Some("sha256:9f1c".into()),
            cost_usd: Usd::from_micros(42_000),
            result_url: None,
            region: Region::EuWest1,
            retention_days: 30,
            event: None,
            data: None,
        }
    }

    fn chain(length: i64) -> Vec<Linked> {
        let (mut rows, mut head) = (Vec::new(), GENESIS.to_owned());
        for seq in 0..length {
            let row = link(seq, &head, entry(seq));
            head.clone_from(&row.hash);
            rows.push(row);
        }
        rows
    }

    fn verify(rows: &[Linked]) -> Result<u64, Broken> {
        let mut verifier = Verifier::default();
        rows.iter().try_for_each(|row| verifier.next(row))?;
        Ok(verifier.rows())
    }

    #[test]
    fn a_whole_log_verifies_also_after_a_round_trip_and_from_the_middle() {
        let rows = chain(10);
        let text = serde_json::to_string(&rows).unwrap();
        let read: Vec<ExportedRow> = serde_json::from_str(&text).unwrap();
        let read: Vec<Linked> = read.into_iter().map(|row| row.checked().unwrap()).collect();
        assert_eq!(verify(&read), Ok(10));
        assert_eq!(verify(&rows[4..]), Ok(6));
    }

    #[test]
    fn each_way_of_tampering_is_named() {
        let mut changed = chain(5);
        changed[2].entry.cost_usd = Usd::ZERO;
        assert!(matches!(verify(&changed), Err(Broken::Changed { seq: 3, .. })));
        let mut added = serde_json::to_value(&chain(5)[2]).unwrap();
        added["approved_by"] = "cfo".into();
        let added: ExportedRow = serde_json::from_value(added).unwrap();
        assert!(
            matches!(added.checked(), Err(Broken::Added { seq: 3, field, .. }) if field == "approved_by")
        );
        let mut deleted = chain(5);
        deleted.remove(2);
        assert!(matches!(verify(&deleted), Err(Broken::Unlinked { seq: 4, after: 2, .. })));
        let mut moved = chain(5);
        moved.swap(1, 2);
        assert!(matches!(verify(&moved), Err(Broken::Unlinked { .. })));
        let mut inserted = chain(5);
        inserted.insert(2, link(2, &inserted[1].hash.clone(), entry(99)));
        assert!(matches!(verify(&inserted), Err(Broken::Unlinked { seq: 3, after: 3, .. })));
        let mut beheaded = chain(5);
        beheaded[0].prev_hash = "ff".repeat(32);
        assert!(verify(&beheaded).is_err());
    }

    #[test]
    fn the_row_has_the_briefs_fields_in_its_order() {
        let json = serde_json::to_string(&entry(1)).unwrap();
        let order = [
            "ts",
            "request_id",
            "workspace_id",
            "user_id",
            "tool",
            "model",
            "prompt_hash",
            "cost_usd",
            "result_url",
            "region",
            "retention_days",
        ];
        let places: Vec<usize> =
            order.iter().map(|field| json.find(&format!("\"{field}\":")).unwrap()).collect();
        assert!(places.is_sorted() && json.matches("\":").count() == order.len());
    }
}
