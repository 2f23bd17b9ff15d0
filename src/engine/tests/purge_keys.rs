//! Data keys that seal nothing any more go from the table and from the backups' copies, a few at a time, and nobody who
//! comes back meanwhile loses anything by it.

use serde_json::json;
use tempfile::TempDir;

use crate::domain::ids::RequestId;
use crate::domain::time::{DAY, HOUR, MINUTE};
use crate::engine::CellNode;
use crate::engine::data::sealing::{MasterKey, MasterKeys, Sealer};
use crate::engine::error::Error;
use crate::engine::store::data_keys::{self, WrappedKey};
use crate::engine::store::sql::{Statement, values};
use crate::engine::tests::data_requests::{image, prompt};
use crate::engine::tests::faults::Faulty;
use crate::engine::tests::support::{Databases, World, both_engines};

const SUBJECT: &str = "customer-42";

async fn world(on: Databases) -> (World, Faulty) {
    let bucket = Faulty::new();
    let world = World::with_buckets(on, "100", &[("eu", &bucket)]).await;
    (world, bucket)
}

fn cell(world: &World) -> &CellNode {
    &world.engine.0.cells["eu"]
}

/// The name of a new backup.
async fn backup(world: &World) -> String {
    world.engine.backup(TempDir::new().unwrap().path()).await.unwrap().backup_id
}

/// The ids of the keys that are kept for a backup.
async fn kept(world: &World, backup: &str) -> Vec<String> {
    let keys = world.engine.kept_keys(cell(world), backup).await.unwrap();
    let mut ids: Vec<String> = keys.into_iter().map(|key| key.id).collect();
    ids.sort();
    ids
}

/// Runs a purge; how many keys it took out of use and how many it destroyed.
async fn purge(world: &World) -> (u64, u64) {
    let report = world.engine.purge().await.unwrap();
    assert_eq!(report.stopped_by, None);
    (report.keys, report.keys_destroyed)
}

/// Until what was taken out of use is destroyed.
fn an_hour_passes(world: &World) {
    world.clock.advance(HOUR + MINUTE);
}

/// Keys of long ago, in four parts.
async fn old_keys(world: &World, count: u32) {
    let key = |n: u32| WrappedKey {
        id: format!("dk_{:02x}{n:022x}", n % 4),
        workspace_id: world.made.workspace_id.to_string(),
        scope: format!("past:{n}"),
        wrapped: vec![7; 72],
        wrapped_by: cell(world).sealer.master_check().to_owned(),
        created_at: world.clock.now().plus(-3 * DAY),
    };
    data_keys::insert(&cell(world).db, (0..count).map(key).collect()).await.unwrap();
}

/// A node that holds the subject's key, and has not heard yet that it was taken out of use.
struct Late {
    world: World,
    sealer: Sealer,
}

impl Late {
    async fn new(on: Databases) -> Self {
        let digits = "1".repeat(64);
        let world = World::with_config(on, "100", |config| {
            config.security.master_key = Some(digits.clone());
        });
        let world = world.await;
        let keys = MasterKeys { current: MasterKey::from_hex(&digits).unwrap(), previous: None };
        let sealer = Sealer::open(cell(&world).db.clone(), &keys).await.unwrap();
        let late = Self { world, sealer };
        image(&late.world, "long ago", Some(SUBJECT)).await;
        late.world.clock.advance(31 * DAY);
        late.seal("warm").await;
        assert_eq!(purge(&late.world).await, (1, 0));
        late
    }

    async fn seal(&self, place: &str) -> (String, Vec<u8>) {
        let (workspace, now) = (&self.world.made.workspace_id, self.world.clock.now());
        self.sealer.seal_prompt(workspace, Some(SUBJECT), place, "late", now).await.unwrap()
    }

    /// A call of the subject whose prompt is sealed with the key that this node holds; that key's id too.
    async fn call(&self) -> (RequestId, String) {
        let call = image(&self.world, "to be sealed by the late node", None).await;
        let (key, sealed) = self.seal(call.as_str()).await;
        let text = "UPDATE prompts SET key_id = $1, sealed = $2 WHERE request_id = $3";
        let change = Statement::new(text, values![key.as_str(), sealed, call.as_str()]);
        let mut transaction = cell(&self.world).db.begin().await.unwrap();
        assert_eq!(change.run(&mut transaction).await.unwrap(), 1);
        transaction.commit().await.unwrap();
        (call, key)
    }

    /// The key that the subject's next prompt is sealed with.
    async fn in_use(&self) -> Option<String> {
        let (node, workspace) = (cell(&self.world), &self.world.made.workspace_id);
        let scope = node.sealer.subject_scope(workspace, SUBJECT);
        data_keys::of_scope(&node.db, workspace, &scope).await.unwrap().map(|key| key.id)
    }

    async fn exists(&self, key: &str) -> bool {
        let (node, workspace) = (cell(&self.world), &self.world.made.workspace_id);
        data_keys::by_id(&node.db, workspace, key).await.unwrap().is_some()
    }
}

both_engines! {
    async fn a_key_is_taken_out_of_use_and_an_hour_later_destroyed_in_every_copy(on) {
        let (world, bucket) = world(on).await;
        for n in 0..12 {
            image(&world, "a portrait", Some(&format!("customer-{n}"))).await;
        }
        let backups = [backup(&world).await, backup(&world).await];
        let files = bucket.keys().await.into_iter().filter(|key| key.starts_with("keys/")).count();
        assert!(files > 2, "each copy is in parts: {files}");
        let before = kept(&world, &backups[0]).await;
        assert_eq!(before.len(), 12);
        world.clock.advance(31 * DAY);
        assert_eq!(purge(&world).await, (12, 0));
        assert_eq!(purge(&world).await, (0, 0), "a call may be about to seal with one");
        assert_eq!(kept(&world, &backups[1]).await, before);
        an_hour_passes(&world);
        assert_eq!(purge(&world).await, (0, 12));
        for backup in &backups {
            assert_eq!(kept(&world, backup).await, Vec::<String>::new());
        }
        assert_eq!(data_keys::after(&cell(&world).db, "", 10).await.unwrap(), Vec::new());
        world.assert_whole().await;
    }

    async fn more_keys_than_a_batch_go_and_those_that_seal_something_stay(on) {
        let (world, _) = world(on).await;
        let call = image(&world, "a fox", Some(SUBJECT)).await;
        old_keys(&world, 600).await;
        let backup = backup(&world).await;
        assert_eq!(kept(&world, &backup).await.len(), 601);
        world.clock.advance(3 * DAY);
        assert_eq!(purge(&world).await, (600, 0));
        an_hour_passes(&world);
        assert_eq!(purge(&world).await, (0, 600));
        assert_eq!(kept(&world, &backup).await.len(), 1);
        assert_eq!(prompt(&world, &call).await.as_deref(), Some("a fox"));
    }

    async fn a_storage_that_fails_while_keys_are_destroyed_is_tried_again(on) {
        let (world, bucket) = world(on).await;
        old_keys(&world, 8).await;
        let backup = backup(&world).await;
        assert_eq!(purge(&world).await, (8, 0));
        an_hour_passes(&world);
        let (mut destroyed, mut step) = (0, 0);
        while destroyed < 8 {
            bucket.fail_after(step);
            let report = world.engine.purge().await.unwrap();
            bucket.mend();
            destroyed += report.keys_destroyed;
            assert_eq!(report.stopped_by.is_none(), destroyed == 8, "at step {step}");
            let table = data_keys::after(&cell(&world).db, "", 10).await.unwrap().len();
            assert!(kept(&world, &backup).await.len() <= table, "from the copies first");
            step += 1;
        }
        assert!(step > 3, "it failed at {step} steps first");
        assert_eq!(kept(&world, &backup).await, Vec::<String>::new());
    }

    async fn a_subject_who_comes_back_gets_a_new_key(on) {
        let (world, _) = world(on).await;
        let node = cell(&world);
        let scope = node.sealer.subject_scope(&world.made.workspace_id, SUBJECT);
        image(&world, "long ago", Some(SUBJECT)).await;
        let of_scope = async || data_keys::of_scope(&node.db, &world.made.workspace_id, &scope).await.unwrap();
        let before = of_scope().await.unwrap();
        world.clock.advance(31 * DAY);
        assert_eq!(purge(&world).await, (1, 0));
        let call = image(&world, "back again", Some(SUBJECT)).await;
        let after = of_scope().await.unwrap();
        assert_ne!(after.id, before.id);
        an_hour_passes(&world);
        assert_eq!(purge(&world).await, (0, 1));
        assert_eq!(prompt(&world, &call).await.as_deref(), Some("back again"));
        assert_eq!(of_scope().await, Some(after));
        world.assert_whole().await;
    }

    async fn what_a_late_node_seals_stays_readable_and_its_key_is_in_use_again(on) {
        let late = Late::new(on).await;
        assert_eq!(late.in_use().await, None);
        let (call, key) = late.call().await;
        let backup = backup(&late.world).await;
        an_hour_passes(&late.world);
        assert_eq!(purge(&late.world).await, (0, 0));
        assert_eq!(prompt(&late.world, &call).await.as_deref(), Some("late"));
        assert_eq!(late.in_use().await.as_deref(), Some(key.as_str()));
        assert!(kept(&late.world, &backup).await.contains(&key));
        late.world.assert_whole().await;
    }

    async fn a_late_nodes_key_stays_beside_a_new_one_until_nothing_needs_it(on) {
        let late = Late::new(on).await;
        let call = image(&late.world, "back again", Some(SUBJECT)).await;
        let new = late.in_use().await.unwrap();
        let (of_late, key) = late.call().await;
        an_hour_passes(&late.world);
        assert_eq!(purge(&late.world).await, (0, 0));
        assert_eq!(prompt(&late.world, &call).await.as_deref(), Some("back again"));
        assert_eq!(prompt(&late.world, &of_late).await.as_deref(), Some("late"));
        assert_eq!(late.in_use().await, Some(new.clone()));
        late.world.clock.advance(31 * DAY);
        purge(&late.world).await;
        an_hour_passes(&late.world);
        purge(&late.world).await;
        assert_eq!((late.exists(&key).await, late.exists(&new).await), (false, false));
    }

    async fn a_key_with_which_somebody_seals_in_the_last_moment_is_not_destroyed(on) {
        let late = Late::new(on).await;
        let db = &cell(&late.world).db;
        let keys = [late.seal("anywhere").await.0];
        assert_eq!(data_keys::still_unused(db, &keys).await.unwrap(), keys);
        let (call, _) = late.call().await;
        assert_eq!(data_keys::destroy_unused(db, &keys).await.unwrap(), 0);
        assert_eq!(prompt(&late.world, &call).await.as_deref(), Some("late"));
    }

    async fn a_copy_of_an_older_version_is_read_and_changed(on) {
        let (world, bucket) = world(on).await;
        old_keys(&world, 40).await;
        let backup = backup(&world).await;
        let node = cell(&world);
        let keys = world.engine.kept_keys(node, &backup).await.unwrap();
        let line = |key: &WrappedKey| {
            let mut line = serde_json::to_value(key).unwrap();
            line["wrapped"] = json!(key.wrapped);
            format!("{line}\n")
        };
        let whole = format!("keys/{backup}.ndjson");
        node.bucket.delete_below(&format!("keys/{backup}")).await.unwrap();
        node.bucket.put(&whole, keys.iter().map(line).collect::<String>().into()).await.unwrap();
        assert_eq!(world.engine.kept_keys(node, &backup).await.unwrap(), keys);
        let gone = [keys[3].id.clone()];
        for step in 0.. {
            bucket.fail_after(step);
            let destroyed = world.engine.destroy_keys(node, &gone, data_keys::destroy(&node.db, &gone)).await;
            bucket.mend();
            let left = kept(&world, &backup).await.len();
            if destroyed.is_ok() {
                assert_eq!(left, 39);
                break;
            }
            assert!((39..=40).contains(&left), "nothing is lost at step {step}: {left}");
        }
        let files: Vec<String> = bucket.keys().await.into_iter().filter(|key| key.starts_with("keys/")).collect();
        assert!(files.len() == 4 && !files.contains(&whole), "{files:?}");
        let left = world.engine.kept_keys(node, &backup).await.unwrap();
        assert!(left.iter().all(|key| keys.contains(key)));
    }

    async fn copies_go_with_the_last_day_for_which_backups_are_kept(on) {
        let (world, bucket) = world(on).await;
        image(&world, "a fox", Some(SUBJECT)).await;
        let old = backup(&world).await;
        let millis = world.clock.now().millis();
        let node = cell(&world);
        node.bucket.put(&format!("keys/{millis}-0a1b.ndjson"), bytes::Bytes::new()).await.unwrap();
        world.clock.advance(20 * DAY);
        let new = backup(&world).await;
        let files = async || bucket.keys().await.into_iter().filter(|key| key.starts_with("keys/")).count();
        world.clock.advance(15 * DAY);
        let before = files().await;
        purge(&world).await;
        assert_eq!(files().await, before, "not before that day has passed");
        world.clock.advance(1);
        purge(&world).await;
        assert_eq!(world.engine.kept_keys(node, &old).await, Err(Error::NotFound));
        assert_eq!(files().await, 1);
        assert_eq!(kept(&world, &new).await.len(), 1);
    }
}
