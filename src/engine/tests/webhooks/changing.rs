//! What Admins do to endpoints while events are on their way, and what stays secret.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;

use crate::domain::alerts::AlertSettings;
use crate::domain::time::DAY;
use crate::engine::alerts::AlertChange;
use crate::engine::error::Error;
use crate::engine::store::deliveries;
use crate::engine::store::{log, webhooks};
use crate::engine::tests::receiver::{Receiver, Reply};
use crate::engine::tests::support::{Databases, both_engines};
use crate::engine::tests::webhooks::{
    acts, assert_signed, change, deliver_all, deliver_and_at, endpoint, hook, numbers, state, to_state, world,
};
use crate::engine::webhooks::{EndpointChange, EndpointState, Replay};

both_engines! {
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
