//! `kill -9` between any two steps of an erasure, a purge and a replication: it ends in the right state, tells the right
//! numbers, and nothing is left over.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use serde_json::{Value, json};

use crate::domain::data_requests::State;
use crate::domain::region::Region;
use crate::domain::time::{DAY, HOUR, MINUTE};
use crate::engine::access::settings::SettingsChange;
use crate::engine::data::reconcile::ReconcileReport;
use crate::engine::log::reading::{AuditFilter, Page};
use crate::engine::log::signing;
use crate::engine::store::dump;
use crate::engine::tests::data_requests::{approved, image, prompt};
use crate::engine::tests::support::{Databases, World, both_engines};

/// Longer than a lease: the dead node's work is free again.
const LEASE_ENDS: i64 = 2 * MINUTE + 1;
/// Fewer kills than this saw little of a run. How often a run waits, and so can be killed, depends on the machine.
const FEWEST_KILLS: usize = 5;
/// More kills than this are a run that does not get on.
pub(super) const MOST_KILLS: usize = 600;
const TEXTS: [&str; 3] = ["Rosalind at the window", "customer-42", "the secret of the fox"];

/// Polls `work` so many times and then drops it: what would come after that point never happens, and open transactions
/// are rolled back, as when the process is killed.
pub(in crate::engine) async fn killed_after<F: Future>(polls: usize, work: F) -> Option<F::Output> {
    let (mut work, mut left) = (pin!(work), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

impl World {
    /// What a new process finds: no cache, and a lease that has ended.
    pub(super) fn after_a_kill(&self) {
        self.engine.forget_cached();
        self.clock.advance(LEASE_ENDS);
    }

    pub(super) async fn replicate_to(&self, region: Option<Region>) {
        let change = SettingsChange { replicate_to: Some(region), ..SettingsChange::default() };
        self.engine.set_settings(&self.admin().await, change).await.unwrap();
    }

    pub(super) async fn assert_reconciled(&self) {
        self.clock.advance(3 * HOUR);
        assert_eq!(self.engine.reconcile().await.unwrap(), ReconcileReport::default());
        self.assert_whole().await;
    }

    /// Where `text` still stands: files of the data folder, and tables.
    pub(super) async fn places_with(&self, text: &str) -> Vec<String> {
        let mut places = files_with(&self.engine.config().data_dir, text);
        places.extend(self.tables_with(text).await);
        places
    }

    /// Tables with `text` in a row, as a dump of each database writes it.
    pub(super) async fn tables_with(&self, text: &str) -> Vec<String> {
        let mut places = Vec::new();
        for db in self.engine.databases() {
            let mut on = dump::moment(db).await.unwrap();
            for table in dump::tables(&mut on, db.dialect).await.unwrap() {
                let mut rows = Vec::new();
                dump::write(&mut on, &table, &mut rows).await.unwrap();
                if String::from_utf8(rows).unwrap().contains(text) {
                    places.push(table);
                }
            }
        }
        places
    }
}

/// Files under `folder` whose bytes hold `text`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if text.is_empty()
            || std::fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Files under the media folders, besides the marks of erasures.
pub(super) fn media(folder: &Path) -> Vec<String> {
    let files = files_with(&folder.join("media"), "");
    files.into_iter().filter(|file| !file.contains("/erased/")).collect()
}

pub(super) fn counts(certificate: &Value) -> Vec<&Value> {
    certificate["deleted"].as_array().unwrap().iter().map(|line| &line["count"]).collect()
}

both_engines! {
    async fn an_erasure_that_is_killed_at_every_step_ends_as_one_that_was_not(on) {
        let world = World::with_money(on, "100").await;
        world.replicate_to(Some(Region::UsEast1)).await;
        for n in 0..3 {
            image(&world, &format!("{n}: a portrait of Rosalind at the window"), Some("customer-42")).await;
        }
        image(&world, "the secret of the fox", None).await;
        let neighbour = image(&world, "a harmless cat", None).await;
        world.engine.replicate().await.unwrap();
        let ids = [
            approved(&world, "erasure", json!({ "subject": "customer-42" })).await,
            approved(&world, "erasure", json!({ "prompt_text": "the secret of the fox" })).await,
        ];
        let mut kills = 0;
        while killed_after(kills, world.engine.execute_data_requests()).await.is_none() {
            world.after_a_kill();
            kills += 1;
            assert!(kills < MOST_KILLS);
        }
        assert!(kills >= FEWEST_KILLS, "only {kills} kills");
        while world.engine.execute_data_requests().await.unwrap() > 0 {}

        let admin = world.admin().await;
        for (id, expected) in ids.iter().zip([[3, 3, 3, 0, 1], [1, 1, 1, 0, 1]]) {
            assert_eq!(world.engine.data_request(&admin, id).await.unwrap().state, State::Done);
            let certificate = world.engine.data_request_certificate(&admin, id).await.unwrap();
            signing::verify(&certificate, Some(&world.engine.public_keys().await.unwrap())).unwrap();
            assert_eq!(counts(&certificate), expected, "after {kills} kills");
        }
        for text in TEXTS {
            assert_eq!(world.places_with(text).await, Vec::<String>::new(), "{text}");
        }
        assert_eq!(prompt(&world, &neighbour).await.as_deref(), Some("a harmless cat"));
        let log = world.engine.audit(&admin, &AuditFilter::default(), Page::default()).await.unwrap().items;
        for event in ["data_request.started", "data_request.completed"] {
            assert_eq!(log.iter().filter(|row| row.entry.event.as_deref() == Some(event)).count(), 2, "{event}");
        }
        world.assert_reconciled().await;
    }

    async fn a_purge_that_is_killed_at_every_step_leaves_nothing_and_a_whole_log(on) {
        let world = World::with_money(on, "100").await;
        world.replicate_to(Some(Region::UsEast1)).await;
        for n in 0..3 {
            image(&world, &format!("{n}: a portrait of Rosalind at the window"), Some("customer-42")).await;
        }
        world.engine.replicate().await.unwrap();
        world.engine.set_daily_export(&world.admin().await, true).await.unwrap();
        world.clock.advance(2 * DAY);
        assert!(world.engine.export_logs().await.unwrap() > 0);
        world.clock.advance(398 * DAY);
        world.engine.make_checkpoints().await.unwrap();
        world.engine.set_retention(&world.admin().await, Some(30), Some(365)).await.unwrap();
        let mut kills = 0;
        while killed_after(kills, world.engine.purge()).await.is_none() {
            world.after_a_kill();
            kills += 1;
            assert!(kills < MOST_KILLS);
        }
        assert!(kills >= FEWEST_KILLS, "only {kills} kills");

        assert_eq!(media(&world.engine.config().data_dir), Vec::<String>::new());
        for text in TEXTS {
            assert_eq!(world.places_with(text).await, Vec::<String>::new(), "{text}");
        }
        let log = world.engine.audit(&world.admin().await, &AuditFilter::default(), Page::default()).await.unwrap();
        let events: Vec<_> = log.items.iter().map(|row| row.entry.event.as_deref()).collect();
        assert_eq!(events, [Some("settings.changed"), Some("log.checkpoint")], "the log's old months went, what is new stays");
        let after = world.engine.purge().await.unwrap();
        assert_eq!((after.generations, after.log_rows), (0, 0));
        world.assert_reconciled().await;
    }

    async fn a_replication_that_is_killed_at_every_step_copies_once_and_deletes_all(on) {
        let world = World::with_money(on, "100").await;
        world.replicate_to(Some(Region::UsEast1)).await;
        for n in 0..3 {
            image(&world, &format!("fox {n}"), None).await;
        }
        for (region, copies) in [(Some(Region::UsEast1), 3), (None, 0)] {
            world.replicate_to(region).await;
            let mut kills = 0;
            while killed_after(kills, world.engine.replicate()).await.is_none() {
                world.after_a_kill();
                kills += 1;
                assert!(kills < MOST_KILLS);
            }
            assert!(kills >= FEWEST_KILLS, "only {kills} kills");
            let view = world.engine.replication(&world.admin().await).await.unwrap();
            assert_eq!((view.copies, view.lag_us), (copies, 0), "{region:?}");
            let files = media(&world.engine.config().data_dir);
            assert_eq!(files.iter().filter(|file| file.contains("replicas")).count() as i64, 2 * copies);
            world.assert_reconciled().await;
        }
    }
}
