//! How fast the log reaches a receiver: events a second of a backlog in batches (Splunk, Datadog), and how long after its
//! answer a call's event arrives at 1,000 calls a minute, alone and beside endpoints that hang, answer slowly or are
//! down. Prints a table and writes `delivery.json`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints and measures, and stops where it cannot go on"
)]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each benchmark uses what it needs")]
mod common;
#[path = "../audit_search/fill.rs"]
#[allow(dead_code, reason = "shared with the benchmark of searches, which also reads")]
mod fill;
mod receiver;

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentframer::domain::access::Permission;
use agentframer::domain::ids::RequestId;
use agentframer::domain::money::Usd;
use agentframer::domain::policy::Tool;
use agentframer::engine::Engine;
use agentframer::engine::access::bootstrap::Bootstrapped;
use agentframer::engine::access::scope::{Origin, Principal, Scope};
use agentframer::engine::calls::providers::{Null, Providers};
use agentframer::engine::clock::Clock;
use agentframer::engine::store::{CellDb, Db};
use agentframer::engine::webhooks::{EndpointChange, MadeEndpoint, NewEndpoint};
use common::Args;
use common::place::{self, Place};
use receiver::Receiver;
use serde_json::{Value, json};

/// Events that wait when the endpoint begins.
const BACKLOG: i64 = 200_000;
/// The promise, in events a second.
const PROMISED_RATE: f64 = 5_000.0;
/// 1,000 calls a minute.
const BETWEEN_CALLS: Duration = Duration::from_millis(60);
const CALLS: usize = 500;
/// The promise, in milliseconds.
const PROMISED_MS: f64 = 1_000.0;
/// How much longer the slowest hundredth may take beside endpoints in trouble.
const PROMISED_TIMES: f64 = 2.0;
/// Nobody listens there.
const DOWN: &str = "http://127.0.0.1:9/";

fn main() {
    common::runtime().block_on(async {
        let mut results = Vec::new();
        for on in Args::read().databases() {
            println!("\n{on}");
            for format in ["splunk_hec", "datadog"] {
                results.push(rate(on, format).await);
            }
            results.push(latency(on).await);
        }
        common::write("delivery.json", &json!({ "benchmark": "delivery", "results": results }));
    });
}

/// A node that delivers, with one workspace and a receiver.
struct World {
    place: Place,
    engine: Engine,
    made: Bootstrapped,
    scope: Scope,
    receiver: Receiver,
}

impl World {
    async fn new(on: &str) -> Self {
        let place = Place::new(on).await;
        let mut config = place.config();
        config.webhooks.allow_private_addresses = true;
        let providers = Providers::default().with("local", Arc::new(Null), Duration::from_secs(5));
        let engine = Engine::open_with(config, Clock::System, providers).await.unwrap();
        let made = engine.bootstrap(place::bootstrap(Usd::dollars(1_000))).await.unwrap();
        let origin = Origin::new(engine.new_request_id(), None);
        let user = Principal::User(made.user_id.clone());
        let scope =
            engine.scope(&user, &made.workspace_id, Permission::ChangeWebhooks, origin).await.unwrap();
        engine.start_background();
        Self { place, engine, made, scope, receiver: Receiver::start().await }
    }

    async fn endpoint(&self, format: &str, path: &str) -> MadeEndpoint {
        self.endpoint_at(format, &format!("{}/{path}", self.receiver.url)).await
    }

    async fn endpoint_at(&self, format: &str, url: &str) -> MadeEndpoint {
        let new = NewEndpoint {
            url: url.into(),
            format: format.into(),
            token: Some("a-token-of-the-receiver".into()).filter(|_| format != "generic"),
            events: None,
            headers: None,
        };
        self.engine.create_webhook(&self.scope, new).await.unwrap()
    }

    async fn set_state(&self, made: &MadeEndpoint, state: &str) {
        let change = EndpointChange { state: Some(state.into()), ..EndpointChange::default() };
        self.engine.change_webhook(&self.scope, &made.endpoint.id, change).await.unwrap();
    }

    /// Log entries that the endpoint has not dealt with.
    async fn lag(&self) -> i64 {
        self.engine.webhooks(&self.scope).await.unwrap()[0].health.lag_events
    }

    async fn end(self) {
        self.engine.shutdown().await;
        self.place.remove().await;
    }
}

async fn rate(on: &str, format: &str) -> Value {
    let world = World::new(on).await;
    let endpoint = world.endpoint(format, "batches").await;
    world.set_state(&endpoint, "paused").await;
    let db = Db::open(&world.place.config().cell_url(&world.place.config().cells[0])).await.unwrap();
    let db = CellDb::over(db).await.unwrap();
    fill::write_rows(&db, &world.made, BACKLOG).await;
    db.close().await;
    let began = Instant::now();
    world.set_state(&endpoint, "active").await;
    while world.lag().await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(began.elapsed() < Duration::from_secs(300), "only {} events came", world.receiver.events());
    }
    let (seconds, events) = (began.elapsed().as_secs_f64(), world.receiver.events());
    // Calls that cost nothing are only sent to who names their event.
    assert!(events > BACKLOG as u64 / 2, "{events}");
    let rate = events as f64 / seconds;
    let verdict = if rate >= PROMISED_RATE { "" } else { "  SLOW" };
    println!("{format:<12} {rate:>8.0} events/s{verdict}");
    world.end().await;
    json!({ "on": on, "format": format, "events_per_s": rate })
}

async fn latency(on: &str) -> Value {
    let world = World::new(on).await;
    world.endpoint("generic", "one").await;
    let [p50, p99, most] = arrivals(&world).await;
    let verdict = if most <= PROMISED_MS { "" } else { "  SLOW" };
    println!(
        "after its call an event arrives in p50 {p50:.0} ms, p99 {p99:.0} ms, at most {most:.0} ms{verdict}"
    );
    world.endpoint("generic", "hanging").await;
    world.endpoint("generic", "slow").await;
    world.endpoint_at("generic", DOWN).await;
    let [_, beside, _] = arrivals(&world).await;
    let times = beside / p99;
    let verdict = if times <= PROMISED_TIMES { "" } else { "  SLOW" };
    println!(
        "beside one that hangs, a slow one and one that is down: p99 {beside:.0} ms, {times:.2} times{verdict}"
    );
    world.end().await;
    json!({ "on": on, "format": "generic", "p50_ms": p50, "p99_ms": p99, "most_ms": most, "p99_beside_ms": beside })
}

/// Milliseconds from calls' answers to the arrival of their events: the middle, the slowest hundredth, the slowest.
async fn arrivals(world: &World) -> [f64; 3] {
    let answered = call_steadily(world).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut waits: Vec<f64> = answered
        .iter()
        .map(|(request, at)| {
            let arrived = world.receiver.arrived(request.as_str()).expect("each event arrives");
            arrived.saturating_duration_since(*at).as_secs_f64() * 1e3
        })
        .collect();
    [50, 99, 100].map(|percent| common::percentile(&mut waits, percent))
}

/// Each call with the moment of its answer.
async fn call_steadily(world: &World) -> Vec<(RequestId, Instant)> {
    let url = url::Url::parse(&world.made.mcp_url).unwrap();
    let key = url.path_segments().unwrap().next_back().unwrap();
    let token = Some(world.made.agent_token.as_str());
    let known = world.engine.identify(token, world.made.workspace_id.as_str(), key, None).await;
    let caller = known.unwrap();
    let (mut tick, mut answered) = (tokio::time::interval(BETWEEN_CALLS), Vec::new());
    for _ in 0..CALLS {
        tick.tick().await;
        let request = world.engine.new_request_id();
        let arguments = json!({ "prompt": "a fox in the snow", "width": 512, "height": 512 });
        world.engine.call_tool(&caller, Tool::GenerateImage, arguments, request.clone()).await.unwrap();
        answered.push((request, Instant::now()));
    }
    answered
}
