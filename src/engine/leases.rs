//! Background work that one node at a time does on a cell. A lease ends by itself, so a node that dies holds nobody up.

use std::sync::atomic::{AtomicI64, Ordering};

use serde::Serialize;

use crate::domain::time::{MINUTE, Time};
use crate::engine::error::Result;
use crate::engine::store::data_jobs;
use crate::engine::{CellNode, Engine};

/// How long a lease lasts without being renewed; a batch is much shorter.
const LEASE: i64 = 2 * MINUTE;

/// The right to do a job on a cell, until it is finished or not renewed in time.
pub(crate) struct Lease<'a> {
    engine: &'a Engine,
    node: &'a CellNode,
    job: &'static str,
    holder: String,
    renewed_us: AtomicI64,
}

impl Engine {
    /// Takes a job on a cell; `None` where another node, or another task of this one, is at it.
    pub(crate) async fn lease<'a>(
        &'a self,
        node: &'a CellNode,
        job: &'static str,
    ) -> Result<Option<Lease<'a>>> {
        let (now, holder) = (self.0.clock.now(), hex::encode(crate::engine::random::bytes::<8>()));
        let taken = data_jobs::acquire(&node.db, job, &holder, now, now.plus(LEASE)).await?;
        Ok(taken.then(|| Lease { engine: self, node, job, holder, renewed_us: AtomicI64::new(now.micros()) }))
    }
}

impl Lease<'_> {
    /// Keeps the lease for another batch; false when the job has to stop here. Most batches have time enough left, and write
    /// nothing.
    pub(crate) async fn renew(&self) -> Result<bool> {
        if self.engine.0.stopping.is_cancelled() {
            return Ok(false);
        }
        let now = self.now();
        if now.micros() - self.renewed_us.load(Ordering::Relaxed) < LEASE / 4 {
            return Ok(true);
        }
        self.renewed_us.store(now.micros(), Ordering::Relaxed);
        data_jobs::renew(&self.node.db, self.job, &self.holder, now.plus(LEASE)).await
    }

    /// Gives the lease back and keeps what the run did.
    pub(crate) async fn finish(self, report: &impl Serialize) -> Result<()> {
        let json = serde_json::to_string(report).unwrap_or_default();
        data_jobs::finish(&self.node.db, self.job, &self.holder, self.now(), &json).await
    }

    fn now(&self) -> Time {
        self.engine.0.clock.now()
    }
}
