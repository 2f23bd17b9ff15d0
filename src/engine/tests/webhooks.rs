//! Webhooks against real sockets: order, retries, signatures, strict receivers, and receivers that misbehave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::http::HeaderName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::domain::access::Permission;
use crate::domain::alerts::AlertSettings;
use crate::domain::ids::WebhookId;
use crate::domain::time::{DAY, HOUR, MINUTE, SECOND, Time};
use crate::domain::webhooks::signature;
use crate::engine::access::scope::{Origin, Principal, Scope};
use crate::engine::access::workspaces::NewWorkspace;
use crate::engine::alerts::AlertChange;
use crate::engine::error::Error;
use crate::engine::log::reading::Page;
use crate::engine::money::ledger_writer::Work;
use crate::engine::store::deliveries::{self, DeliveryRow};
use crate::engine::store::{log, retention, webhooks};
use crate::engine::tests::receiver::{Received, Receiver, Reply};
use crate::engine::tests::support::{Databases, START, World, both_engines, mails};
use crate::engine::webhooks::{
    DeliveryView, EndpointChange, EndpointState, MadeEndpoint, NewEndpoint, Replay,
};
use crate::engine::{Engine, random};

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

both_engines! {
    async fn each_event_comes_once_signed_and_in_order(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        let ids = [image(&world, "a").await, image(&world, "b").await];
        deliver_all(&world).await;
        let all = receiver.all();
        let bodies: Vec<Value> = all.iter().flat_map(Received::events).collect();
        let got: Vec<_> = bodies.iter().map(|body| body["request_id"].as_str().unwrap()).collect();
        assert_eq!(got, ids);
        assert_eq!((&bodies[0]["event"], &bodies[0]["balance_after_usd"]), (&json!("generation.completed"), &json!(99.958)));
        all.iter().for_each(|request| assert_signed(request, std::slice::from_ref(&made.secret)));
        deliver_all(&world).await;
        assert_eq!(receiver.all().len(), 2, "nothing comes twice");
        let health = state(&world, &made.endpoint.id).await.health;
        assert_eq!((health.lag_events, health.success_rate), (0, Some(1.0)));
        let page = world.engine.webhook_deliveries(&world.admin().await, &made.endpoint.id, false, Page::default()).await.unwrap();
        assert_eq!((page.items.len(), page.items[0].outcome.as_str(), page.items[0].status), (2, "delivered", Some(200)));
    }

    async fn deliveries_are_shown_for_thirty_days_and_answers_are_cut(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, admin) = (hook(&world, &receiver, "generic").await, world.admin().await);
        receiver.then([Reply::Status(500, "x".repeat(50_000))]);
        acts(&world, 1).await;
        deliver_all(&world).await;
        let shown = async || {
            let page = Page { limit: Some(10), cursor: None };
            world.engine.webhook_deliveries(&admin, &made.endpoint.id, false, page).await.unwrap().items
        };
        let first = shown().await.remove(0);
        assert_eq!((first.attempt, first.status, first.response.len()), (1, Some(500), 20_000));
        assert!(first.request.contains("settings.changed") && first.duration_ms >= 0);
        for (days, left) in [(29, true), (2, false)] {
            world.clock.advance(days * DAY);
            world.engine.forget_deliveries().await.unwrap();
            assert_eq!(shown().await.iter().any(|delivery| delivery.id == first.id), left, "{days} days later");
        }
    }

    async fn a_checkpoint_goes_to_the_siem_where_something_happened(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        hook(&world, &receiver, "generic").await;
        acts(&world, 1).await;
        for _ in 0..3 {
            world.clock.advance(HOUR);
            world.engine.make_checkpoints().await.unwrap();
        }
        deliver_all(&world).await;
        let events = receiver.acknowledged();
        let signed: Vec<&Value> = events.iter().filter(|event| event["event"] == "log.checkpoint").collect();
        assert_eq!(signed.len(), 1, "an hour with nothing but that entry says nothing new");
        let kept = world.engine.checkpoints(&world.admin().await, Page::default()).await.unwrap().items;
        assert!(kept.contains(&signed[0]["data"]), "the event carries the signed checkpoint");
        world.assert_whole().await;
    }

    async fn a_filter_leaves_out_and_acts_carry_their_data(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let mut new = endpoint(&receiver.url, "generic");
        new.events = Some(vec!["balance.topped_up".into()]);
        new.headers = Some(BTreeMap::from([("X-Team".into(), "growth".into())]));
        world.engine.create_webhook(&world.admin().await, new).await.unwrap();
        image(&world, "a").await;
        world.engine.top_up(&world.admin().await, "5".parse().unwrap(), "invoice 7").await.unwrap();
        deliver_all(&world).await;
        let all = receiver.all();
        let event = &all[0].events()[0];
        assert_eq!((all.len(), all[0].header("x-team"), &event["event"]), (1, "growth", &json!("balance.topped_up")));
        assert_eq!(event["data"]["reference"], "invoice 7");
    }

    async fn a_failing_receiver_is_asked_again_on_schedule_and_misses_nothing(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.always(Some(Reply::status(500)));
        acts(&world, 3).await;
        deliver_all(&world).await;
        assert_eq!(receiver.all().len(), 1);
        world.clock.advance(3 * SECOND);
        deliver_all(&world).await;
        assert_eq!(receiver.all().len(), 1, "not before its time");
        world.clock.advance(4 * SECOND);
        deliver_all(&world).await;
        assert_eq!(receiver.all().len(), 2);
        let waiting = state(&world, &made.endpoint.id).await;
        assert!(waiting.health.next_attempt_at.unwrap() > world.clock.now() && waiting.health.lag_events == 3);
        receiver.always(None);
        world.clock.advance(10 * MINUTE);
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), [0, 1, 2]);
        let ids: Vec<_> = receiver.all()[..3].iter().map(|request| request.header("webhook-id").to_owned()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "the same id on every retry");
    }

    async fn five_days_of_failures_disable_it_tell_the_admins_and_keep_every_event(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.always(Some(Reply::status(503)));
        acts(&world, 2).await;
        for _ in 0..20 {
            deliver_all(&world).await;
            world.clock.advance(12 * HOUR);
        }
        let disabled = state(&world, &made.endpoint.id).await;
        assert_eq!(disabled.state, EndpointState::Disabled);
        assert!(disabled.reason.unwrap().contains("five days"));
        world.engine.tell_alerts().await.unwrap();
        let mails = mails(&world).await;
        assert_eq!(mails.iter().filter(|mail| mail.contains("failing")).count(), 1, "once, not at each retry");
        assert_eq!(mails.iter().filter(|mail| mail.contains("is disabled")).count(), 1);
        receiver.always(None);
        let resume = EndpointChange { state: Some("active".into()), ..EndpointChange::default() };
        world.engine.change_webhook(&world.admin().await, &made.endpoint.id, resume).await.unwrap();
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), [0, 1]);
        let events = receiver.acknowledged();
        assert!(events.iter().any(|event| event["event"] == "webhook.disabled"));
    }

    async fn a_receiver_that_is_gone_is_not_asked_again(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.always(Some(Reply::status(410)));
        acts(&world, 1).await;
        deliver_all(&world).await;
        assert_eq!(state(&world, &made.endpoint.id).await.state, EndpointState::Disabled);
        world.clock.advance(DAY);
        deliver_all(&world).await;
        assert_eq!(receiver.all().len(), 1);
    }

    async fn an_event_that_is_refused_is_parked_and_replayed_while_the_rest_goes_on(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.then([Reply::status(200), Reply::status(422)]);
        acts(&world, 4).await;
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), [0, 2, 3]);
        let admin = world.admin().await;
        let parked = world.engine.parked_events(&admin, &made.endpoint.id).await.unwrap();
        assert_eq!((parked.len(), parked[0].event.as_str()), (1, "settings.changed"));
        let since = Replay { failed_since: Some(world.clock.now().plus(-HOUR)), ..Replay::default() };
        assert_eq!(world.engine.replay_webhook(&admin, &made.endpoint.id, since).await.unwrap(), 1);
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), [0, 2, 3, 1]);
        let (first, again) = (receiver.all()[1].clone(), receiver.all()[4].clone());
        assert_eq!(first.header("webhook-id"), again.header("webhook-id"));
        assert!(world.engine.parked_events(&admin, &made.endpoint.id).await.unwrap().is_empty());
    }

    async fn a_range_is_replayed_beside_what_is_new(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "splunk_hec").await;
        acts(&world, 10).await;
        deliver_all(&world).await;
        let admin = world.admin().await;
        let id = &made.endpoint.id;
        let first = world.engine.webhook_deliveries(&admin, id, false, Page::default()).await.unwrap().items[0].from_seq;
        let range = Replay { from_seq: Some(first + 2), to_seq: Some(first + 4), ..Replay::default() };
        world.engine.replay_webhook(&admin, id, range).await.unwrap();
        acts(&world, 1).await;
        deliver_all(&world).await;
        let texts = receiver.all();
        assert_eq!(texts.len(), 3);
        let n = |request: &Received| request.events().iter().filter_map(|event| event["event"]["data"]["n"].as_u64()).collect::<Vec<_>>();
        assert_eq!((n(&texts[1]), n(&texts[2])), (vec![2, 3, 4], vec![0]));
        let act = &texts[2].events()[0]["event"];
        assert_eq!((&act["event"], &act["data"]["from_seq"], &act["data"]["to_seq"]), (&json!("webhook.replayed"), &json!(first + 2), &json!(first + 4)));
        for wrong in [
            Replay { from_seq: Some(0), ..Replay::default() },
            Replay { from_seq: Some(9_999), ..Replay::default() },
            Replay { from_seq: Some(2), to_seq: Some(1), ..Replay::default() },
            Replay::default(),
        ] {
            assert!(matches!(world.engine.replay_webhook(&admin, id, wrong).await, Err(Error::Field(_))));
        }
    }

    async fn both_secrets_sign_until_the_overlap_ends(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        let admin = world.admin().await;
        let rotated = world.engine.rotate_webhook_secret(&admin, &made.endpoint.id, None).await.unwrap();
        acts(&world, 1).await;
        deliver_all(&world).await;
        world.clock.advance(DAY + SECOND);
        acts(&world, 1).await;
        deliver_all(&world).await;
        let all: Vec<Received> = receiver.all().into_iter().filter(|request| !numbers(&request.events()).is_empty()).collect();
        assert_signed(&all[0], &[rotated.secret.clone(), made.secret]);
        assert_signed(&all[1], &[rotated.secret]);
    }

    async fn a_batch_that_is_too_large_is_halved_and_everything_arrives_in_order(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        hook(&world, &receiver, "datadog").await;
        receiver.judge(|request| (request.events().len() > 150).then(|| Reply::status(413)));
        acts(&world, 1_000).await;
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), logged(&world).await);
        assert!(receiver.all().iter().any(|request| request.header("content-encoding") == "gzip"));
    }

    async fn hours_of_trouble_crashes_and_two_nodes_lose_and_shuffle_nothing(on) {
        // 100,000 events: the receiver fails for an hour, restarts, answers 429 and 413 in between, couriers die twice.
        let count = 100_000;
        let (world, receiver) = (world(on).await, Receiver::start().await);
        hook(&world, &receiver, "datadog").await;
        acts(&world, 20_000).await;
        receiver.always(Some(Reply::status(500)));
        for _ in 0..60 {
            deliver_all(&world).await;
            world.clock.advance(MINUTE);
        }
        assert!(receiver.acknowledged().is_empty());
        receiver.stop().await;
        deliver_all(&world).await;
        world.clock.advance(HOUR);
        receiver.restart().await;
        receiver.always(None);
        receiver.then([Reply::After(429, "120"), Reply::status(413), Reply::status(413)]);
        for _ in 0..4 {
            acts(&world, 20_000).await;
        }
        let expected = logged(&world).await;
        let mut config = world._databases.config();
        config.webhooks.allow_private_addresses = true;
        let other = Engine::open(config, world.clock.clone()).await.unwrap();
        let mut deaths = 0;
        for _ in 0..200 {
            let both = async { tokio::join!(world.engine.deliver_webhooks(), other.deliver_webhooks()) };
            if deaths < 2 {
                // Dies with requests on their way: nobody takes over before the claim has ended.
                deaths += usize::from(tokio::time::timeout(Duration::from_millis(300), both).await.is_err());
            } else {
                let (one, two) = both.await;
                one.and(two).unwrap();
            }
            if numbers(&receiver.acknowledged()).last() == expected.last() {
                break;
            }
            world.clock.advance(HOUR);
        }
        assert_eq!(deaths, 2);
        let got: Vec<Value> = receiver.acknowledged().into_iter().filter(|event| event["data"]["n"].is_u64()).collect();
        // A dead courier's last request may come again: at most one batch for each death.
        assert!((count..=count + 2 * 1_000).contains(&got.len()), "{} came", got.len());
        let mut seen = std::collections::HashSet::new();
        let first: Vec<Value> = got.into_iter().filter(|event| seen.insert(event["event_id"].to_string())).collect();
        assert_eq!((first.len(), numbers(&first)), (count, expected));
    }
}

/// Splunk's rules, as its reference gives them: the header, the envelope, the codes.
fn splunk(request: &Received) -> Option<Reply> {
    let says = |status, code: u32| Some(Reply::Status(status, format!(r#"{{"text":"x","code":{code}}}"#)));
    match request.header("authorization") {
        "" => return says(401, 2),
        "Splunk token-1" => {}
        other if other.starts_with("Splunk ") => return says(403, 4),
        _ => return says(401, 3),
    }
    // What counts is what comes out of gzip.
    let text = request.text();
    if text.len() > 1_048_576 {
        return says(413, 27);
    }
    if request.header("x-splunk-request-channel").len() != 36 {
        return says(400, 10);
    }
    for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        let Ok(Value::Object(object)) = value else { return says(400, 6) };
        let known = ["time", "host", "source", "sourcetype", "event", "fields", "index"];
        let is_flat = object
            .get("fields")
            .and_then(Value::as_object)
            .is_some_and(|fields| fields.values().all(Value::is_string));
        match object.get("event") {
            None => return says(400, 12),
            Some(Value::String(text)) if text.trim().is_empty() => return says(400, 13),
            Some(_) => {}
        }
        if !object.keys().all(|key| known.contains(&key.as_str())) || !object["time"].is_number() {
            return says(400, 6);
        }
        if !is_flat {
            return says(400, 15);
        }
    }
    says(200, 0)
}

/// Datadog's rules: the key, an array, its limits. Datadog itself drops what is older than 18 hours without a word.
fn datadog(request: &Received, now: Time) -> Option<Reply> {
    if request.header("dd-api-key") != "token-1" {
        return Some(Reply::status(403));
    }
    let text = request.text();
    let Ok(Value::Array(entries)) = serde_json::from_str(&text) else { return Some(Reply::status(400)) };
    if text.len() > 5_000_000
        || entries.len() > 1_000
        || entries.iter().any(|entry| entry.to_string().len() > 1_000_000)
    {
        return Some(Reply::status(413));
    }
    let sound = |entry: &Value| {
        entry["message"].is_string()
            && entry["ddsource"].is_string()
            && entry["timestamp"].as_i64().is_some_and(|millis| Time(millis * 1_000) >= now.plus(-18 * HOUR))
            && entry["ddtags"].as_str().is_some_and(|tags| tags.split(',').all(|tag| tag.contains(':')))
            && entry
                .as_object()
                .is_some_and(|fields| fields.len() < 256 && fields.keys().all(|key| key.len() < 50))
    };
    Some(Reply::status(if entries.iter().all(sound) { 202 } else { 400 }))
}

/// A request as a client could send it.
fn request(headers: &[(&'static str, &str)], body: impl Into<Vec<u8>>) -> Received {
    let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    Received { headers: headers.collect(), raw: body.into(), status: 0 }
}

fn judged(reply: Option<Reply>) -> (u16, Option<u64>) {
    let Some(Reply::Status(status, body)) = reply else { panic!("a judge always answers") };
    (status, serde_json::from_str(&body).ok().and_then(|body: Value| body["code"].as_u64()))
}

#[test]
fn the_strict_splunk_receiver_rejects_what_breaks_the_rules() {
    let (token, channel) = (
        ("authorization", "Splunk token-1"),
        ("x-splunk-request-channel", "01234567-89ab-4cde-8f01-23456789abcd"),
    );
    let sound = r#"{"time":1.5,"host":"h","event":{"a":1},"fields":{"b":"c"}}"#;
    assert_eq!(judged(splunk(&request(&[token, channel], sound))), (200, Some(0)));
    assert_eq!(judged(splunk(&request(&[token, channel], format!("{sound}{sound}")))), (200, Some(0)));
    for (headers, code) in [
        (vec![channel], (401, Some(2))),
        (vec![("authorization", "Bearer token-1"), channel], (401, Some(3))),
        (vec![("authorization", "Splunk another"), channel], (403, Some(4))),
        (vec![token], (400, Some(10))),
    ] {
        assert_eq!(judged(splunk(&request(&headers, sound))), code, "{headers:?}");
    }
    let large = format!(r#"{{"time":1,"event":"{}","fields":{{}}}}"#, "x".repeat(1_048_576));
    for (body, code) in [
        (large.as_str(), (413, Some(27))),
        ("no JSON", (400, Some(6))),
        (r#"{"time":1,"fields":{}}"#, (400, Some(12))),
        (r#"{"time":1,"event":" ","fields":{}}"#, (400, Some(13))),
        (r#"{"time":1,"event":"e","fields":{"nested":{"a":1}}}"#, (400, Some(15))),
        (r#"{"time":"noon","event":"e","fields":{}}"#, (400, Some(6))),
        (r#"{"time":1,"event":"e","fields":{},"other":1}"#, (400, Some(6))),
    ] {
        assert_eq!(judged(splunk(&request(&[token, channel], body))), code);
    }
}

#[test]
fn the_strict_datadog_receiver_rejects_what_breaks_the_rules() {
    let key = ("dd-api-key", "token-1");
    let entry = json!({ "message": "m", "ddsource": "s", "timestamp": 1, "ddtags": "a:b" });
    let at =
        |now: Time, entries: &[Value]| judged(datadog(&request(&[key], json!(entries).to_string()), now)).0;
    let of = |entries: &[Value]| at(Time(0), entries);
    assert_eq!(of(std::slice::from_ref(&entry)), 202);
    assert_eq!(at(Time(17 * HOUR), std::slice::from_ref(&entry)), 202);
    assert_eq!(at(Time(18 * HOUR + SECOND), std::slice::from_ref(&entry)), 400);
    assert_eq!(judged(datadog(&request(&[], json!([entry]).to_string()), Time(0))).0, 403);
    assert_eq!(judged(datadog(&request(&[key], "{}"), Time(0))).0, 400);
    assert_eq!(of(&vec![entry.clone(); 1_001]), 413);
    let with = |name: &str, value: Value| {
        let mut changed = entry.clone();
        changed[name] = value;
        of(&[changed])
    };
    assert_eq!(with("message", json!("x".repeat(1_000_000))), 413);
    assert_eq!(with("ddtags", json!("no pair")), 400);
    assert_eq!(with("timestamp", json!("noon")), 400);
    assert_eq!(with(&"k".repeat(50), json!(1)), 400);
}

both_engines! {
    async fn strict_receivers_of_both_vendors_take_what_we_send(on) {
        let world = world(on).await;
        for format in ["splunk_hec", "datadog"] {
            let (receiver, clock) = (Receiver::start().await, world.clock.clone());
            receiver.judge(move |request| if format == "datadog" { datadog(request, clock.now()) } else { splunk(request) });
            let made = hook(&world, &receiver, format).await;
            image(&world, "a fox").await;
            acts(&world, 1_500).await;
            deliver_all(&world).await;
            let requests = receiver.all();
            assert!(requests.iter().all(|request| request.status < 300), "{format}: {:?}", requests.iter().map(|r| r.status).collect::<Vec<_>>());
            assert_eq!(state(&world, &made.endpoint.id).await.health.lag_events, 0);
            assert!(requests.iter().map(|request| request.events().len()).sum::<usize>() >= 1_501);
        }
    }

    async fn splunk_with_a_wrong_token_pauses_the_endpoint_and_says_so(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        receiver.judge(splunk);
        let mut new = endpoint(&receiver.url, "splunk_hec");
        new.token = Some("another".into());
        let made = world.engine.create_webhook(&world.admin().await, new).await.unwrap();
        acts(&world, 1).await;
        deliver_all(&world).await;
        let paused = state(&world, &made.endpoint.id).await;
        assert_eq!(paused.state, EndpointState::Paused);
        assert!(paused.reason.unwrap().contains("code 4"));
        let mend = EndpointChange { token: Some("token-1".into()), state: Some("active".into()), ..EndpointChange::default() };
        world.engine.change_webhook(&world.admin().await, &made.endpoint.id, mend).await.unwrap();
        deliver_all(&world).await;
        assert_eq!(state(&world, &made.endpoint.id).await.health.lag_events, 0);
    }

    async fn events_of_an_outage_and_of_a_replay_are_none_that_datadog_drops(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let clock = world.clock.clone();
        receiver.judge(move |request| datadog(request, clock.now()));
        let (made, admin) = (hook(&world, &receiver, "datadog").await, world.admin().await);
        acts(&world, 3).await;
        change(&world, &made, to_state("paused")).await;
        world.clock.advance(3 * DAY);
        change(&world, &made, to_state("active")).await;
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), [0, 1, 2]);
        world.clock.advance(3 * DAY);
        let all = Replay { from_seq: Some(1), ..Replay::default() };
        world.engine.replay_webhook(&admin, &made.endpoint.id, all).await.unwrap();
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), [0, 1, 2, 0, 1, 2]);
        assert!(receiver.all().iter().all(|request| request.status == 202));
        let (first, again) = (&receiver.acknowledged()[0], &receiver.all().last().unwrap().events()[0]);
        assert_eq!(first["ts"], json!(START), "when it happened is still told");
        assert!(again["timestamp"].as_u64() > first["timestamp"].as_u64(), "{again}");
    }

    async fn an_answer_with_a_nul_is_kept_and_nothing_is_sent_twice(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.then([Reply::Status(200, "a\0b".into())]);
        acts(&world, 1).await;
        for _ in 0..3 {
            world.engine.deliver_webhooks().await.unwrap();
        }
        assert_eq!(receiver.all().len(), 1);
        let kept = &sent(&world, &made).await[0];
        assert_eq!((kept.outcome.as_str(), kept.response.as_str()), ("delivered", "a\u{FFFD}b"));
        let splunk = Receiver::start().await;
        let made = hook(&world, &splunk, "splunk_hec").await;
        splunk.then([Reply::Status(400, r#"{"text":"a\u0000b","code":6}"#.into())]);
        acts(&world, 1).await;
        deliver_all(&world).await;
        let parked = world.engine.parked_events(&world.admin().await, &made.endpoint.id).await.unwrap();
        assert_eq!((parked.len(), splunk.all().len()), (1, 1));
        assert!(parked[0].reason.contains("a\u{FFFD}b"), "{parked:?}");
    }

    async fn what_cannot_be_saved_is_not_sent_again_and_again(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, admin) = (hook(&world, &receiver, "generic").await, world.admin().await);
        acts(&world, 1).await;
        let rename = async |text: &'static str| {
            let mut transaction = world.engine.cell(&admin.workspace).unwrap().db.begin().await.unwrap();
            sqlx::query(text).execute(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
        };
        rename("ALTER TABLE webhook_deliveries RENAME TO webhook_deliveries_away").await;
        for _ in 0..20 {
            world.engine.deliver_webhooks().await.unwrap();
        }
        assert_eq!(receiver.all().len(), 1);
        rename("ALTER TABLE webhook_deliveries_away RENAME TO webhook_deliveries").await;
        let waits = state(&world, &made.endpoint.id).await;
        assert_eq!(waits.health.next_attempt_at, Some(world.clock.now().plus(MINUTE)));
        assert!(waits.reason.unwrap().contains("AgentFramer had a fault of its own"));
        world.clock.advance(MINUTE);
        deliver_all(&world).await;
        let goes_on = state(&world, &made.endpoint.id).await;
        assert_eq!((goes_on.health.lag_events, goes_on.reason, receiver.all().len()), (0, None, 2));
    }

    async fn what_an_admin_changes_holds_from_the_next_request_on(on) {
        let (world, receiver, other) = (world(on).await, Receiver::start().await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        acts(&world, 5_000).await;
        deliver_and_at(&world, &receiver, 10, async || change(&world, &made, to_state("paused")).await).await;
        deliver_all(&world).await;
        assert_eq!(receiver.all().len(), 10, "paused while the tenth was on its way");
        let elsewhere = EndpointChange { url: Some(other.url.clone()), state: Some("active".into()), ..EndpointChange::default() };
        change(&world, &made, elsewhere).await;
        let few = EndpointChange { events: Some(vec!["webhook.changed".into()]), ..EndpointChange::default() };
        deliver_and_at(&world, &other, 10, async || change(&world, &made, few).await).await;
        deliver_all(&world).await;
        assert_eq!((receiver.all().len(), numbers(&other.acknowledged()).len()), (10, 10));
        assert_eq!(other.acknowledged().iter().filter(|event| event["event"] == "webhook.changed").count(), 3);
        assert_eq!(state(&world, &made.endpoint.id).await.health.lag_events, 0);
    }

    async fn a_secret_without_overlap_signs_nothing_more_in_mid_backlog(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, admin) = (hook(&world, &receiver, "generic").await, world.admin().await);
        acts(&world, 30).await;
        let mut fresh = String::new();
        deliver_and_at(&world, &receiver, 10, async || {
            fresh = world.engine.rotate_webhook_secret(&admin, &made.endpoint.id, Some(0)).await.unwrap().secret;
        }).await;
        let all = receiver.all();
        let (before, after) = all.split_at(10);
        before.iter().for_each(|request| assert_signed(request, std::slice::from_ref(&made.secret)));
        after.iter().for_each(|request| assert_signed(request, std::slice::from_ref(&fresh)));
        assert!(numbers(&receiver.acknowledged()).len() == 30 && after.len() > 20);
    }

    async fn an_admins_change_is_not_overwritten_by_what_was_on_its_way(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        acts(&world, 1).await;
        let engine = world.engine.clone();
        let is_here = Arc::new(Notify::new());
        let tell = Arc::clone(&is_here);
        receiver.judge(move |_| {
            tell.notify_one();
            Some(Reply::Late(Duration::from_secs(1), 500))
        });
        let delivering = tokio::spawn(async move { engine.deliver_webhooks().await });
        is_here.notified().await;
        change(&world, &made, EndpointChange { headers: Some(BTreeMap::from([("X-A".into(), "b".into())])), ..EndpointChange::default() }).await;
        delivering.await.unwrap().unwrap();
        let health = state(&world, &made.endpoint.id).await.health;
        assert_eq!((receiver.all()[0].status, health.failures, health.next_attempt_at), (500, 0, None));
    }

    async fn of_two_changes_at_the_same_time_none_is_lost_without_a_word(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, admin) = (hook(&world, &receiver, "generic").await, world.admin().await);
        let cell = world.engine.cell(&admin.workspace).unwrap();
        let stale = webhooks::get(&cell.db, &admin.workspace.id, &made.endpoint.id).await.unwrap().unwrap();
        let rotated = world.engine.rotate_webhook_secret(&admin, &made.endpoint.id, Some(0)).await.unwrap();
        assert!(!deliveries::together(&cell.db, vec![webhooks::update(&stale)]).await.unwrap(), "read before the rotation");
        assert!(!deliveries::together(&cell.db, vec![webhooks::stop(&stale, EndpointState::Paused, "x")]).await.unwrap());
        let headers = |n: usize| EndpointChange { headers: Some(BTreeMap::from([("X-N".into(), n.to_string())])), ..EndpointChange::default() };
        let all = (0..8).map(|n| world.engine.change_webhook(&admin, &made.endpoint.id, headers(n)));
        let all = futures::future::join_all(all).await;
        assert!(all.iter().any(Result::is_ok) && all.iter().all(|done| matches!(done, Ok(_) | Err(Error::Conflict(_)))));
        deliver_all(&world).await;
        let last = receiver.all().pop().unwrap();
        assert_signed(&last, &[rotated.secret]);
        assert!(!last.header("x-n").is_empty());
    }

    async fn many_hanging_endpoints_leave_room_for_everybody_else(on) {
        let world = world(on).await;
        let (hanging, quick) = (Silent::start().await, Receiver::start().await);
        let mut hung = Vec::new();
        for name in ["One", "Two"] {
            let admin = workspace(&world, name).await;
            for _ in 0..35 {
                world.engine.create_webhook(&admin, endpoint(&hanging.url, "generic")).await.unwrap();
            }
            hung.push(admin);
        }
        hook(&world, &quick, "generic").await;
        world.engine.start_background();
        let began = Instant::now();
        while hanging.connections() < 64 {
            assert!(began.elapsed() < Duration::from_secs(15), "only {} hang", hanging.connections());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let began = Instant::now();
        acts(&world, 20).await;
        while numbers(&quick.acknowledged()).len() < 20 {
            assert!(began.elapsed() < Duration::from_secs(5), "the quick one waits for those that hang");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(hanging.connections() <= 64, "of one workspace only so many at a time");
    }

    async fn what_is_refused_again_on_a_replay_holds_up_nothing(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, admin) = (hook(&world, &receiver, "generic").await, world.admin().await);
        receiver.judge(|request| request.events()[0]["data"]["n"].as_u64().is_some_and(|n| n < 8).then(|| Reply::status(422)));
        acts(&world, 12).await;
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), [11, 8, 9, 10, 11], "the last one told that the others go on");
        let aside = async || world.engine.parked_events(&admin, &made.endpoint.id).await.unwrap().len();
        assert_eq!(aside().await, 8);
        assert_eq!(sent(&world, &made).await.iter().filter(|row| row.lane == "probe" && row.outcome == "delivered").count(), 1);
        for _ in 0..3 {
            let since = Replay { failed_since: Some(world.clock.now().plus(-HOUR)), ..Replay::default() };
            world.engine.replay_webhook(&admin, &made.endpoint.id, since).await.unwrap();
            world.engine.top_up(&world.admin().await, "5".parse().unwrap(), "invoice 7").await.unwrap();
            deliver_all(&world).await;
        }
        let events = receiver.acknowledged();
        assert_eq!(events.iter().filter(|event| event["event"] == "balance.topped_up").count(), 3);
        let now = state(&world, &made.endpoint.id).await;
        assert_eq!((now.state, now.health.failures, now.health.lag_events, aside().await), (EndpointState::Active, 0, 0, 8));
    }

    async fn a_receiver_that_refuses_everything_is_asked_again_later(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.always(Some(Reply::status(422)));
        acts(&world, 20).await;
        deliver_all(&world).await;
        assert_eq!(receiver.all().len(), 7, "five are put aside; the sixth and one behind it are refused too");
        let waits = state(&world, &made.endpoint.id).await.health;
        assert_eq!((waits.parked, waits.failures, waits.success_rate), (5, 1, Some(0.0)));
        receiver.always(None);
        world.clock.advance(10 * SECOND);
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), (5..20).collect::<Vec<u64>>());
    }

    async fn a_refused_connection_is_tried_again_within_seconds(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.stop().await;
        acts(&world, 1).await;
        deliver_all(&world).await;
        let next = state(&world, &made.endpoint.id).await.health.next_attempt_at.unwrap();
        assert!((4 * SECOND..=6 * SECOND).contains(&(next.micros() - world.clock.now().micros())), "{next:?}");
    }

    async fn a_batch_that_failed_is_sent_again_with_the_same_events(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        hook(&world, &receiver, "datadog").await;
        receiver.then([Reply::status(500)]);
        acts(&world, 3).await;
        deliver_all(&world).await;
        acts(&world, 4).await;
        world.clock.advance(10 * SECOND);
        deliver_all(&world).await;
        let all = receiver.all();
        let sizes: Vec<usize> = all.iter().map(|request| request.events().len()).collect();
        assert_eq!(sizes, [3, 3, 4]);
        assert_eq!(all[0].header("webhook-id"), all[1].header("webhook-id"));
        assert_ne!(all[1].header("webhook-id"), all[2].header("webhook-id"));
    }

    async fn no_token_in_a_url_gets_into_the_log(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let admin = world.admin().await;
        hook(&world, &receiver, "generic").await;
        let (gone, secret) = (Receiver::start().await, "?token=s3cret");
        gone.always(Some(Reply::status(410)));
        let made = world.engine.create_webhook(&admin, endpoint(&format!("{}/s3cret{secret}", gone.url), "generic")).await.unwrap();
        let id = &made.endpoint.id;
        change(&world, &made, EndpointChange { url: Some(format!("{}{secret}", gone.url)), ..EndpointChange::default() }).await;
        world.engine.rotate_webhook_secret(&admin, id, None).await.unwrap();
        world.engine.test_webhook(&admin, id).await.unwrap();
        world.engine.replay_webhook(&admin, id, Replay { from_seq: Some(1), ..Replay::default() }).await.unwrap();
        deliver_all(&world).await;
        world.engine.delete_webhook(&admin, id).await.unwrap();
        deliver_all(&world).await;
        let told = receiver.acknowledged();
        for name in ["created", "changed", "secret_rotated", "tested", "replayed", "disabled", "deleted"] {
            assert!(told.iter().any(|event| event["event"] == format!("webhook.{name}")), "{name}");
        }
        let host = gone.url.strip_suffix("/hook").unwrap();
        assert!(told.iter().any(|event| event["data"]["url"].as_str().is_some_and(|url| url.starts_with(host))));
        let db = &world.engine.cell(&admin.workspace).unwrap().db;
        let rows = log::between(db, &admin.workspace.id, 0, i64::MAX, i64::MAX).await.unwrap();
        let rows: Vec<_> = rows.into_iter().map(|(row, _)| row).collect();
        for text in [serde_json::to_string(&rows).unwrap(), json!(told).to_string()] {
            assert!(!text.contains("s3cret") && text.contains("webhook.deleted"), "{text}");
        }
    }

    async fn a_deleted_endpoints_log_goes_in_batches_and_nobody_elses(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, other) = (hook(&world, &receiver, "generic").await, hook(&world, &receiver, "generic").await);
        let admin = world.admin().await;
        let db = &world.engine.cell(&admin.workspace).unwrap().db;
        receiver.then([Reply::status(422)]);
        acts(&world, 3).await;
        deliver_all(&world).await;
        let kept = sent(&world, &other).await.len();
        let more = (0..deliveries::BATCH + 1).map(|_| deliveries::insert(&delivery(&world, &made)));
        deliveries::together(db, more.collect()).await.unwrap();
        world.engine.delete_webhook(&admin, &made.endpoint.id).await.unwrap();
        assert!(matches!(world.engine.webhook(&admin, &made.endpoint.id).await, Err(Error::NotFound)));
        assert!(matches!(world.engine.delete_webhook(&admin, &made.endpoint.id).await, Err(Error::NotFound)));
        assert_eq!(deliveries::delete_of(db, &made.endpoint.id).await.unwrap(), deliveries::BATCH, "a node that dies here");
        world.engine.forget_deliveries().await.unwrap();
        assert_eq!(deliveries::page(db, &made.endpoint.id, false, None, 10).await.unwrap(), []);
        assert_eq!(deliveries::parked(db, &made.endpoint.id, Time(0), 10).await.unwrap(), []);
        assert_eq!((webhooks::deleted(db).await.unwrap(), sent(&world, &other).await.len()), (Vec::new(), kept));
    }

    async fn what_was_put_aside_goes_with_its_part_of_the_log(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, admin) = (hook(&world, &receiver, "generic").await, world.admin().await);
        receiver.then([Reply::status(422), Reply::status(200), Reply::status(422)]);
        acts(&world, 3).await;
        deliver_all(&world).await;
        let aside = async || world.engine.parked_events(&admin, &made.endpoint.id).await.unwrap();
        let first = aside().await[0].seq;
        retention::cut_log(&world.engine.cell(&admin.workspace).unwrap().db, &admin.workspace.id, first, 1_000).await.unwrap();
        world.engine.forget_deliveries().await.unwrap();
        assert_eq!(aside().await.iter().map(|row| row.seq).collect::<Vec<_>>(), [first + 2]);
    }

    async fn a_rate_counts_neither_batches_that_were_split_nor_events_that_were_put_aside(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "datadog").await;
        receiver.then([Reply::status(413), Reply::status(422)]);
        acts(&world, 2).await;
        deliver_all(&world).await;
        let health = state(&world, &made.endpoint.id).await.health;
        assert_eq!((health.requests, health.parked, health.success_rate), (3, 1, Some(1.0)));
    }

    async fn an_entrys_deliveries_are_those_that_carried_it(on) {
        let (world, receiver, few) = (world(on).await, Receiver::start().await, Receiver::start().await);
        let admin = world.admin().await;
        let all = hook(&world, &receiver, "splunk_hec").await;
        let new = NewEndpoint { events: Some(vec!["balance.topped_up".into()]), ..endpoint(&few.url, "splunk_hec") };
        let topped_up = world.engine.create_webhook(&admin, new).await.unwrap();
        for _ in 0..2 {
            world.engine.top_up(&world.admin().await, "5".parse().unwrap(), "invoice 7").await.unwrap();
            acts(&world, 1).await;
        }
        deliver_all(&world).await;
        let db = &world.engine.cell(&admin.workspace).unwrap().db;
        let rows = log::between(db, &admin.workspace.id, 0, i64::MAX, i64::MAX).await.unwrap();
        let of = async |row| {
            let mut hooks: Vec<WebhookId> = world.engine.deliveries_of(&admin, &[row]).await.unwrap().into_iter().map(|row| row.webhook_id).collect();
            hooks.sort_by_key(|id| *id != all.endpoint.id);
            hooks
        };
        let [first, between, last, _] = rows.into_iter().rev().take(4).map(|(row, _)| row).rev().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(of(first).await, [all.endpoint.id.clone(), topped_up.endpoint.id.clone()]);
        assert_eq!(of(between).await, std::slice::from_ref(&all.endpoint.id), "its filter left it out, between two that it carried");
        assert_eq!(of(last).await, [all.endpoint.id.clone(), topped_up.endpoint.id.clone()]);
    }

    async fn one_hanging_endpoint_holds_up_no_other(on) {
        let world = world(on).await;
        let (slow, quick) = (Receiver::start().await, Receiver::start().await);
        hook(&world, &slow, "generic").await;
        hook(&world, &quick, "generic").await;
        slow.always(Some(Reply::Slow(Duration::from_secs(60))));
        acts(&world, 20).await;
        let began = Instant::now();
        let engine = world.engine.clone();
        let delivering = tokio::spawn(async move { engine.deliver_webhooks().await });
        while numbers(&quick.acknowledged()).len() < 20 {
            assert!(began.elapsed() < Duration::from_secs(10), "the quick one waits for the slow one");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        delivering.abort();
    }

    async fn secrets_outlive_every_purge(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, admin) = (hook(&world, &receiver, "generic").await, world.admin().await);
        let change = AlertChange { settings: AlertSettings::default(), slack_url: Some(receiver.url.clone()) };
        world.engine.set_alerts(&admin, change).await.unwrap();
        deliver_all(&world).await;
        world.clock.advance(3 * DAY);
        world.engine.purge().await.unwrap();
        world.engine.test_slack(&admin).await.unwrap();
        let before = receiver.all().len();
        acts(&world, 1).await;
        deliver_all(&world).await;
        assert_signed(&receiver.all()[before], std::slice::from_ref(&made.secret));
        world.engine.delete_webhook(&admin, &made.endpoint.id).await.unwrap();
        assert_eq!(world.engine.purge().await.unwrap().keys, 1, "an endpoint’s key goes with it");
    }

    async fn a_test_event_is_signed_marked_and_touches_nothing(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        let admin = world.admin().await;
        let result = world.engine.test_webhook(&admin, &made.endpoint.id).await.unwrap();
        assert!(result.delivered && result.status == Some(200));
        let request = &receiver.all()[0];
        assert_signed(request, &[made.secret]);
        assert_eq!((&request.events()[0]["event"], &request.events()[0]["data"]["test"]), (&json!("webhook.test"), &json!(true)));
        receiver.then([Reply::status(500)]);
        let failed = world.engine.test_webhook(&admin, &made.endpoint.id).await.unwrap();
        assert!(!failed.delivered && failed.fault.unwrap().contains("500"));
        assert_eq!(state(&world, &made.endpoint.id).await.health.failures, 0);
    }
}

/// Another workspace of the same person.
async fn workspace(world: &World, name: &str) -> Scope {
    let new = NewWorkspace { name: name.into(), region: "eu-west-1".into() };
    let origin = || Origin::new(world.engine.new_request_id(), None);
    let made = world.engine.create_workspace(&world.made.user_id, new, origin()).await.unwrap();
    let user = Principal::User(world.made.user_id.clone());
    world.engine.scope(&user, &made.id, Permission::ChangeWebhooks, origin()).await.unwrap()
}

/// A row as a request that was delivered leaves it.
fn delivery(world: &World, made: &MadeEndpoint) -> DeliveryRow {
    DeliveryRow {
        id: random::id(world.clock.now()),
        workspace_id: world.made.workspace_id.clone(),
        endpoint_id: made.endpoint.id.clone(),
        lane: "live".into(),
        event: "settings.changed".into(),
        event_id: "evt_1".into(),
        from_seq: 1,
        to_seq: 1,
        events: 1,
        attempt: 1,
        outcome: "delivered".into(),
        status: Some(200),
        fault: None,
        request: String::new(),
        response: String::new(),
        duration: 1,
        at: world.clock.now(),
    }
}

/// Takes connections and never answers.
struct Silent {
    url: String,
    taken: Arc<AtomicUsize>,
}

impl Silent {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                open.push(socket);
                count.store(open.len(), Ordering::SeqCst);
            }
        });
        Self { url, taken }
    }

    fn connections(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

/// Answers with a beginning and then block after block until the other side hangs up; counts what it could send.
async fn flood(beginning: &'static [u8], block: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // The kernel's own buffer is not what a reader took.
    socket.set_send_buffer_size(65_536).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 65_536]).await;
            let mut next = socket.write_all(beginning).await;
            while next.is_ok() {
                next = socket.write_all(&block).await;
                count.fetch_add(block.len(), Ordering::SeqCst);
            }
        }
    });
    (url, sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_an_end_is_taken_to_its_beginning_only() {
    let world = world(Databases::sqlite()).await;
    let block = vec![b'x'; 65_536];
    let chunk = [b"10000\r\n".as_slice(), &block, b"\r\n"].concat();
    let ten_gigabytes = flood(b"HTTP/1.1 500 No\r\nContent-Length: 10000000000\r\n\r\n", block.clone()).await;
    let endless = flood(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", chunk).await;
    let header = flood(b"HTTP/1.1 200 OK\r\nX-Long: ", block).await;
    for (url, sent_bytes) in [ten_gigabytes, endless, header] {
        let made =
            world.engine.create_webhook(&world.admin().await, endpoint(&url, "generic")).await.unwrap();
        let began = Instant::now();
        deliver_all(&world).await;
        acts(&world, 1).await;
        deliver_all(&world).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
        let bytes = sent_bytes.load(Ordering::SeqCst);
        assert!((65_536..2_000_000).contains(&bytes), "{bytes} bytes were taken");
        let row = sent(&world, &made).await.remove(0);
        assert!(row.outcome == "retried" && row.response.len() <= 20_000 && row.fault.is_some(), "{row:?}");
        world.engine.delete_webhook(&world.admin().await, &made.endpoint.id).await.unwrap();
    }
}

/// Answers each connection with fixed bytes, again and again, and then waits.
async fn raw(bytes: &'static [u8], times: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 65_536];
                let _ = socket.read(&mut request).await;
                for _ in 0..times {
                    if socket.write_all(bytes).await.is_err() {
                        return;
                    }
                }
                if times > 0 {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_misbehave_cost_bounded_time_and_memory_and_are_shown() {
    let world = world(Databases::sqlite()).await;
    let admin = world.admin().await;
    let ten_gigabytes = raw(b"HTTP/1.1 500 No\r\nContent-Length: 10000000000\r\n\r\n", 1).await;
    let endless = raw(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n", 1).await;
    let reset = raw(b"", 0).await;
    let lying = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nok", 1).await;
    let garbage = raw(b"nonsense\r\n\r\n", 1).await;
    for (url, delivered) in [
        (ten_gigabytes, false),
        (endless, false),
        (reset, false),
        (lying, true),
        (garbage, false),
        ("http://127.0.0.1:9/".into(), false),
        ("http://siem.invalid/".into(), false),
    ] {
        let made = world.engine.create_webhook(&admin, endpoint(&url, "generic")).await.unwrap();
        let began = Instant::now();
        let result = world.engine.test_webhook(&admin, &made.endpoint.id).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(21), "{url}: {:?}", began.elapsed());
        assert_eq!(result.delivered, delivered, "{url}: {result:?}");
        assert!(result.response.len() <= 20_000 && (delivered || result.fault.is_some()), "{result:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_and_redirects_are_never_followed() {
    let world = world(Databases::sqlite()).await;
    let (admin, receiver) = (world.admin().await, Receiver::start().await);
    receiver.then([Reply::Redirect("http://169.254.169.254/latest/meta-data/")]);
    let made = hook(&world, &receiver, "generic").await;
    let result = world.engine.test_webhook(&admin, &made.endpoint.id).await.unwrap();
    assert!(!result.delivered && result.status == Some(302) && result.fault.unwrap().contains("redirects"));

    let strict = World::with_money(Databases::sqlite(), "1").await;
    let admin = strict.admin().await;
    for url in
        [receiver.url.replace("http:", "https:"), "https://169.254.169.254/".into(), "https://[::1]/".into()]
    {
        let refused = strict.engine.create_webhook(&admin, endpoint(&url, "generic")).await;
        assert!(matches!(refused, Err(Error::Field(ref field)) if field.field == "url"), "{url}");
    }
}
