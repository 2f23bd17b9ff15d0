//! Events that are sent once more.

use serde::Deserialize;
use serde_json::json;

use crate::domain::field::FieldError;
use crate::domain::ids::WebhookId;
use crate::domain::time::Time;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::store::deliveries::{self, ParkedRow, ReplayRow};
use crate::engine::store::webhooks;
use crate::engine::{Engine, random};

/// Which events to send once more.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Replay {
    /// The first place.
    pub from_seq: Option<i64>,
    /// The last place; the log's end where absent.
    pub to_seq: Option<i64>,
    /// All that was put aside since this time.
    pub failed_since: Option<Time>,
}

impl Engine {
    /// Sends events once more, under the same ids, beside what is new. Tells how many ranges were asked for.
    ///
    /// # Errors
    /// [`Error::NotFound`]; the fields `from_seq`, `to_seq` or `failed_since`.
    pub async fn replay_webhook(&self, scope: &Scope, id: &WebhookId, replay: Replay) -> Result<usize> {
        let (cell, row) = (self.cell(&scope.workspace)?, self.endpoint_row(scope, id).await?);
        let (end, _) = webhooks::lag(&cell.db, &row.workspace_id, 0).await?;
        let ranges = match (replay.from_seq, replay.failed_since) {
            (Some(from), None) => vec![read_range(from, replay.to_seq, end)?],
            (None, Some(since)) if replay.to_seq.is_none() => {
                ranges(deliveries::parked(&cell.db, id, since, 1_000_000).await?)
            }
            _ => {
                let message = "is missing; give from_seq (and to_seq), or failed_since alone";
                return Err(FieldError::new("from_seq", message).into());
            }
        };
        if ranges.is_empty() {
            return Ok(0);
        }
        let (from, to) = (ranges.first().map(|range| range.0), ranges.last().map(|range| range.1));
        let data = json!({ "id": id, "from_seq": from, "to_seq": to, "failed_since": replay.failed_since });
        let act = self.act(scope, "webhook.replayed", data, Vec::new()).await?;
        self.submit_act(scope, act).await?;
        let now = self.0.clock.now();
        for (from, to) in &ranges {
            let id_of_range = format!("whr_{}", hex::encode(random::bytes::<8>()));
            let range = ReplayRow { id: id_of_range, cursor: from - 1, to_seq: *to };
            deliveries::together(&cell.db, vec![deliveries::replay(&row.workspace_id, id, &range, now)])
                .await?;
        }
        Ok(ranges.len())
    }
}

fn read_range(from: i64, to: Option<i64>, end: i64) -> std::result::Result<(i64, i64), FieldError> {
    if !(1..=end).contains(&from) {
        return Err(FieldError::new(
            "from_seq",
            format!("is not a place in the log, which goes from 1 to {end}"),
        ));
    }
    match to.unwrap_or(end) {
        to if to >= from => Ok((from, to.min(end))),
        _ => Err(FieldError::new("to_seq", "comes before from_seq")),
    }
}

/// Neighbours become one range.
fn ranges(parked: Vec<ParkedRow>) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for row in parked {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == row.seq => *to = row.seq,
            _ => ranges.push((row.seq, row.seq)),
        }
    }
    ranges
}
