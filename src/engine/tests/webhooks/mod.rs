//! Webhooks against real sockets.

mod changing;
mod delivering;
mod records;
mod strict;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::domain::ids::WebhookId;
use crate::domain::webhooks::signature;
use crate::engine::access::scope::Scope;
use crate::engine::log::reading::Page;
use crate::engine::money::ledger_writer::Work;
use crate::engine::store::log;
use crate::engine::tests::receiver::{Received, Receiver, Reply};
use crate::engine::tests::support::{Databases, World};
use crate::engine::webhooks::{DeliveryView, EndpointChange, MadeEndpoint, NewEndpoint};

async fn world(on: Databases) -> World {
    World::with_config(on, "100", |config| config.webhooks.allow_private_addresses = true).await
}

fn endpoint(url: &str, format: &str) -> NewEndpoint {
    let token = (format != "generic").then(|| "token-1".to_owned());
    NewEndpoint { url: url.into(), format: format.into(), token, events: None, headers: None }
}

async fn hook(world: &World, receiver: &Receiver, format: &str) -> MadeEndpoint {
    world.engine.create_webhook(&world.admin().await, endpoint(&receiver.url, format)).await.unwrap()
}

async fn image(world: &World, prompt: &str) -> String {
    let answer = world.image(json!({ "prompt": prompt, "width": 64, "height": 64 })).await.unwrap();
    answer["request_id"].as_str().unwrap().to_owned()
}

/// So many acts, written as fast as the writer takes them.
async fn acts(world: &World, count: usize) {
    acts_in(world, &world.admin().await, count).await;
}

async fn acts_in(world: &World, admin: &Scope, count: usize) {
    let mut act = world.engine.act(admin, "settings.changed", json!({ "n": 0 }), Vec::new()).await.unwrap();
    act.tell_nodes = false;
    let cell = world.engine.cell(&admin.workspace).unwrap();
    let all = (0..count).map(|n| {
        let mut act = act.clone();
        act.entry.data = Some(json!({ "n": n }));
        cell.writer.submit(&admin.workspace.id, Work::Act(Box::new(act)))
    });
    futures::future::try_join_all(all).await.unwrap();
}

/// The acts' numbers in the log's order.
async fn logged(world: &World) -> Vec<u64> {
    let db = &world.engine.cell(&world.admin().await.workspace).unwrap().db;
    let rows = log::between(db, &world.made.workspace_id, 0, i64::MAX, i64::MAX).await.unwrap();
    rows.iter().filter_map(|(row, _)| row.entry.data.as_ref()?["n"].as_u64()).collect()
}

/// Rounds until nothing is due any more.
async fn deliver_all(world: &World) {
    while world.engine.deliver_webhooks().await.unwrap() > 0 {}
}

/// What was sent to an endpoint, the newest first.
async fn sent(world: &World, made: &MadeEndpoint) -> Vec<DeliveryView> {
    let page = Page { limit: Some(100), cursor: None };
    world.engine.webhook_deliveries(&world.admin().await, &made.endpoint.id, false, page).await.unwrap().items
}

async fn change(world: &World, made: &MadeEndpoint, change: EndpointChange) {
    world.engine.change_webhook(&world.admin().await, &made.endpoint.id, change).await.unwrap();
}

fn to_state(state: &str) -> EndpointChange {
    EndpointChange { state: Some(state.into()), ..EndpointChange::default() }
}

/// Answers the request with this number, from 1, only after a while, and tells when it came.
fn hold(receiver: &Receiver, number: usize) -> Arc<Notify> {
    let (came, is_here) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let tell = Arc::clone(&is_here);
    receiver.judge(move |_| {
        let is_held = came.fetch_add(1, Ordering::SeqCst) + 1 == number;
        is_held.then(|| {
            tell.notify_one();
            Reply::Slow(Duration::from_secs(1))
        })
    });
    is_here
}

/// Delivers, and does something else while the request with this number is on its way.
async fn deliver_and_at(world: &World, receiver: &Receiver, number: usize, then: impl AsyncFnOnce()) {
    let (is_here, engine) = (hold(receiver, number), world.engine.clone());
    let delivering = tokio::spawn(async move { engine.deliver_webhooks().await });
    is_here.notified().await;
    then().await;
    delivering.await.unwrap().unwrap();
}

async fn state(world: &World, id: &WebhookId) -> crate::engine::webhooks::EndpointView {
    world.engine.webhook(&world.admin().await, id).await.unwrap()
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().filter_map(|event| event["data"]["n"].as_u64()).collect()
}

/// Our header's parts.
fn v1s(request: &Received) -> (i64, Vec<String>) {
    let header = request.header("x-agentframer-signature");
    let mut parts = header.split(',');
    let at = parts.next().unwrap().strip_prefix("t=").unwrap().parse().unwrap();
    (at, parts.map(|part| part.strip_prefix("v1=").unwrap().to_owned()).collect())
}

fn assert_signed(request: &Received, secrets: &[String]) {
    let (at, _) = v1s(request);
    assert_eq!(request.header("x-agentframer-signature"), signature::ours(secrets, at, &request.raw));
    let id = request.header("webhook-id");
    assert_eq!(request.header("webhook-signature"), signature::standard(secrets, id, at, &request.raw));
    assert_eq!(
        (id, request.header("webhook-timestamp")),
        (request.header("x-agentframer-event-id"), at.to_string().as_str())
    );
}
