//! The delivery log, and what goes with it.

use crate::domain::ids::WebhookId;
use crate::domain::time::Time;
use crate::engine::error::Error;
use crate::engine::random;
use crate::engine::store::deliveries::{self, DeliveryRow};
use crate::engine::store::{log, retention, webhooks};
use crate::engine::tests::receiver::{Receiver, Reply};
use crate::engine::tests::support::{Databases, World, both_engines};
use crate::engine::tests::webhooks::{acts, deliver_all, endpoint, hook, sent, state, world};
use crate::engine::webhooks::{MadeEndpoint, NewEndpoint};

both_engines! {
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
