//! Receivers as strict as Splunk's and Datadog's references.

use axum::http::HeaderName;
use serde_json::{Value, json};

use crate::domain::time::{DAY, HOUR, SECOND, Time};
use crate::engine::tests::receiver::{Received, Receiver, Reply};
use crate::engine::tests::support::{Databases, START, both_engines};
use crate::engine::tests::webhooks::{
    acts, change, deliver_all, endpoint, hook, image, numbers, state, to_state, world,
};
use crate::engine::webhooks::{EndpointChange, EndpointState, Replay};

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
}
