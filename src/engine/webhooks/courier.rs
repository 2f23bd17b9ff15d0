//! Delivers: each endpoint is claimed by one node at a time and served in order, none waits for another.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use crate::domain::ids::WebhookId;
use crate::domain::time::{DAY, MINUTE, SECOND, Time};
use crate::domain::webhooks::answer::{Answer, Verdict, judge};
use crate::domain::webhooks::endpoint::{in_log, wants};
use crate::domain::webhooks::event::Event;
use crate::domain::webhooks::parcel::{Parcel, Seen, pack};
use crate::domain::webhooks::progress::{PATIENCE, Step, TELL_AFTER};
use crate::engine::error::{Error, Result};
use crate::engine::store::deliveries::{self, DeliveryRow, ParkedRow, ReplayRow};
use crate::engine::store::log;
use crate::engine::store::sql::Statement;
use crate::engine::store::webhooks::{self, EndpointRow, EndpointState};
use crate::engine::webhooks::secrets::Secrets;
use crate::engine::webhooks::sender::{Request, channel, kept};
use crate::engine::webhooks::slots::Slots;
use crate::engine::{CellNode, Engine, random};

/// How long a claim lasts: longer than the longest attempt with its probe, short enough that a dead node holds nobody up.
const CLAIM: i64 = 60 * SECOND;
/// How often a node looks for what other nodes wrote.
const LOOK: Duration = Duration::from_millis(500);
/// Rest after each look, so that a busy ledger does not mean a look for each commit.
const REST: Duration = Duration::from_millis(50);
/// Endpoints that are looked at in one go.
const LOOKED_AT: i64 = 1_000;
/// How long an endpoint keeps its slot while it has more to deliver; then those that wait longer come first.
const TURN: Duration = Duration::from_secs(5);
/// How long one lane goes on before the other one's turn.
const SHARE: Duration = Duration::from_secs(2);
/// How long an endpoint rests that could not be served: what was acknowledged but not saved would be sent again at once.
const PUT_OFF: i64 = MINUTE;
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

/// A request that was sent.
struct Sent {
    answer: Answer,
    /// In microseconds.
    took: i64,
    at: Time,
    /// Which try, from 1.
    attempt: i64,
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
        let slots = Slots::default();
        while !self.0.stopping.is_cancelled() {
            tokio::select! {
                () = self.0.stopping.cancelled() => break,
                () = node.writer.committed() => {}
                () = slots.freed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Err(error) = self.start_couriers(&node, &slots).await {
                tracing::error!(%error, "webhooks were not looked after; it is tried again");
            }
            tokio::time::sleep(REST).await;
        }
    }

    async fn start_couriers(&self, node: &CellNode, slots: &Slots) -> Result<()> {
        for (workspace, id) in webhooks::due(&node.db, self.0.clock.now(), LOOKED_AT).await? {
            let Some(slot) = slots.take(&workspace) else { continue };
            let (engine, node) = (self.clone(), node.clone());
            self.0.running.spawn(async move {
                engine.serve_endpoint(&node, &id).await;
                drop(slot);
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
            let due = webhooks::due(&node.db, self.0.clock.now(), LOOKED_AT).await?;
            count += due.len();
            join_all(due.iter().map(|(_, id)| self.serve_endpoint(node, id))).await;
        }
        Ok(count)
    }

    /// Removes deliveries that are no longer shown, and what is left of endpoints that were deleted.
    ///
    /// # Errors
    /// The database's own; the next time goes on.
    pub(in crate::engine) async fn forget_deliveries(&self) -> Result<()> {
        for node in self.0.cells.values() {
            webhooks::delete_of_gone(&node.db, self.0.clock.now().plus(-PATIENCE)).await?;
            while deliveries::delete_before(&node.db, self.0.clock.now().plus(-KEEP)).await? > 0 {}
            for id in webhooks::deleted(&node.db).await? {
                while deliveries::delete_of(&node.db, &id).await? > 0 {}
                deliveries::together(&node.db, deliveries::delete_rest(&id)).await?;
            }
            deliveries::delete_cut(&node.db).await?;
        }
        Ok(())
    }

    async fn serve_endpoint(&self, node: &CellNode, id: &WebhookId) {
        let holder = hex::encode(random::bytes::<8>());
        if let Err(error) = self.claim_and_serve(node, id, &holder).await {
            tracing::error!(%error, endpoint = %id, "a webhook was not served; it is tried again in a minute");
            self.put_off(node, id, &holder).await;
        }
        if let Err(error) = webhooks::unclaim(&node.db, id, &holder).await {
            tracing::warn!(%error, endpoint = %id, "a webhook's claim ends by itself");
        }
    }

    async fn put_off(&self, node: &CellNode, id: &WebhookId, holder: &str) {
        let why = "AgentFramer had a fault of its own and tries again in a minute";
        let until = self.0.clock.now().plus(PUT_OFF);
        if let Err(error) = webhooks::put_off(&node.db, id, holder, until, why).await {
            tracing::warn!(%error, endpoint = %id, "a webhook is tried again when its claim has ended");
        }
    }

    async fn claim_and_serve(&self, node: &CellNode, id: &WebhookId, holder: &str) -> Result<()> {
        let now = self.0.clock.now();
        if !webhooks::claim(&node.db, id, holder, now, now.plus(CLAIM)).await? {
            return Ok(());
        }
        let Some(row) = webhooks::claimed(&node.db, id, holder).await? else { return Ok(()) };
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
        let began = Instant::now();
        while !self.engine.0.stopping.is_cancelled() && began.elapsed() < TURN {
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
        let began = Instant::now();
        for parcel in pack(&rows, self.row.format, &self.host(), self.row.progress.batch, self.now()) {
            let mut next = self.refresh().await?;
            if next == Next::Parcel {
                next = self.deliver(&mut lane, &parcel, later(&rows, &parcel)).await?;
            }
            if next != Next::Parcel || self.engine.0.stopping.is_cancelled() || began.elapsed() >= SHARE {
                return Ok(next);
            }
        }
        Ok(Next::Parcel)
    }

    /// Reads the endpoint anew: since the parcel before an Admin may have paused it, or changed where to and what.
    async fn refresh(&mut self) -> Result<Next> {
        let Some(row) = webhooks::claimed(&self.node.db, &self.row.id, &self.holder).await? else {
            return Ok(Next::Rest);
        };
        if row.sealed != self.row.sealed {
            self.secrets = Secrets::open(self.node, &row).await?;
        }
        let next = if row.events == self.row.events { Next::Parcel } else { Next::Anew };
        self.row = row;
        Ok(next)
    }

    async fn read(&self, lane: &Lane) -> Result<Vec<Seen>> {
        let (after, to) = match lane {
            Lane::Live => (self.row.cursor, self.row.retry_to.unwrap_or(i64::MAX)),
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

    /// Delivers a parcel; `later` is an event behind it.
    async fn deliver(&mut self, lane: &mut Lane, parcel: &Parcel, later: Option<&Event>) -> Result<Next> {
        let Some(id) = &parcel.id else {
            self.advance(lane, parcel);
            return self.go_on(lane, Vec::new()).await;
        };
        let sent = self.send(id.as_str(), &parcel.body).await;
        let (mut step, mut probe) = (self.step(lane, &sent.answer, parcel.events.len()), None);
        if let Step::Probe(why) = &step {
            (step, probe) = self.probe(why, later).await;
        }
        let mut rows = vec![self.delivery(lane.name(), parcel, &sent, &step)];
        rows.extend(probe);
        self.follow(lane, parcel, step, rows).await
    }

    fn step(&mut self, lane: &Lane, answer: &Answer, events: usize) -> Step {
        let verdict = judge(self.row.format, answer);
        let (most, now, random) = (self.row.format.limits().events, self.now(), random::bytes::<1>()[0]);
        match lane {
            Lane::Live => self.row.progress.after(&verdict, events, most, now, random),
            Lane::Replay(_) => self.row.progress.after_replay(&verdict, events, most, now, random),
        }
    }

    /// Several events in a row were refused. A later one, sent before its turn, tells whether the receiver refuses these or
    /// everything; where it is taken, it comes again in its place, under the same id.
    async fn probe(&mut self, why: &str, later: Option<&Event>) -> (Step, Option<DeliveryRow>) {
        let (host, format, now) = (self.host(), self.row.format, self.now());
        let seen = later.map(|event| (event.seq, Some(event.clone())));
        let parcel = seen.and_then(|seen| pack(&[seen], format, &host, 1, now).pop()).unwrap_or_default();
        let Some(id) = &parcel.id else {
            return (self.row.progress.after_probe(why, false, now, random::bytes::<1>()[0]), None);
        };
        let sent = self.send(id.as_str(), &parcel.body).await;
        let taken = judge(format, &sent.answer) == Verdict::Delivered;
        let came_of_it =
            if taken { Step::Advance } else { Step::Wait("refused like the events before it".into()) };
        let row = self.delivery("probe", &parcel, &sent, &came_of_it);
        (self.row.progress.after_probe(why, taken, self.now(), random::bytes::<1>()[0]), Some(row))
    }

    async fn send(&self, id: &str, body: &[u8]) -> Sent {
        let (at, attempt) = (self.now(), i64::from(self.row.progress.failures) + 1);
        let request = Request {
            url: &self.row.url,
            format: self.row.format,
            id,
            body,
            secrets: &self.secrets,
            signing: self.secrets.signing(self.row.old_secret_ends_at, at),
            channel: channel(&self.row.id),
            at,
        };
        let (answer, took) = self.engine.0.sender.send(&request).await;
        Sent { answer, took: i64::try_from(took.as_micros()).unwrap_or(i64::MAX), at, attempt }
    }

    /// Does what follows from an answer and keeps it, all in one transaction.
    async fn follow(
        &mut self,
        lane: &mut Lane,
        parcel: &Parcel,
        step: Step,
        rows: Vec<DeliveryRow>,
    ) -> Result<Next> {
        let mut statements: Vec<Statement> = rows.iter().map(deliveries::insert).collect();
        let next = match step {
            Step::Advance => {
                self.advance(lane, parcel);
                if let (Lane::Replay(_), Some(row)) = (&lane, rows.first()) {
                    statements.push(deliveries::unpark(&self.row.id, row.from_seq, row.to_seq));
                }
                Next::Parcel
            }
            Step::Park(reason) => {
                self.advance(lane, parcel);
                statements.extend(rows.into_iter().next().map(|row| self.park(row, reason)));
                Next::Parcel
            }
            Step::Split => {
                self.retry_to(lane, None);
                Next::Anew
            }
            Step::Wait(why) | Step::Probe(why) => {
                // Where events are refused, what is behind them is needed for the next probe.
                self.retry_to(lane, Some(parcel.to_seq).filter(|_| self.row.progress.refused == 0));
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
        self.retry_to(lane, None);
        match lane {
            Lane::Live => self.row.cursor = parcel.to_seq,
            Lane::Replay(replay) => replay.cursor = parcel.to_seq,
        }
    }

    /// A request that failed is sent again with the events that it had: its id stands for these.
    const fn retry_to(&mut self, lane: &Lane, to: Option<i64>) {
        if matches!(lane, Lane::Live) {
            self.row.retry_to = to;
        }
    }

    fn park(&self, row: DeliveryRow, reason: String) -> Statement {
        let parked =
            ParkedRow { seq: row.from_seq, event: row.event, event_id: row.event_id, reason, at: row.at };
        deliveries::park(&self.row.workspace_id, &self.row.id, &parked)
    }

    /// Keeps where and how the endpoint stands, while the claim is ours; false where it is not.
    async fn save(&self, lane: &Lane, more: Vec<Statement>) -> Result<bool> {
        let mut statements = vec![
            webhooks::settle(&self.row, &self.holder, self.now().plus(CLAIM)),
            webhooks::progress(&self.row, &self.holder),
        ];
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
        if !self.save(lane, statements).await? {
            return Ok(Next::Rest);
        }
        let Some(scope) = self.engine.system_in(&self.row.workspace_id).await? else {
            // The workspace was deleted: nobody hears of it, nor starts it again.
            let delete = webhooks::delete(&self.row.workspace_id, &self.row.id);
            deliveries::together(&self.node.db, vec![delete]).await?;
            return Ok(Next::Rest);
        };
        let event = if state == EndpointState::Disabled { "webhook.disabled" } else { "webhook.changed" };
        let data = json!({ "id": self.row.id, "url": in_log(&self.row.url), "state": state, "reason": why });
        let request = scope.origin.request_id.as_str();
        let changes = vec![
            webhooks::stop(&self.row, state, why),
            self.engine.webhook_alert(&self.row, state.as_str(), why, request),
        ];
        let act = self.engine.act(&scope, event, data, changes).await?;
        match self.engine.submit_act(&scope, act).await {
            // An Admin changed it while the answer was on its way: what was wrong may be right.
            Err(Error::NotFound) => return Ok(Next::Rest),
            stopped => stopped?,
        };
        Ok(Next::Rest)
    }

    /// The Admins hear of an endpoint that fails once, not at each retry.
    fn alert_of_failures(&self, why: &str) -> Option<Statement> {
        let progress = &self.row.progress;
        let since = progress.failing_since.filter(|_| progress.failures == TELL_AFTER)?;
        Some(self.engine.webhook_alert(&self.row, "failing", why, &since.to_string()))
    }

    fn delivery(&self, lane: &str, parcel: &Parcel, sent: &Sent, step: &Step) -> DeliveryRow {
        let (first, answer) = (parcel.events.first(), &sent.answer);
        DeliveryRow {
            id: random::id(sent.at),
            workspace_id: self.row.workspace_id.clone(),
            endpoint_id: self.row.id.clone(),
            lane: lane.into(),
            event: first.map(|(.., name)| name.clone()).unwrap_or_default(),
            event_id: first.map(|(_, id, _)| id.to_string()).unwrap_or_default(),
            from_seq: first.map_or(parcel.to_seq, |(seq, ..)| *seq),
            to_seq: parcel.events.last().map_or(parcel.to_seq, |(seq, ..)| *seq),
            events: parcel.events.len() as i64,
            attempt: sent.attempt,
            outcome: outcome(step).into(),
            status: answer.status.map(i64::from),
            fault: answer.fault.clone().or_else(|| reason(step)),
            request: kept(&parcel.body),
            response: answer.body.clone(),
            duration: sent.took,
            at: sent.at,
        }
    }
}

const fn outcome(step: &Step) -> &'static str {
    match step {
        Step::Advance => "delivered",
        Step::Park(_) => "parked",
        Step::Split => "split",
        Step::Wait(_) | Step::Probe(_) => "retried",
        Step::Pause(_) => "paused",
        Step::Disable(_) => "disabled",
    }
}

fn reason(step: &Step) -> Option<String> {
    match step {
        Step::Park(why) | Step::Probe(why) | Step::Wait(why) | Step::Pause(why) | Step::Disable(why) => {
            Some(why.clone())
        }
        Step::Advance | Step::Split => None,
    }
}

/// The event behind a parcel that is the least like it: the next one of another name, or else the last.
fn later<'a>(rows: &'a [Seen], parcel: &Parcel) -> Option<&'a Event> {
    let mut behind =
        rows.iter().filter(|(seq, _)| *seq > parcel.to_seq).filter_map(|(_, event)| event.as_ref());
    let is_like = |event: &Event| parcel.events.iter().any(|(.., name)| name == event.name());
    behind.clone().find(|event| !is_like(event)).or_else(|| behind.next_back())
}
