//! Webhooks against real sockets: order, retries, signatures, strict receivers, and receivers that misbehave.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::http::HeaderName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::domain::alerts::AlertSettings;
use crate::domain::ids::WebhookId;
use crate::domain::time::{DAY, HOUR, MINUTE, SECOND};
use crate::domain::webhooks::signature;
use crate::engine::Engine;
use crate::engine::alerts::AlertChange;
use crate::engine::error::Error;
use crate::engine::log::reading::Page;
use crate::engine::money::ledger_writer::Work;
use crate::engine::store::log;
use crate::engine::tests::receiver::{Received, Receiver, Reply};
use crate::engine::tests::support::{Databases, World, both_engines, mails};
use crate::engine::webhooks::{EndpointChange, EndpointState, MadeEndpoint, NewEndpoint, Replay};

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
    let admin = world.admin().await;
    let mut act = world.engine.act(&admin, "settings.changed", json!({ "n": 0 }), Vec::new()).await.unwrap();
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
        let n = |request: &Received| request.events().iter().map(|event| event["event"]["data"]["n"].as_u64().unwrap()).collect::<Vec<_>>();
        assert_eq!((n(&texts[1]), n(&texts[2])), (vec![2, 3, 4], vec![0]));
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
    if request.raw.len() > 1_048_576 {
        return says(413, 27);
    }
    if request.header("x-splunk-request-channel").len() != 36 {
        return says(400, 10);
    }
    let text = request.text();
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

/// Datadog's rules: the key, an array, its limits.
fn datadog(request: &Received) -> Option<Reply> {
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
            && entry["timestamp"].is_u64()
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
    let of = |entries: &[Value]| judged(datadog(&request(&[key], json!(entries).to_string()))).0;
    assert_eq!(of(std::slice::from_ref(&entry)), 202);
    assert_eq!(judged(datadog(&request(&[], json!([entry]).to_string()))).0, 403);
    assert_eq!(judged(datadog(&request(&[key], "{}"))).0, 400);
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
        for (format, judge) in [("splunk_hec", splunk as fn(&Received) -> Option<Reply>), ("datadog", datadog)] {
            let receiver = Receiver::start().await;
            receiver.judge(judge);
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
    // A name that leads to a private address passes the form and is stopped at the connection.
    let named = endpoint("https://localtest.me/", "generic");
    if let Ok(made) = strict.engine.create_webhook(&admin, named).await {
        assert!(!strict.engine.test_webhook(&admin, &made.endpoint.id).await.unwrap().delivered);
    }
}
