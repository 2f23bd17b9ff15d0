//! The certificate of a request: what was done, where, by whom, what was kept and why; signed, and tied to the log.

use serde_json::{Value, json};

use crate::domain::audit::Linked;
use crate::domain::data_requests::{Kind, State};
use crate::domain::search::Field;
use crate::domain::time::DAY;
use crate::engine::data::data_requests::discover;
use crate::engine::data::data_requests::execute::{Progress, Run, progress_of};
use crate::engine::error::Result;
use crate::engine::log::reading::{AuditFilter, Page};
use crate::engine::store::data_requests::{self as store, Matches, RequestRow};
use crate::engine::store::{erasure, holds};

/// The shape of a certificate; raised when a field changes its meaning.
const VERSION: &str = "1";

impl Run<'_> {
    /// Signs what was done. An entry of the log is written first, so that the certificate can name its place in the chain.
    pub(super) async fn certificate(&self, state: State) -> Result<Value> {
        let left = discover::count(&self.node.db, &self.row.workspace_id, &self.criteria()?).await?;
        let row = &self.row;
        let statement = json!({
            "type": "agentframer.data_request_certificate",
            "version": VERSION,
            "data_request_id": row.id,
            "workspace_id": row.workspace_id,
            "region": self.scope.workspace.region,
            "kind": row.kind,
            "state": state,
            "match": self.criteria()?,
            "received_on": row.received_on,
            "due_on": row.due_on,
            "filed": { "by": row.filed_by, "at": row.filed_at },
            "approved": { "by": row.decided_by, "at": row.decided_at, "four_eyes": row.four_eyes },
            "executed": executed(row),
            "deleted": self.deleted(left).await?,
            "earlier_runs": self.progress.earlier,
            "delivered": self.delivered(),
            "kept": self.kept(left).await?,
            "held_back": self.held_back().await?,
            "providers": self.providers().await?,
            "backups": self.backups(),
            "second_search": { "at": row.ended_at, "prompts": left.prompts, "media": left.media },
            "log": self.log_place().await?,
        });
        self.engine.0.signer.sign(&statement)
    }

    /// What is gone, from where. A legal hold leaves a part.
    async fn deleted(&self, left: Matches) -> Result<Value> {
        if self.row.kind == Kind::Access {
            return Ok(json!([]));
        }
        let (db, progress) = (&self.node.db, &self.progress);
        let files_left = discover::count_files(db, &self.row.workspace_id, &self.criteria()?).await?;
        let copies_left: i64 = erasure::copies(db, &self.row.id).await?.values().sum();
        let (database, storage) = (self.engine.database_of(self.node), self.engine.storage_of(self.node));
        let line = |category: &str, place: &str, count: i64, method: &str| json!({ "category": category, "place": place, "count": count, "method": method, "result": "gone" });
        let keys = match progress.keys {
            0 => "rows deleted, none of their data keys is left",
            _ => "rows deleted, data keys destroyed",
        };
        let mut results =
            line("results", &storage, progress.found.media - left.media, "files and small pictures deleted");
        results["files"] = (progress.files - files_left).into();
        let copies = progress.copies - copies_left;
        Ok(json!([
            line("prompts", &database, progress.found.prompts - left.prompts, keys),
            results,
            line("replicas", &self.copies_place(), copies, "files deleted"),
            line("derived data", &database, progress.derived as i64, "rows deleted"),
            line(
                "data keys",
                &format!("{database}, and their copies in its storage"),
                progress.keys as i64,
                "destroyed"
            ),
        ]))
    }

    /// Where copies were.
    fn copies_place(&self) -> String {
        let named = |cell: &String| match self.engine.0.cells.get(cell) {
            Some(node) => self.engine.storage_of(node),
            None => format!("storage of cell {cell}"),
        };
        let places: Vec<String> = self.progress.copy_cells.iter().map(named).collect();
        if places.is_empty() { "no other cell held copies".into() } else { places.join("; ") }
    }

    fn delivered(&self) -> Value {
        match self.row.kind {
            Kind::Access => json!({
                "prompts": self.progress.found.prompts, "results": self.progress.found.media,
                "rows": self.progress.found.rows, "until": self.row.archive_until,
            }),
            Kind::Erasure => Value::Null,
        }
    }

    /// Log rows stay without content (GDPR article 17(3)(b) and (e)).
    async fn kept(&self, left: Matches) -> Result<Value> {
        let account = self.engine.account(&self.scope.workspace).await?;
        let until = self.row.ended_at.map(|at| at.plus(i64::from(account.log_retention_days) * DAY));
        Ok(json!([{
            "category": "log and ledger rows", "count": self.progress.found.rows.max(left.rows),
            "content": "ids, times, model, amount and a keyed hash; no prompt and no result",
            "basis": "GDPR article 17(3)(b) and (e): accounting and the defence of claims",
            "until": until,
        }]))
    }

    /// Results that stay, and the holds that keep them.
    async fn held_back(&self) -> Result<Value> {
        if self.progress.held == 0 {
            return Ok(json!([]));
        }
        let holds: Vec<Value> = holds::keeping(&self.node.db, &self.row.workspace_id, &self.row.id)
            .await?
            .into_iter()
            .map(|hold| {
                json!({
                    "hold_id": hold.id, "kind": hold.target.kind(), "reason": hold.reason,
                    "placed_by": hold.placed_by, "placed_at": hold.placed_at,
                })
            })
            .collect();
        Ok(json!([{ "results": self.progress.held, "why": "legal hold", "holds": holds }]))
    }

    /// Who else had the prompts.
    async fn providers(&self) -> Result<Value> {
        let mut counts = std::collections::BTreeMap::<String, i64>::new();
        let (mut after, catalog) = (String::new(), self.engine.catalog());
        for state in ["pending", "done", "held"] {
            loop {
                let ids = store::items(&self.node.db, &self.row.id, state, &after, 500).await?;
                let Some(last) = ids.last() else { break };
                after.clone_from(last);
                for made in store::generations(&self.node.db, &ids).await? {
                    let provider =
                        catalog.get(&made.model).map_or("unknown", |model| model.provider.as_str());
                    *counts.entry(provider.to_owned()).or_default() += 1;
                }
            }
            after.clear();
        }
        let line = |(name, calls): (String, i64)| {
            let answer = if name == "local" {
                "nothing left this installation"
            } else {
                "not asked: it has no interface to delete single calls; its own retention applies"
            };
            json!({ "provider": name, "calls": calls, "asked": false, "answer": answer })
        };
        Ok(counts.into_iter().map(line).collect())
    }

    /// Our own backups hold no keys; what the operator copies by other means we only know a period of.
    fn backups(&self) -> Value {
        let days = self.engine.config().data.backup_days;
        let erased_at = self.row.ended_at.filter(|_| self.row.kind == Kind::Erasure);
        json!({
            "readable": self.row.kind == Kind::Access,
            "readable_until": erased_at,
            "why": self.backups_why(),
            "restore": "refuses to bring back what this request erased",
            "other_copies_until": erased_at.map(|at| at.plus(i64::from(days) * DAY)),
            "other_copies": format!("copies that the operator makes by other means, such as dumps of the databases, snapshots of disks and versions of objects, can hold it until they are deleted; the operator states that this takes {days} days at most (setting data.backup_days)"),
        })
    }

    /// The keys decide, and they are in no backup of ours.
    fn backups_why(&self) -> String {
        if self.row.kind == Kind::Access {
            return "nothing was erased; with the data keys, which are kept apart, backups made by AgentFramer can be read".into();
        }
        let keys = match self.progress.keys {
            0 => "none of what was erased is left",
            _ => "those of what was erased are destroyed",
        };
        let held = match self.progress.held {
            0 => "",
            _ => "; the keys of what a legal hold keeps live on",
        };
        format!(
            "backups made by AgentFramer hold no data keys, and {keys}; without these they hold no readable prompt and no file{held}"
        )
    }

    /// This run's start in the chain, however much was logged since.
    async fn log_place(&self) -> Result<Value> {
        let filter = AuditFilter::of(Field::Event, "data_request.started");
        let (about, mut cursor) = (self.about(), None);
        loop {
            let page = Page { limit: Some(200), cursor };
            let rows = self.engine.audit(&self.scope, &filter, page).await?;
            let own = |row: &&Linked| {
                let data = row.entry.data.as_ref();
                data.is_some_and(|data| data["data_request_id"] == about["data_request_id"])
            };
            match (rows.items.iter().find(own), rows.next_cursor) {
                (Some(row), _) => return Ok(json!({ "seq": row.seq, "hash": row.hash })),
                (None, None) => return Ok(Value::Null),
                (None, next) => cursor = next,
            }
        }
    }
}

/// What the runs so far did, the last one too, whether it certified or failed: a retry goes on from there.
pub(super) fn runs(row: &RequestRow) -> Vec<Value> {
    let progress = progress_of(row);
    let last = match row.state {
        State::Failed => Some(failed(row, &progress)),
        State::BlockedByHold => None,
        _ => certificate_of(row).map(|signed| certified(&signed)),
    };
    progress.earlier.into_iter().chain(last).collect()
}

fn certificate_of(row: &RequestRow) -> Option<Value> {
    row.certificate.as_deref().and_then(|json| serde_json::from_str(json).ok())
}

fn certified(signed: &Value) -> Value {
    json!({
        "state": signed["state"], "executed": signed["executed"], "deleted": signed["deleted"],
        "held_back": signed["held_back"], "log": signed["log"],
    })
}

/// A run that failed certified nothing, but what it deleted is gone all the same.
fn failed(row: &RequestRow, progress: &Progress) -> Value {
    json!({
        "state": State::Failed, "executed": executed(row), "calls": progress.total, "calls_done": progress.done,
        "data_keys": progress.keys, "why": progress.waiting_for,
    })
}

fn executed(row: &RequestRow) -> Value {
    json!({ "by": "system", "from": row.started_at, "to": row.ended_at })
}
