//! The end of a workspace: a hold comes before it or not at all, it is begun once and told as done when all is gone.

use crate::domain::holds::HoldTarget;
use crate::domain::region::Region;
use crate::engine::error::Error;
use crate::engine::store::log;
use crate::engine::tests::data_requests::image;
use crate::engine::tests::faults::Faulty;
use crate::engine::tests::killed::{MOST_KILLS, killed_after, media};
use crate::engine::tests::support::{Databases, World, both_engines};

const STARTED: &str = "workspace.deletion_started";
const DELETED: &str = "workspace.deleted";
/// The deletion has fewer operations on either bucket.
const STEPS: i64 = 20;

/// What the log says of the deletion, which nobody can read by the directory any more.
async fn told(world: &World) -> Vec<String> {
    let db = &world.engine.0.cells["eu"].db;
    let rows = log::between(db, &world.made.workspace_id, 0, i64::MAX, i64::MAX).await.unwrap();
    let events = rows.into_iter().filter_map(|(row, _)| row.entry.event);
    events.filter(|event| [STARTED, DELETED].contains(&event.as_str())).collect()
}

/// Pictures in the EU cell, with copies in the US cell.
async fn paint(world: &World) {
    world.replicate_to(Some(Region::UsEast1)).await;
    for n in 0..3 {
        image(world, &format!("fox {n}"), Some("customer-42")).await;
    }
    world.engine.replicate().await.unwrap();
}

both_engines! {
    async fn a_hold_comes_before_a_deletion_or_not_at_all(on) {
        let eu = Faulty::new();
        let world = World::with_buckets(on, "100", &[("eu", &eu)]).await;
        image(&world, "a fox", None).await;
        let admin = world.admin().await;
        let hold = world.engine.place_hold(&admin, HoldTarget::Workspace, "case 7").await.unwrap();
        let refused = world.engine.delete_workspace(&admin, "Growth").await;
        assert!(matches!(&refused, Err(Error::Conflict(why)) if why.contains("lift the hold")), "{refused:?}");
        assert_eq!(told(&world).await, Vec::<String>::new());
        assert!(eu.keys().await.iter().all(|key| !key.starts_with("erased/")), "no restore believes it");
        image(&world, "a cat", None).await;
        world.engine.lift_hold(&admin, &hold.id, None).await.unwrap();

        let (engine, scope, closed) = (world.engine.clone(), admin.clone(), eu.gate.lock().await);
        let deletion = tokio::spawn(async move { engine.delete_workspace(&scope, "Growth").await });
        eu.reached.notified().await;
        assert_eq!(told(&world).await, [STARTED], "its files are still there");
        let late = world.engine.place_hold(&admin, HoldTarget::Workspace, "case 8").await;
        assert!(matches!(&late, Err(Error::Conflict(why)) if why.contains("No hold was placed")), "{late:?}");
        drop(closed);
        deletion.await.unwrap().unwrap();
        assert_eq!(told(&world).await, [STARTED, DELETED]);
        world.assert_whole().await;
    }

    async fn a_deletion_that_fails_at_any_step_is_ended_by_a_repeat(on) {
        let (eu, us) = (Faulty::new(), Faulty::new());
        let world = World::with_buckets(on, "100", &[("eu", &eu), ("us", &us)]).await;
        paint(&world).await;
        let admin = world.admin().await;
        let fails = async || {
            let failed = world.engine.delete_workspace(&admin, "Growth").await;
            assert!(matches!(&failed, Ok(()) | Err(Error::Unavailable(_))), "{failed:?}");
            assert_eq!(told(&world).await.len(), if failed.is_ok() { 2 } else { 1 });
            failed.is_err()
        };
        us.fail_after(0);
        for step in 0..STEPS {
            eu.fail_after(step);
            assert!(fails().await, "the copies are still there");
        }
        eu.mend();
        let mut steps = 0;
        while fails().await {
            steps += 1;
            assert!(steps < STEPS);
            us.fail_after(steps);
        }
        us.mend();
        assert!(steps > 1, "only {steps} steps");
        assert_eq!(told(&world).await, [STARTED, DELETED]);
        let left = [eu.keys().await, us.keys().await].concat();
        assert!(left.iter().all(|key| key.starts_with("erased/workspaces/")), "only the mark: {left:?}");
        world.assert_reconciled().await;
    }

    async fn a_deletion_that_is_killed_at_every_step_is_ended_by_a_repeat(on) {
        let world = World::with_money(on, "100").await;
        paint(&world).await;
        let (admin, mut kills) = (world.admin().await, 0);
        let done = loop {
            let killed = killed_after(kills, world.engine.delete_workspace(&admin, "Growth"));
            if let Some(done) = killed.await {
                break done;
            }
            world.after_a_kill();
            kills += 1;
            assert!(kills < MOST_KILLS);
        };
        done.unwrap();
        assert!(kills > 3, "only {kills} kills");
        assert_eq!(told(&world).await, [STARTED, DELETED]);
        assert!(world.engine.memberships(&world.made.user_id).await.unwrap().is_empty());
        assert_eq!(media(&world.engine.config().data_dir), Vec::<String>::new());
        world.assert_reconciled().await;
    }
}
