//! Deliveries: order, retries, replays, batches, and hours of trouble.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::time::{DAY, HOUR, MINUTE, SECOND};
use crate::engine::Engine;
use crate::engine::error::Error;
use crate::engine::log::reading::Page;
use crate::engine::store::data_keys;
use crate::engine::tests::receiver::{Received, Receiver, Reply};
use crate::engine::tests::support::{Databases, both_engines, mails};
use crate::engine::tests::webhooks::{
    acts, assert_signed, deliver_all, endpoint, hook, image, logged, numbers, state, world,
};
use crate::engine::webhooks::{EndpointChange, EndpointState, Replay};

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

    async fn the_end_of_a_workspace_is_delivered_and_then_its_endpoints_go(on) {
        let (world, receiver, gone) = (world(on).await, Receiver::start().await, Receiver::start().await);
        gone.always(Some(Reply::status(410)));
        hook(&world, &gone, "generic").await;
        hook(&world, &receiver, "generic").await;
        world.engine.delete_workspace(&world.admin().await, "Growth").await.unwrap();
        deliver_all(&world).await;
        let told: Vec<Value> = receiver.acknowledged().iter().map(|event| event["event"].clone()).collect();
        assert_eq!(told, [json!("workspace.deletion_started"), json!("workspace.deleted")]);
        assert_eq!(gone.all().len(), 1, "it said so");

        let db = &world.engine.0.cells["eu"].db;
        let keys = async || data_keys::after(db, "", 10).await.unwrap().len();
        assert_eq!(keys().await, 2, "of the secrets that signed");
        world.engine.forget_deliveries().await.unwrap();
        for time in [3 * DAY, 2 * HOUR] {
            world.clock.advance(time);
            world.engine.purge().await.unwrap();
        }
        assert_eq!(keys().await, 0, "out of use first, destroyed an hour later");
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
