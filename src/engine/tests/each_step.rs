//! A kill, and a full disk, at each step of a run that nothing disturbed before: each time there is work of its own, and
//! the run after it ends that work. (In [`super::killed`] one and the same work is killed again and again.)

use std::collections::VecDeque;
use std::future::Future;

use serde_json::{Value, json};

use crate::domain::data_requests::State;
use crate::domain::region::Region;
use crate::domain::time::{DAY, HOUR};
use crate::engine::error::Result;
use crate::engine::tests::data_requests::{approved, image, prompt};
use crate::engine::tests::killed::{MOST_KILLS, counts, killed_after, media};
use crate::engine::tests::support::{Databases, World, both_engines};

/// What a run meets at a step.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// `kill -9`; a step is a poll.
    Kill,
    /// Nothing more can be written to the cell's database; a step is a transaction.
    FullDisk,
}

impl Trouble {
    /// Fewer steps than this are no run.
    const fn fewest_steps(self) -> usize {
        match self {
            Self::Kill => 20,
            Self::FullDisk => 3,
        }
    }
}

impl World {
    /// Lets `work` meet `trouble` after `step` steps and `again` end it; tells whether it ended before the trouble.
    async fn met_at<T>(
        &self,
        trouble: Trouble,
        step: usize,
        work: impl Future<Output = Result<T>>,
        again: impl Future,
    ) -> bool {
        assert!(step < MOST_KILLS);
        let ended = match trouble {
            Trouble::Kill => killed_after(step, work).await,
            Trouble::FullDisk => self.on_full_disk(step, work).await,
        };
        if let Some(ended) = ended {
            assert!(ended.is_ok() && step >= trouble.fewest_steps(), "only {step} steps");
            return true;
        }
        self.after_a_kill();
        again.await;
        false
    }

    /// What `work` ends with where the disk has room for all of it. Where not, it may say what it likes.
    async fn on_full_disk<T>(&self, transactions: usize, work: impl Future<Output = T>) -> Option<T> {
        let disk = &self.engine.0.cells["eu"].db.disk;
        disk.fill_after(transactions);
        let ended = work.await;
        (!disk.mend()).then_some(ended)
    }

    async fn replicating(on: Databases) -> Self {
        let world = Self::with_money(on, "100").await;
        world.replicate_to(Some(Region::UsEast1)).await;
        world
    }
}

async fn execute_all(world: &World) {
    while world.engine.execute_data_requests().await.unwrap() > 0 {}
}

async fn an_erasure_may_meet(trouble: Trouble, on: Databases) {
    let world = World::replicating(on).await;
    let neighbour = image(&world, "a harmless cat", None).await;
    let admin = world.admin().await;
    for step in 0.. {
        let subject = format!("customer-{step}");
        let erased = image(&world, &format!("{step}: a portrait of Rosalind"), Some(&subject)).await;
        world.engine.replicate().await.unwrap();
        let id = approved(&world, "erasure", json!({ "subject": subject })).await;
        let ended =
            world.met_at(trouble, step, world.engine.execute_data_requests(), execute_all(&world)).await;

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

async fn a_purge_may_meet(trouble: Trouble, on: Databases) {
    let world = World::replicating(on).await;
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
        let ended = world.met_at(trouble, step, world.engine.purge(), again).await;

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

async fn a_replication_may_meet(trouble: Trouble, on: Databases) {
    let world = World::replicating(on).await;
    for step in 0.. {
        image(&world, &format!("fox {step}"), None).await;
        let again = async { world.engine.replicate().await.unwrap() };
        let ended = world.met_at(trouble, step, world.engine.replicate(), again).await;

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

both_engines! {
    async fn an_erasure_may_be_killed_at_each_step(on) {
        an_erasure_may_meet(Trouble::Kill, on).await;
    }

    async fn an_erasure_may_find_the_disk_full_at_each_step(on) {
        an_erasure_may_meet(Trouble::FullDisk, on).await;
    }

    async fn a_purge_may_be_killed_at_each_step(on) {
        a_purge_may_meet(Trouble::Kill, on).await;
    }

    async fn a_purge_may_find_the_disk_full_at_each_step(on) {
        a_purge_may_meet(Trouble::FullDisk, on).await;
    }

    async fn a_replication_may_be_killed_at_each_step(on) {
        a_replication_may_meet(Trouble::Kill, on).await;
    }

    async fn a_replication_may_find_the_disk_full_at_each_step(on) {
        a_replication_may_meet(Trouble::FullDisk, on).await;
    }
}
