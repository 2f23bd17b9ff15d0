//! Delivers: each endpoint is claimed by one node at a time and served in order, none waits for another.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::domain::time::{DAY, SECOND, Time};
use crate::domain::webhooks::answer::{Answer, judge};
use crate::domain::webhooks::endpoint::wants;
use crate::domain::webhooks::event::Event;
use crate::domain::webhooks::parcel::{Parcel, Seen, pack};
use crate::domain::webhooks::progress::{Step, TELL_AFTER};
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::store::deliveries::{self, DeliveryRow, ParkedRow, ReplayRow};
use crate::engine::store::log;
use crate::engine::store::sql::Statement;
use crate::engine::store::webhooks::{self, EndpointRow, EndpointState};
use crate::engine::webhooks::secrets::Secrets;
use crate::engine::webhooks::sender::{KEPT, Request};
use crate::engine::{CellNode, Engine, random};

/// How long a claim lasts: longer than the longest attempt, short enough that a dead node holds nobody up.
const CLAIM: i64 = 45 * SECOND;
/// How often a node looks for what other nodes wrote.
const LOOK: Duration = Duration::from_millis(500);
/// Rest after each look, so that a busy ledger does not mean a look for each commit.
const REST: Duration = Duration::from_millis(50);
/// Endpoints that a node serves at a time.
const AT_ONCE: usize = 64;
/// Log rows read at a time.
const PIECE: i64 = 1_000;
/// How long deliveries are shown.
pub(crate) const KEEP: i64 = 30 * DAY;

/// What is being delivered.
enum Lane {
    Live,
    Replay(ReplayRow),
}

impl Lane {
    const fn name(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Replay(_) => "replay",
        }
    }
}

/// Whether to go on with an endpoint.
#[derive(PartialEq)]
enum Next {
    /// With the parcel behind this one.
    Parcel,
    /// From the cursor anew: the parcels have another size now.
    Anew,
    /// Not now.
    Rest,
}

/// One claimed endpoint.
struct Courier<'a> {
    engine: &'a Engine,
    node: &'a CellNode,
    row: EndpointRow,
    secrets: Secrets,
    holder: String,
}

impl Engine {
    /// Delivers for ever, until the engine shuts down.
    pub(in crate::engine) async fn deliver_for_ever(&self, node: CellNode) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while !self.0.stopping.is_cancelled() {
            tokio::select! {
                () = self.0.stopping.cancelled() => break,
                () = node.writer.committed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Err(error) = self.start_couriers(&node, &places).await {
                tracing::error!(%error, "webhooks were not looked after; it is tried again");
            }
            tokio::time::sleep(REST).await;
        }
    }

    async fn start_couriers(&self, node: &CellNode, places: &Arc<Semaphore>) -> Result<()> {
        for row in webhooks::due(&node.db, self.0.clock.now()).await? {
            let Ok(place) = Arc::clone(places).try_acquire_owned() else { return Ok(()) };
            let (engine, node) = (self.clone(), node.clone());
            self.0.running.spawn(async move {
                let _place = place;
                engine.serve_endpoint(&node, row).await;
            });
        }
        Ok(())
    }

    /// One round over every endpoint that is due; tells how many that were.
    ///
    /// # Errors
    /// The database's own.
    pub async fn deliver_webhooks(&self) -> Result<usize> {
        let mut count = 0;
        for node in self.0.cells.values() {
            let due = webhooks::due(&node.db, self.0.clock.now()).await?;
            count += due.len();
            join_all(due.into_iter().map(|row| self.serve_endpoint(node, row))).await;
        }
        Ok(count)
    }

    /// Removes deliveries that are no longer shown.
    ///
    /// # Errors
    /// The database's own.
    pub(in crate::engine) async fn forget_deliveries(&self) -> Result<()> {
        for node in self.0.cells.values() {
            while deliveries::delete_before(&node.db, self.0.clock.now().plus(-KEEP)).await? > 0 {}
        }
        Ok(())
    }

    async fn serve_endpoint(&self, node: &CellNode, row: EndpointRow) {
        let (id, holder) = (row.id.clone(), hex::encode(random::bytes::<8>()));
        let served = self.claim_and_serve(node, row, &holder).await;
        if let Err(error) = served {
            tracing::error!(%error, endpoint = %id, "a webhook was not served; it is tried again");
        }
        if let Err(error) = webhooks::unclaim(&node.db, &id, &holder).await {
            tracing::warn!(%error, endpoint = %id, "a webhook's claim ends by itself");
        }
    }

    async fn claim_and_serve(&self, node: &CellNode, row: EndpointRow, holder: &str) -> Result<()> {
        let now = self.0.clock.now();
        if !webhooks::claim(&node.db, &row.id, holder, now, now.plus(CLAIM)).await? {
            return Ok(());
        }
        // Between the look and the claim another node may have moved it on.
        let Some(row) = webhooks::get(&node.db, &row.workspace_id, &row.id).await? else { return Ok(()) };
        let secrets = Secrets::open(node, &row).await?;
        let mut courier = Courier { engine: self, node, row, secrets, holder: holder.to_owned() };
        courier.serve().await
    }
}

impl Courier<'_> {
    fn now(&self) -> Time {
        self.engine.0.clock.now()
    }

    /// Replays and the live log take turns, so that neither holds up the other.
    async fn serve(&mut self) -> Result<()> {
        while !self.engine.0.stopping.is_cancelled() {
            let replay = deliveries::replays(&self.node.db, &self.row.id).await?.into_iter().next();
            let is_replaying = replay.is_some();
            if let Some(replay) = replay
                && self.piece(Lane::Replay(replay)).await? == Next::Rest
            {
                return Ok(());
            }
            let before = self.row.cursor;
            let next = self.piece(Lane::Live).await?;
            let is_done = self.row.cursor == before && !is_replaying && next == Next::Parcel;
            if is_done || next == Next::Rest {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Delivers a piece of a lane.
    async fn piece(&mut self, mut lane: Lane) -> Result<Next> {
        let rows = self.read(&lane).await?;
        if let (Lane::Replay(replay), true) = (&mut lane, rows.is_empty()) {
            replay.cursor = replay.to_seq;
            return self.go_on(&lane, Vec::new()).await;
        }
        let host = self.host();
        for parcel in pack(&rows, self.row.format, &host, self.row.progress.batch) {
            let next = self.deliver(&mut lane, &parcel).await?;
            if next != Next::Parcel || self.engine.0.stopping.is_cancelled() {
                return Ok(next);
            }
        }
        Ok(Next::Parcel)
    }

    async fn read(&self, lane: &Lane) -> Result<Vec<Seen>> {
        let (after, to) = match lane {
            Lane::Live => (self.row.cursor, i64::MAX),
            Lane::Replay(replay) => (replay.cursor, replay.to_seq),
        };
        let limit = if self.row.progress.batch <= 1 { PIECE / 10 } else { PIECE };
        let rows = log::between(&self.node.db, &self.row.workspace_id, after, to, limit).await?;
        let seen = |(linked, balance)| {
            let event = Event::of(linked, balance);
            (event.seq, Some(event).filter(|event| wants(&self.row.events, event.name())))
        };
        Ok(rows.into_iter().map(seen).collect())
    }

    fn host(&self) -> String {
        let url = url::Url::parse(&self.engine.0.config.public_url()).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    async fn deliver(&mut self, lane: &mut Lane, parcel: &Parcel) -> Result<Next> {
        let Some(id) = &parcel.id else {
            self.advance(lane, parcel);
            return self.go_on(lane, Vec::new()).await;
        };
        let (at, attempt) = (self.now(), i64::from(self.row.progress.failures) + 1);
        let (answer, took) = self.send(id.as_str(), &parcel.body, at).await;
        let verdict = judge(self.row.format, &answer);
        let (most, random) = (self.row.format.limits().events, random::bytes::<1>()[0]);
        let step = self.row.progress.after(&verdict, parcel.events.len(), most, self.now(), random);
        let took = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        let row = self.delivery(lane, parcel, &answer, &step, (at, took, attempt));
        self.follow(lane, parcel, step, row).await
    }

    async fn send(&self, id: &str, body: &[u8], at: Time) -> (Answer, Duration) {
        let request = Request {
            url: &self.row.url,
            format: self.row.format,
            id,
            body,
            secrets: &self.secrets,
            signing: self.secrets.signing(self.row.old_secret_ends_at, at),
            channel: crate::engine::webhooks::channel(&self.row.id),
            at,
        };
        self.engine.0.sender.send(&request).await
    }

    /// Does what follows from an answer and keeps it, all in one transaction.
    async fn follow(
        &mut self,
        lane: &mut Lane,
        parcel: &Parcel,
        step: Step,
        row: DeliveryRow,
    ) -> Result<Next> {
        let mut statements = vec![deliveries::insert(&row)];
        let next = match step {
            Step::Advance => {
                self.advance(lane, parcel);
                if matches!(lane, Lane::Replay(_)) {
                    statements.push(deliveries::unpark(&self.row.id, row.from_seq, row.to_seq));
                }
                Next::Parcel
            }
            Step::Park(reason) => {
                self.advance(lane, parcel);
                let parked = ParkedRow {
                    seq: row.from_seq,
                    event: row.event,
                    event_id: row.event_id,
                    reason,
                    at: row.at,
                };
                statements.push(deliveries::park(&self.row.workspace_id, &self.row.id, &parked));
                Next::Parcel
            }
            Step::Split => Next::Anew,
            Step::Wait(why) => {
                statements.extend(self.alert_of_failures(&why));
                self.save(lane, statements).await?;
                return Ok(Next::Rest);
            }
            Step::Pause(why) => return self.stop(lane, statements, EndpointState::Paused, &why).await,
            Step::Disable(why) => return self.stop(lane, statements, EndpointState::Disabled, &why).await,
        };
        self.save(lane, statements).await.map(|ours| if ours { next } else { Next::Rest })
    }

    async fn go_on(&self, lane: &Lane, statements: Vec<Statement>) -> Result<Next> {
        self.save(lane, statements).await.map(|ours| if ours { Next::Parcel } else { Next::Rest })
    }

    fn advance(&mut self, lane: &mut Lane, parcel: &Parcel) {
        match lane {
            Lane::Live => self.row.cursor = parcel.to_seq,
            Lane::Replay(replay) => replay.cursor = parcel.to_seq,
        }
    }

    /// Keeps how the endpoint stands, while the claim is ours; false where it is not.
    async fn save(&self, lane: &Lane, more: Vec<Statement>) -> Result<bool> {
        let mut statements = vec![webhooks::save(&self.row, &self.holder, self.now().plus(CLAIM))];
        if let Lane::Replay(replay) = lane {
            statements.push(deliveries::replayed(replay));
        }
        statements.extend(more);
        deliveries::together(&self.node.db, statements).await
    }

    /// Pauses or disables the endpoint: an act in the log, and a word to the Admins.
    async fn stop(
        &self,
        lane: &Lane,
        statements: Vec<Statement>,
        state: EndpointState,
        why: &str,
    ) -> Result<Next> {
        self.save(lane, statements).await?;
        let scope = self.scope().await?;
        let event = if state == EndpointState::Disabled { "webhook.disabled" } else { "webhook.changed" };
        let data = json!({ "id": self.row.id, "url": self.row.url, "state": state, "reason": why });
        let request = scope.origin.request_id.as_str();
        let changes = vec![
            webhooks::stop(&self.row.workspace_id, &self.row.id, state, why),
            self.engine.webhook_alert(&self.row, state.as_str(), why, request),
        ];
        let act = self.engine.act(&scope, event, data, changes).await?;
        self.engine.submit_act(&scope, act).await?;
        Ok(Next::Rest)
    }

    /// The Admins hear of an endpoint that fails once, not at each retry.
    fn alert_of_failures(&self, why: &str) -> Option<Statement> {
        let progress = &self.row.progress;
        let since = progress.failing_since.filter(|_| progress.failures == TELL_AFTER)?;
        Some(self.engine.webhook_alert(&self.row, "failing", why, &since.to_string()))
    }

    async fn scope(&self) -> Result<Scope> {
        self.engine.system_in(&self.row.workspace_id).await?.ok_or(Error::NotFound)
    }

    fn delivery(
        &self,
        lane: &Lane,
        parcel: &Parcel,
        answer: &Answer,
        step: &Step,
        (at, duration, attempt): (Time, i64, i64),
    ) -> DeliveryRow {
        let first = parcel.events.first();
        DeliveryRow {
            id: random::id(at),
            workspace_id: self.row.workspace_id.clone(),
            endpoint_id: self.row.id.clone(),
            lane: lane.name().into(),
            event: first.map(|(.., name)| name.clone()).unwrap_or_default(),
            event_id: first.map(|(_, id, _)| id.to_string()).unwrap_or_default(),
            from_seq: first.map_or(parcel.to_seq, |(seq, ..)| *seq),
            to_seq: parcel.events.last().map_or(parcel.to_seq, |(seq, ..)| *seq),
            events: parcel.events.len() as i64,
            attempt,
            outcome: outcome(step).into(),
            status: answer.status.map(i64::from),
            fault: answer.fault.clone().or_else(|| reason(step)),
            request: kept(&parcel.body),
            response: answer.body.clone(),
            duration,
            at,
        }
    }
}

const fn outcome(step: &Step) -> &'static str {
    match step {
        Step::Advance => "delivered",
        Step::Park(_) => "parked",
        Step::Split => "split",
        Step::Wait(_) => "retried",
        Step::Pause(_) => "paused",
        Step::Disable(_) => "disabled",
    }
}

fn reason(step: &Step) -> Option<String> {
    match step {
        Step::Park(why) | Step::Wait(why) | Step::Pause(why) | Step::Disable(why) => Some(why.clone()),
        Step::Advance | Step::Split => None,
    }
}

/// What is kept of a body.
pub(super) fn kept(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(KEPT)]).into_owned()
}
