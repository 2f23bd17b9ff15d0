//! `kill -9` at each step of a run that nothing disturbed before: for every kill there is work of its own, and the node
//! after it ends that work. (In [`super::killed`] one and the same work is killed again and again.)

use std::collections::VecDeque;
use std::future::Future;

use serde_json::{Value, json};

use crate::domain::data_requests::State;
use crate::domain::region::Region;
use crate::domain::time::{DAY, HOUR};
use crate::engine::tests::data_requests::{approved, image, prompt};
use crate::engine::tests::killed::{MOST_KILLS, counts, killed_after, media};
use crate::engine::tests::support::{Databases, World, both_engines};

/// Fewer steps than this are no run.
const FEWEST_STEPS: usize = 20;

impl World {
    /// Kills `work` after `step` polls and lets `again` end it as a new process; tells whether it ended before the kill.
    async fn killed_at<T>(&self, step: usize, work: impl Future<Output = T>, again: impl Future) -> bool {
        assert!(step < MOST_KILLS);
        let ended = killed_after(step, work).await.is_some();
        if ended {
            assert!(step >= FEWEST_STEPS, "only {step} steps");
        } else {
            self.after_a_kill();
            again.await;
        }
        ended
    }
}

async fn execute_all(world: &World) {
    while world.engine.execute_data_requests().await.unwrap() > 0 {}
}

both_engines! {
    async fn an_erasure_may_be_killed_at_each_step(on) {
        let world = World::with_money(on, "100").await;
        world.replicate_to(Some(Region::UsEast1)).await;
        let neighbour = image(&world, "a harmless cat", None).await;
        let admin = world.admin().await;
        for step in 0.. {
            let subject = format!("customer-{step}");
            let erased = image(&world, &format!("{step}: a portrait of Rosalind"), Some(&subject)).await;
            world.engine.replicate().await.unwrap();
            let id = approved(&world, "erasure", json!({ "subject": subject })).await;
            let ended = world.killed_at(step, world.engine.execute_data_requests(), execute_all(&world)).await;

            assert_eq!(world.engine.data_request(&admin, &id).await.unwrap().state, State::Done, "step {step}");
            let certificate: Value = world.engine.data_request_certificate(&admin, &id).await.unwrap();
            assert_eq!(counts(&certificate), [1, 1, 1, 0, 1], "step {step}");
            assert_eq!(prompt(&world, &erased).await, None, "step {step}");
            if ended {
                break;
            }
        }
        assert_eq!(world.places_with("a portrait of Rosalind").await, Vec::<String>::new());
        assert_eq!(prompt(&world, &neighbour).await.as_deref(), Some("a harmless cat"));
        world.assert_reconciled().await;
    }

    async fn a_purge_may_be_killed_at_each_step(on) {
        let world = World::with_money(on, "100").await;
        world.replicate_to(Some(Region::UsEast1)).await;
        world.engine.set_retention(&world.admin().await, Some(1), None).await.unwrap();
        let mut kept = VecDeque::new();
        for step in 0.. {
            // One an hour, so that each hour one is due.
            while kept.len() <= 24 {
                kept.push_back(image(&world, &format!("{step}: a portrait of Rosalind"), None).await);
                world.clock.advance(HOUR);
            }
            world.engine.replicate().await.unwrap();
            let again = async { world.engine.purge().await.unwrap() };
            let ended = world.killed_at(step, world.engine.purge(), again).await;

            let purged = kept.pop_front().unwrap();
            assert_eq!(prompt(&world, &purged).await, None, "step {step}");
            if ended {
                break;
            }
        }
        world.clock.advance(DAY + 1);
        world.engine.purge().await.unwrap();
        assert_eq!(media(&world.engine.config().data_dir), Vec::<String>::new());
        assert_eq!(world.places_with("a portrait of Rosalind").await, Vec::<String>::new());
        world.assert_reconciled().await;
    }

    async fn a_replication_may_be_killed_at_each_step(on) {
        let world = World::with_money(on, "100").await;
        world.replicate_to(Some(Region::UsEast1)).await;
        for step in 0.. {
            image(&world, &format!("fox {step}"), None).await;
            let again = async { world.engine.replicate().await.unwrap() };
            let ended = world.killed_at(step, world.engine.replicate(), again).await;

            let view = world.engine.replication(&world.admin().await).await.unwrap();
            assert_eq!((view.copies, view.lag_us), (i64::try_from(step).unwrap() + 1, 0), "step {step}");
            if ended {
                break;
            }
        }
        let files = media(&world.engine.config().data_dir);
        let copies = files.iter().filter(|file| file.contains("replicas")).count();
        assert_eq!(2 * copies, files.len(), "each file has its copy");
        world.assert_reconciled().await;
    }
}
