//! Background work of each node: the sweeper, and the watch over what other nodes changed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use crate::domain::audit::Entry;
use crate::domain::ids::WorkspaceId;
use crate::domain::ledger::{Hold, KEY_WINDOW};
use crate::domain::time::SECOND;
use crate::domain::webhooks::event::GENERATION_FAILED;
use crate::engine::calls::gateway::CallError;
use crate::engine::money::ledger_writer::Work;
use crate::engine::store::attempts::Attempt;
use crate::engine::store::{agents, books, people};
use crate::engine::{CellNode, Engine};

/// How often a node looks for changes by others; contract §1 promises a second.
const WATCH: Duration = Duration::from_millis(500);
/// How long a node seals with a data key that it has read, in microseconds, also where it cannot look for changes.
pub(crate) const KEY_HELD: i64 = SECOND / 2;
/// How long a key lives on that was taken out of use: until no node seals with it, and as long again for the calls that
/// are then being settled.
pub(crate) const KEY_REST: i64 = 2 * KEY_HELD;
/// How often reservations past their deadline are given back.
const SWEEP: Duration = Duration::from_secs(1);
/// Reservations given back in one sweep.
const SWEPT: i64 = 500;
/// How often nodes look whether a full hour waits for its checkpoint.
const CHECKPOINT: Duration = Duration::from_secs(60);
/// How often nodes look for acts that others left behind.
const ACTS: Duration = Duration::from_secs(60);
/// How often cells forget people who deleted their accounts on another server.
const LEAVING: Duration = Duration::from_secs(60);
/// How often the purger runs: a shortened retention has to take effect within the hour.
const PURGE: Duration = Duration::from_secs(300);
/// How often nodes look whether rows and files have to be compared.
const RECONCILE: Duration = Duration::from_secs(600);
/// How often nodes look for approved data requests.
const REQUESTS: Duration = Duration::from_secs(2);
/// How often new media is copied.
const REPLICATE: Duration = Duration::from_secs(5);
/// How often nodes look whether a day is over of which an export is due.
const EXPORTS: Duration = Duration::from_secs(300);
/// How often workspaces in which something happened are looked at for alerts.
const BUDGETS: Duration = Duration::from_secs(10);
/// How often alerts that nobody was told of yet are told.
const TELL: Duration = Duration::from_secs(5);
/// How often nodes look whether a month has begun for which allowances are due.
const ALLOWANCES: Duration = Duration::from_secs(60);
/// Sweeps between two cleanings of old rows.
const CLEAN_EVERY: u32 = 600;

impl Engine {
    /// Starts this node's background work; it ends with [`Engine::shutdown`].
    pub fn start_background(&self) {
        let engine = self.clone();
        self.0.running.spawn(async move { engine.watch().await });
        let engine = self.clone();
        self.0.running.spawn(async move { engine.sweep_for_ever().await });
        self.repeat("acts", ACTS, |engine| async move { engine.write_pending_acts().await.map(drop) });
        self.repeat("leaving people", LEAVING, |engine| async move { engine.forget_leaving().await });
        self.repeat(
            "checkpoints",
            CHECKPOINT,
            |engine| async move { engine.make_checkpoints().await.map(drop) },
        );
        self.repeat("exports", EXPORTS, |engine| async move { engine.export_logs().await.map(drop) });
        self.repeat("purge", PURGE, |engine| async move { engine.purge().await.map(drop) });
        self.repeat(
            "reconcile",
            RECONCILE,
            |engine| async move { engine.reconcile_where_due().await.map(drop) },
        );
        self.repeat("data requests", REQUESTS, |engine| async move {
            engine.execute_data_requests().await.map(drop)
        });
        for node in self.0.cells.values() {
            let (engine, node) = (self.clone(), node.clone());
            self.0.running.spawn(async move { engine.deliver_for_ever(node).await });
        }
        self.repeat("alerts", BUDGETS, |engine| async move { engine.watch_budgets().await.map(drop) });
        self.repeat("telling", TELL, |engine| async move {
            engine.tell_alerts_apart();
            Ok(())
        });
        self.repeat(
            "allowances",
            ALLOWANCES,
            |engine| async move { engine.give_allowances().await.map(drop) },
        );
        self.repeat("replication", REPLICATE, |engine| async move { engine.replicate().await.map(drop) });
    }

    /// Does what `work` makes for ever, with this pause after each time. What fails is told and done again.
    fn repeat<F>(&self, name: &'static str, pause: Duration, work: fn(Self) -> F)
    where
        F: Future<Output = crate::engine::error::Result<()>> + Send + 'static,
    {
        let engine = self.clone();
        self.0.running.spawn(async move {
            while engine.pause(pause).await {
                if let Err(error) = work(engine.clone()).await {
                    tracing::error!(%error, name, "background work failed; it is tried again");
                }
            }
        });
    }

    async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.0.stopping.cancelled() => false,
            () = tokio::time::sleep(time) => true,
        }
    }

    async fn watch(&self) {
        while self.pause(WATCH).await {
            let mut sum = 0;
            for db in self.databases() {
                match db.change_number().await {
                    Ok(number) => sum += number,
                    // What cannot be asked may have changed.
                    Err(_) => sum = -1,
                }
            }
            if self.0.identities.seen_changes.swap(sum, Ordering::SeqCst) != sum {
                self.forget_cached();
            }
        }
    }

    /// Forgets what another node or a job may have changed: tokens and data keys.
    pub(crate) fn forget_cached(&self) {
        self.0.identities.forget();
        self.0.cells.values().for_each(|node| node.sealer.forget());
    }

    async fn sweep_for_ever(&self) {
        let mut round = 0u32;
        while self.pause(SWEEP).await {
            if let Err(error) = self.sweep().await {
                tracing::error!(%error, "the sweep failed; it is tried again");
            }
            round = round.wrapping_add(1);
            if round.is_multiple_of(CLEAN_EVERY) {
                self.clean().await;
            }
        }
    }

    /// Gives reservations back whose deadline has passed; tells how many.
    ///
    /// # Errors
    /// The database's own; the next sweep goes on.
    pub async fn sweep(&self) -> crate::engine::error::Result<usize> {
        let mut released = 0;
        for node in self.0.cells.values() {
            for (workspace, hold) in books::expired(&node.db, self.0.clock.now(), SWEPT).await? {
                let (attempt, event) = self.expired(node, &workspace, &hold).await?.unzip();
                let work = Work::Release {
                    request_id: hold.request_id,
                    attempt: attempt.map(Box::new),
                    event: event.map(Box::new),
                };
                node.writer.submit(&workspace, work).await?;
                released += 1;
            }
        }
        Ok(released)
    }

    /// What is told of a call that nobody ended: the trace of its failure, and the event.
    async fn expired(
        &self,
        node: &CellNode,
        workspace: &WorkspaceId,
        hold: &Hold,
    ) -> crate::engine::error::Result<Option<(Attempt, Entry)>> {
        let message = "The call did not end before its reservation's deadline. Nothing was charged.";
        let error = CallError::new("provider_timeout", message, true);
        let agent = agents::get(&node.db, workspace, &hold.agent_id).await?;
        let (Some(agent), Some(scope)) = (agent, self.system_in(workspace).await?) else { return Ok(None) };
        let known = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let attempt = Attempt {
            workspace_id: workspace.clone(),
            user_id: agent.name,
            tool: hold.asked.tool.clone(),
            model: known(&hold.asked.model),
            code: error.code.to_owned(),
            message: error.message,
            prompt_hash: known(&hold.asked.prompt_hash),
            request_id: hold.request_id.clone(),
            failed: true,
            at: self.0.clock.now(),
        };
        let data = json!({ "code": attempt.code, "message": attempt.message, "retryable": error.retryable });
        let act = self.act(&scope, GENERATION_FAILED, data, Vec::new()).await?;
        let event = Entry {
            request_id: attempt.request_id.clone(),
            user_id: attempt.user_id.clone(),
            tool: Some(attempt.tool.clone()),
            model: attempt.model.clone(),
            prompt_hash: attempt.prompt_hash.clone(),
            ..act.entry
        };
        Ok(Some((attempt, event)))
    }

    async fn clean(&self) {
        let now = self.0.clock.now();
        for node in self.0.cells.values() {
            if let Err(error) = books::delete_old_keys(&node.db, now.plus(-KEY_WINDOW)).await {
                tracing::warn!(%error, "old idempotency keys were not removed");
            }
        }
        if let Err(error) = self.forget_deliveries().await {
            tracing::warn!(%error, "old deliveries were not removed");
        }
        if let Err(error) = people::delete_ended_sessions(&self.0.control, now).await {
            tracing::warn!(%error, "ended sessions were not removed");
        }
        if let Err(error) = self.forget_sign_ins().await {
            tracing::warn!(%error, "old sign-ins were not removed");
        }
    }
}
