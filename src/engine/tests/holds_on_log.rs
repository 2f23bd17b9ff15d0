//! A hold that is placed while old logs, exports and data requests go keeps what is left of them.

use serde_json::json;

use crate::domain::holds::HoldTarget;
use crate::domain::time::DAY;
use crate::engine::error::Error;
use crate::engine::log::reading::{AuditFilter, Page};
use crate::engine::store::retention;
use crate::engine::tests::data_requests::{approved, image};
use crate::engine::tests::exports::three_months;
use crate::engine::tests::faults::Faulty;
use crate::engine::tests::support::{Databases, World, both_engines};

/// Three months of which log and exports are due, and of which all media has gone.
async fn world(on: Databases) -> (World, Faulty) {
    let bucket = Faulty::new();
    let world = World::with_buckets(on, "100", &[("eu", &bucket)]).await;
    three_months(&world).await;
    let report = world.engine.purge().await.unwrap();
    assert_eq!((report.generations, report.log_rows), (3, 0));
    // The deletions so far came to the gate.
    bucket.reached.notified().await;
    world.clock.advance(365 * DAY);
    (world, bucket)
}

async fn exports(bucket: &Faulty) -> Vec<String> {
    bucket.keys().await.into_iter().filter(|key| key.starts_with("exports/")).collect()
}

async fn rows(world: &World) -> usize {
    let (admin, page) = (world.admin().await, Page { limit: Some(200), cursor: None });
    world.engine.audit(&admin, &AuditFilter::default(), page).await.unwrap().items.len()
}

both_engines! {
    async fn a_hold_that_is_placed_while_a_log_is_cut_keeps_the_rest(on) {
        let (world, bucket) = world(on).await;
        let (all, before) = (exports(&bucket).await, rows(&world).await);
        let closed = bucket.gate.lock().await;
        let engine = world.engine.clone();
        let purge = tokio::spawn(async move { engine.purge().await.unwrap() });
        bucket.reached.notified().await;
        let admin = world.admin().await;
        let hold = world.engine.place_hold(&admin, HoldTarget::Workspace, "case 7").await.unwrap();
        drop(closed);
        let report = purge.await.unwrap();
        assert_eq!((report.log_rows, report.stopped_by), (0, None));
        assert_eq!(rows(&world).await, before + 1, "and the entry of the hold");
        let left = exports(&bucket).await;
        assert!(!left.is_empty() && left.len() < all.len(), "only the month that was on its way went: {left:?}");

        assert_eq!(world.engine.purge().await.unwrap().log_rows, 0);
        assert_eq!(exports(&bucket).await, left);
        world.engine.lift_hold(&admin, &hold.id, None).await.unwrap();
        assert!(world.engine.purge().await.unwrap().log_rows > 0);
        assert_eq!(exports(&bucket).await, Vec::<String>::new());
        world.assert_whole().await;
    }

    async fn a_hold_that_is_placed_between_two_batches_keeps_the_second(on) {
        let (world, _) = world(on).await;
        let (db, id) = (&world.engine.0.cells["eu"].db, &world.made.workspace_id);
        assert_eq!(retention::cut_log(db, id, 3, 1).await.unwrap(), Some(1));
        let admin = world.admin().await;
        let agent = HoldTarget::Agent("agent.growth-bot".into());
        let hold = world.engine.place_hold(&admin, agent, "case 7").await.unwrap();
        assert_eq!(retention::cut_log(db, id, 3, 1).await.unwrap(), None);
        world.engine.lift_hold(&admin, &hold.id, None).await.unwrap();
        assert_eq!(retention::cut_log(db, id, 3, 10).await.unwrap(), Some(2));
        assert_eq!(retention::cut_log(db, id, 3, 10).await.unwrap(), Some(0));
    }

    async fn a_hold_on_the_workspace_keeps_its_data_requests(on) {
        let world = World::with_money(on, "100").await;
        image(&world, "a portrait", Some("customer-42")).await;
        let filed = approved(&world, "access", json!({ "subject": "customer-42" })).await;
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
        world.clock.advance(4 * 366 * DAY);
        let admin = world.admin().await;
        let hold = world.engine.place_hold(&admin, HoldTarget::Workspace, "case 7").await.unwrap();
        world.engine.purge().await.unwrap();
        world.engine.data_request(&admin, &filed).await.unwrap();
        world.engine.lift_hold(&admin, &hold.id, None).await.unwrap();
        let agent = HoldTarget::Agent("agent.growth-bot".into());
        world.engine.place_hold(&admin, agent, "case 8").await.unwrap();
        world.engine.purge().await.unwrap();
        let gone = world.engine.data_request(&admin, &filed).await;
        assert!(matches!(gone, Err(Error::NotFound)), "only a hold on all of the workspace keeps them");
    }
}
