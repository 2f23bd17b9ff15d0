//! Data keys that seal nothing any more go in two steps: they are taken out of use, and destroyed once nobody can be about
//! to seal with them. A subject who comes back meanwhile loses nothing.

use std::time::Duration;

use crate::domain::time::{DAY, MINUTE};
use crate::engine::data::key_copies::part_of;
use crate::engine::data::purge::{PurgeReport, REST};
use crate::engine::error::Result;
use crate::engine::leases::Lease;
use crate::engine::store::data_keys;
use crate::engine::{CellNode, Engine};

/// Keys that go at a time.
const BATCH: i64 = 250;
/// Age at which a key that seals nothing goes.
const UNUSED: i64 = 2 * DAY;
/// Time in which every node hears that a key was taken out of use, and calls that have sealed with it settle.
const HEARD: i64 = MINUTE;
/// The longest rest after destroying some: that is mostly work on files, which a remote storage makes long.
const LONGEST_REST: Duration = Duration::from_secs(1);

impl Engine {
    /// Takes keys that seal nothing any more out of use. They are destroyed later.
    pub(super) async fn retire_keys(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        report: &mut PurgeReport,
    ) -> Result<()> {
        let (now, mut after) = (self.0.clock.now(), String::new());
        while lease.renew().await? {
            let began = tokio::time::Instant::now();
            let unused = data_keys::unused(&node.db, now.plus(-UNUSED), &after, BATCH).await?;
            let Some(last) = unused.last() else { break };
            after.clone_from(last);
            report.keys += data_keys::retire(&node.db, &unused, now).await?;
            node.sealer.forget();
            self.rest(began.elapsed() * REST).await;
        }
        Ok(())
    }

    /// Destroys what was taken out of use in the hours before: those of one hour together, for each part of the keys'
    /// copies is written anew.
    pub(super) async fn destroy_retired_keys(
        &self,
        node: &CellNode,
        lease: &Lease<'_>,
        report: &mut PurgeReport,
    ) -> Result<()> {
        let (hour, mut after) = (self.0.clock.now().plus(-HEARD).hour(), String::new());
        loop {
            let retired = data_keys::retired(&node.db, hour, &after, BATCH).await?;
            let Some(last) = retired.last() else { return Ok(()) };
            after.clone_from(last);
            let parts: Vec<&[String]> = retired.chunk_by(|a, b| part_of(a) == part_of(b)).collect();
            for ids in parts {
                if !lease.renew().await? {
                    return Ok(());
                }
                let began = tokio::time::Instant::now();
                report.keys_destroyed += self.destroy_unused_keys(node, ids).await?;
                self.rest((began.elapsed() * REST).min(LONGEST_REST)).await;
            }
        }
    }

    /// In the backups' copies too: what is past its retention is past it there.
    async fn destroy_unused_keys(&self, node: &CellNode, ids: &[String]) -> Result<u64> {
        let unused = data_keys::still_unused(&node.db, ids).await?;
        if unused.is_empty() {
            return Ok(0);
        }
        self.destroy_keys(node, &unused, data_keys::destroy_unused(&node.db, &unused)).await
    }
}
