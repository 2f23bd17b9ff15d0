//! Copies in another region while a run is killed, turned off, slow or failing: nothing is copied that nobody wants, an
//! erasure leaves no copy behind, and the log tells how many were deleted.

use serde_json::{Value, json};

use crate::domain::data_requests::State;
use crate::domain::ids::{GenerationId, WorkspaceId};
use crate::domain::money::Usd;
use crate::domain::region::Region;
use crate::domain::time::{DAY, HOUR, MINUTE, Time};
use crate::engine::access::scope::Scope;
use crate::engine::access::settings::SettingsChange;
use crate::engine::data::replication::{BATCH, ReplicationView, SHARE};
use crate::engine::error::Error;
use crate::engine::random;
use crate::engine::store::generations::{self, NewGeneration};
use crate::engine::store::replicas;
use crate::engine::tests::data_requests::{approved, image, view};
use crate::engine::tests::faults::Faulty;
use crate::engine::tests::killed::{MOST_KILLS, counts, killed_after};
use crate::engine::tests::support::{Databases, START, World, both_engines};

/// A workspace in the EU that wants copies in the US, and the bucket there.
async fn world(on: Databases) -> (World, Faulty) {
    let us = Faulty::new();
    let world = World::with_buckets(on, "100", &[("us", &us)]).await;
    world.replicate_to(Some(Region::UsEast1)).await;
    (world, us)
}

async fn copies(world: &World, scope: &Scope) -> ReplicationView {
    world.engine.replication(scope).await.unwrap()
}

/// What the log tells of copies that were deleted.
async fn told(world: &World) -> Vec<Value> {
    let acts = world.acts().await.into_iter();
    acts.filter(|act| act.event.as_deref() == Some("replication.copies_deleted"))
        .filter_map(|act| act.data)
        .collect()
}

/// Adds results whose files are nowhere: what counts here are their rows.
async fn add_results(world: &World, workspace: &WorkspaceId, count: i64) {
    let result = |_| {
        let id = random::id::<GenerationId>(START);
        NewGeneration {
            object_key: format!("{workspace}/2026/10/14/{id}.png"),
            id,
            workspace_id: workspace.clone(),
            request_id: world.engine.new_request_id(),
            user_id: "agent.growth-bot".into(),
            tool: "generate_image".into(),
            model: "sketch-image-1".into(),
            cost: Usd::ZERO,
            files: 1,
            content_type: "image/png".into(),
            bytes: 1,
            width: 64,
            height: 64,
            duration_s: None,
            late: false,
            created_at: START,
            expires_at: START.plus(30 * DAY),
            deleted_at: None,
        }
    };
    let mut transaction = world.engine.0.cells["eu"].db.begin().await.unwrap();
    generations::insert(&mut transaction, (0..count).map(result).collect()).await.unwrap();
    transaction.commit().await.unwrap();
}

both_engines! {
    async fn copies_follow_their_source_and_go_when_they_are_turned_off(on) {
        let world = World::with_money(on, "100").await;
        let admin = world.admin().await;
        for n in 0..3 {
            image(&world, &format!("fox {n}"), None).await;
            world.clock.advance(MINUTE);
        }
        world.replicate_to(Some(Region::UsEast1)).await;
        let view = world.engine.replication(&admin).await.unwrap();
        assert_eq!((view.copies, view.lag_us), (0, 3 * MINUTE));
        world.engine.replicate().await.unwrap();
        let view = world.engine.replication(&admin).await.unwrap();
        assert_eq!((view.region, view.copies, view.lag_us), (Some(Region::UsEast1), 3, 0));
        let us = &world.engine.0.cells["us"].bucket;
        let copies = async || futures::TryStreamExt::try_collect::<Vec<_>>(us.list("replicas")).await.unwrap().len();
        assert_eq!(copies().await, 6);
        world.assert_reconciled().await;
        world.replicate_to(None).await;
        world.engine.replicate().await.unwrap();
        assert_eq!((copies().await, world.engine.replication(&admin).await.unwrap().copies), (0, 0));
        assert_eq!(told(&world).await, [json!({ "generations": 3 })]);
        world.assert_reconciled().await;
    }

    async fn what_is_turned_off_in_the_midst_of_a_run_is_copied_no_more(on) {
        let (world, us) = world(on).await;
        for n in 0..5 {
            image(&world, &format!("fox {n}"), None).await;
        }
        let (engine, closed) = (world.engine.clone(), us.door.lock().await);
        let run = tokio::spawn(async move { engine.replicate().await.unwrap() });
        us.came.notified().await;
        world.replicate_to(None).await;
        drop(closed);
        assert_eq!(run.await.unwrap(), 1, "the one that was on its way");
        assert_eq!(us.keys().await, Vec::<String>::new(), "and that one is deleted by the same run");
        assert_eq!(copies(&world, &world.admin().await).await.copies, 0);
        assert_eq!(told(&world).await, [json!({ "generations": 1 })]);

        world.replicate_to(Some(Region::UsEast1)).await;
        assert_eq!(world.engine.replicate().await.unwrap(), 5);
        let view = copies(&world, &world.admin().await).await;
        assert_eq!((view.copies, view.lag_us, us.keys().await.len()), (5, 0, 10));
        world.assert_reconciled().await;
    }

    async fn a_run_does_not_say_that_all_is_in_a_cell_that_was_chosen_meanwhile(on) {
        let (world, us) = world(on).await;
        image(&world, "a fox", None).await;
        let (db, id) = (&world.engine.0.cells["eu"].db, &world.made.workspace_id);
        let (engine, closed) = (world.engine.clone(), us.door.lock().await);
        let run = tokio::spawn(async move { engine.replicate().await.unwrap() });
        us.came.notified().await;
        let mut transaction = db.begin().await.unwrap();
        replicas::set(id, Some("west")).run(&mut transaction).await.unwrap();
        transaction.commit().await.unwrap();
        drop(closed);
        run.await.unwrap();
        let wanted = replicas::wanted_by(db, id).await.unwrap().unwrap();
        assert_eq!((wanted.to.as_deref(), wanted.until), (Some("west"), Time(0)));
    }

    async fn who_has_much_to_copy_does_not_keep_the_others(on) {
        let (world, _) = world(on).await;
        let (own, other) = (world.admin().await, world.another_workspace("Brand").await);
        let change = SettingsChange { replicate_to: Some(Some(Region::UsEast1)), ..SettingsChange::default() };
        world.engine.set_settings(&other, change).await.unwrap();
        let share = SHARE as i64 * BATCH;
        add_results(&world, &own.workspace.id, share + 1).await;
        add_results(&world, &other.workspace.id, 1).await;
        world.engine.replicate().await.unwrap();
        assert_eq!((copies(&world, &own).await.copies, copies(&world, &other).await.copies), (share, 1));
        assert_eq!(world.engine.replicate().await.unwrap(), 1);
        assert_eq!(copies(&world, &own).await.copies, share + 1);
    }

    async fn an_erasure_leaves_nothing_of_a_copy_that_was_killed_at_any_step(on) {
        let (world, us) = world(on).await;
        for step in 0.. {
            assert!(step < MOST_KILLS);
            let subject = format!("customer-{step}");
            image(&world, &format!("fox {step}"), Some(&subject)).await;
            let id = approved(&world, "erasure", json!({ "subject": subject })).await;
            let ended = killed_after(step, world.engine.replicate()).await.is_some();
            let copied = us.keys().await.len();
            world.after_a_kill();
            while world.engine.execute_data_requests().await.unwrap() > 0 {}

            assert_eq!(view(&world, &id).await.state, State::Done, "step {step}");
            assert_eq!(us.keys().await, Vec::<String>::new(), "step {step}");
            let certificate = world.engine.data_request_certificate(&world.admin().await, &id).await.unwrap();
            assert!(copied == 0 || *counts(&certificate)[2] == json!(1), "step {step}: {certificate}");
            if ended {
                assert_eq!(copied, 2, "a picture and its small one");
                break;
            }
        }
        world.assert_reconciled().await;
    }

    async fn an_erasure_waits_for_a_copy_that_is_on_its_way(on) {
        let (world, us) = world(on).await;
        image(&world, "a fox", Some("customer-42")).await;
        let id = approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        let (engine, closed) = (world.engine.clone(), us.door.lock().await);
        let run = tokio::spawn(async move { engine.replicate().await.unwrap() });
        us.came.notified().await;
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 0);
        assert_eq!(view(&world, &id).await.state, State::Running);
        drop(closed);
        assert_eq!(run.await.unwrap(), 1);
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
        assert_eq!((view(&world, &id).await.state, us.keys().await), (State::Done, Vec::new()));
        world.assert_reconciled().await;
    }

    async fn a_copy_that_was_broken_off_is_missing_and_no_fault(on) {
        let (world, us) = world(on).await;
        image(&world, "a fox", None).await;
        us.fail_after(0);
        world.engine.replicate().await.unwrap_err();
        us.mend();
        world.assert_reconciled().await;
        let view = copies(&world, &world.admin().await).await;
        assert_eq!((view.copies, view.lag_us), (1, 3 * HOUR), "it is being made");
        assert_eq!(world.engine.replicate().await.unwrap(), 1);
        let view = copies(&world, &world.admin().await).await;
        assert_eq!((view.copies, view.lag_us, us.keys().await.len()), (1, 0, 2));
        world.assert_reconciled().await;
    }

    async fn the_log_tells_how_many_copies_were_deleted_where_a_bucket_fails_in_between(on) {
        let (world, us) = world(on).await;
        add_results(&world, &world.made.workspace_id, BATCH + 10).await;
        world.engine.replicate().await.unwrap();
        world.replicate_to(None).await;
        // A result has a file and a small picture: the first batch goes, the second does not.
        us.fail_after(2 * BATCH);
        let failed = world.engine.replicate().await.unwrap_err();
        assert!(matches!(failed, Error::Unavailable(_)), "{failed:?}");
        let left = copies(&world, &world.admin().await).await.copies;
        assert_eq!((left, told(&world).await), (10, Vec::new()));
        us.mend();
        for _ in 0..2 {
            world.engine.replicate().await.unwrap();
            assert_eq!(told(&world).await, [json!({ "generations": BATCH + 10 })]);
        }
    }

    async fn the_log_tells_how_many_copies_were_deleted_wherever_a_run_is_killed(on) {
        let (world, us) = world(on).await;
        for n in 0..3 {
            image(&world, &format!("fox {n}"), None).await;
        }
        world.engine.replicate().await.unwrap();
        world.replicate_to(None).await;
        let mut kills = 0;
        // A run that comes while the act of a killed one is being written is refused its own.
        while !matches!(killed_after(kills, world.engine.replicate()).await, Some(Ok(_))) {
            world.after_a_kill();
            kills += 1;
            assert!(kills < MOST_KILLS);
        }
        assert_eq!(us.keys().await, Vec::<String>::new());
        assert_eq!(told(&world).await, [json!({ "generations": 3 })]);
        world.assert_reconciled().await;
    }
}
