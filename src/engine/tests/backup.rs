//! A backup brings everything back but what was erased since, into either kind of database.

use serde_json::json;
use tempfile::TempDir;

use crate::domain::access::Role;
use crate::domain::alerts::AlertSettings;
use crate::domain::ids::UserId;
use crate::domain::time::{DAY, HOUR};
use crate::engine::Engine;
use crate::engine::access::bootstrap::Bootstrap;
use crate::engine::access::people::NewPerson;
use crate::engine::access::scope::Origin;
use crate::engine::alerts::AlertChange;
use crate::engine::clock::Clock;
use crate::engine::config::Config;
use crate::engine::error::Error;
use crate::engine::log::reading::Page;
use crate::engine::random;
use crate::engine::store::workspaces::{self, Workspace};
use crate::engine::store::{accounts, data_keys};
use crate::engine::tests::data_requests::{approved, file, files_with, image, prompt, second_admin, view};
use crate::engine::tests::faults::Faulty;
use crate::engine::tests::killed::killed_after;
use crate::engine::tests::support::{Databases, World, add_member, bootstrap, both_engines, mails, usd};

/// For a node on `databases` with the buckets and the master key of `world`.
fn config_beside(world: &World, databases: &Databases) -> Config {
    let mut config = databases.config();
    config.security.master_key = world.engine.config().security.master_key.clone();
    for cell in &mut config.cells {
        cell.storage = Some(world.engine.config().cell_storage(cell));
    }
    config
}

async fn beside(world: &World, databases: &Databases, clock: &Clock) -> Engine {
    Engine::open(config_beside(world, databases), clock.clone()).await.unwrap()
}

/// A node that serves this cell only.
async fn serving(config: &Config, cell: &str, clock: &Clock) -> Engine {
    let mut config = config.clone();
    config.cells.retain(|own| own.name == cell);
    Engine::open(config, clock.clone()).await.unwrap()
}

/// A workspace of the same Admin in the US cell.
async fn states(world: &World) -> World {
    let there = Bootstrap { workspace: "States".into(), region: "us-east-1".into(), ..bootstrap("5") };
    let made = world.engine.bootstrap(there).await.unwrap();
    World { made, engine: world.engine.clone(), clock: world.clock.clone(), _databases: Databases::sqlite() }
}

/// A node on `databases` with the master key of `world` and these buckets.
pub(super) async fn beside_buckets(
    world: &World,
    databases: &Databases,
    buckets: [(&str, &Faulty); 2],
) -> Engine {
    let mut config = databases.config();
    config.security.master_key_file = Some(world.engine.config().data_dir.join("master.key"));
    let mut engine = Engine::open(config, world.clock.clone()).await.unwrap();
    for (cell, bucket) in buckets {
        bucket.replace(&mut engine, cell);
    }
    engine
}

fn contains_all(all: &[String], some: &[String]) -> bool {
    some.iter().all(|one| all.contains(one))
}

async fn world(on: Databases) -> World {
    World::with_config(on, "100", |config| config.security.master_key = Some("1".repeat(64))).await
}

both_engines! {
    async fn a_restore_brings_all_back_but_what_was_erased_since(on) {
        let other = on.of_the_other_kind().await;
        let world = world(on).await;
        let erased = image(&world, "the secret of the fox", Some("customer-42")).await;
        let kept = image(&world, "a harmless cat", None).await;
        let grace = second_admin(&world).await;
        let folder = TempDir::new().unwrap();
        let manifest = world.engine.backup(folder.path()).await.unwrap();
        assert_eq!(manifest.databases["cell-eu"]["generations"], 2);
        assert!(matches!(world.engine.backup(folder.path()).await, Err(Error::Conflict(_))), "never over another backup");
        assert!(matches!(world.engine.restore(folder.path()).await, Err(Error::Conflict(_))), "never over live data");

        let grace = grace.actor.parse().unwrap();
        let origin = Origin::new(world.engine.new_request_id(), None);
        world.engine.delete_account(&grace, "a long enough passphrase", origin).await.unwrap();
        approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        world.engine.execute_data_requests().await.unwrap();

        let engine = beside(&world, &other, &world.clock).await;
        let report = engine.restore(folder.path()).await.unwrap();
        assert!(report.rows > 10 && report.keys > 0 && report.erased_again > 0, "{report:?}");
        engine.shutdown().await;
        let engine = beside(&world, &other, &world.clock).await;
        let restored = World { engine, clock: world.clock.clone(), made: world.made.clone(), _databases: other };
        restored.assert_whole().await;
        assert_eq!(prompt(&restored, &erased).await, None);
        assert_eq!(prompt(&restored, &kept).await.as_deref(), Some("a harmless cat"));
        assert_eq!(restored.engine.user(&grace).await.unwrap(), None);
        assert_eq!(restored.money().await.0, usd("99.916"));
        image(&restored, "a new one", None).await;
        for text in ["the secret of the fox", "customer-42"] {
            assert_eq!(files_with(folder.path(), text), Vec::<String>::new());
        }
    }

    async fn a_restore_that_is_broken_off_anywhere_is_repeated_and_brings_nobody_back(on) {
        let other = on.of_the_other_kind().await;
        let (eu, us) = (Faulty::new(), Faulty::new());
        let world = World::with_buckets(on, "100", &[("eu", &eu), ("us", &us)]).await;
        let erased = image(&world, "the secret of the fox", Some("customer-42")).await;
        let grace: UserId = second_admin(&world).await.actor.parse().unwrap();
        let settings = AlertSettings { recipients: vec!["grace@example.com".into()], ..AlertSettings::default() };
        world.engine.set_alerts(&world.admin().await, AlertChange { settings, slack_url: None }).await.unwrap();
        let folder = TempDir::new().unwrap();
        world.engine.backup(folder.path()).await.unwrap();
        let origin = Origin::new(world.engine.new_request_id(), None);
        world.engine.delete_account(&grace, "a long enough passphrase", origin).await.unwrap();
        approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        world.engine.execute_data_requests().await.unwrap();

        let engine = beside_buckets(&world, &other, [("eu", &eu), ("us", &us)]).await;
        eu.fail_after(0);
        for step in 1.. {
            let Err(Error::Unavailable(_)) = engine.restore(folder.path()).await else { break };
            assert!(engine.setup_pending().await.unwrap() && engine.half_restored().await.unwrap().is_none(), "at step {step}");
            eu.fail_after(step);
        }
        eu.mend();
        assert_eq!(engine.user(&grace).await.unwrap(), None);
        engine.shutdown().await;

        let other = Databases::sqlite();
        let engine = beside_buckets(&world, &other, [("eu", &eu), ("us", &us)]).await;
        let (mut polls, mut half) = (1, 0);
        while killed_after(polls, engine.restore(folder.path())).await.is_none() {
            engine.forget_cached();
            let is_half = engine.half_restored().await.unwrap().is_some();
            assert!(is_half || engine.setup_pending().await.unwrap(), "a server would start after {polls} polls");
            (polls, half) = (polls + polls / 4 + 1, half + usize::from(is_half));
        }
        assert!(half > 0, "it was killed in the middle at least once");
        assert_eq!(engine.half_restored().await.unwrap(), None);
        let restored = World { engine, clock: world.clock.clone(), made: world.made.clone(), _databases: other };
        assert_eq!((restored.engine.user(&grace).await.unwrap(), prompt(&restored, &erased).await), (None, None));
        assert_eq!(restored.tables_with("grace@example.com").await, Vec::<String>::new());
        restored.assert_whole().await;
    }

    async fn a_restore_of_one_region_leaves_the_others_in_the_directory(on) {
        let other = on.of_the_other_kind().await;
        let world = world(on).await;
        states(&world).await;
        let here = world.admin().await.workspace;
        let half_made = Workspace { id: random::id(world.clock.now()), name: "Half made".into(), ..here.clone() };
        let mut transaction = world.engine.0.control.begin().await.unwrap();
        workspaces::insert(&mut transaction, &half_made).await.unwrap();
        transaction.commit().await.unwrap();
        let folder = TempDir::new().unwrap();
        let eu = serving(world.engine.config(), "eu", &world.clock).await;
        let manifest = eu.backup(folder.path()).await.unwrap();
        assert_eq!(manifest.databases.keys().collect::<Vec<_>>(), ["cell-eu", "control"]);

        let restored = serving(&config_beside(&world, &other), "eu", &world.clock).await;
        restored.restore(folder.path()).await.unwrap();
        let mine = restored.memberships(&world.made.user_id).await.unwrap();
        assert_eq!(mine.iter().map(|(own, _)| own.name.as_str()).collect::<Vec<_>>(), ["Growth", "States"]);
        assert_eq!(workspaces::of_cell(&restored.0.control, "eu").await.unwrap(), [here], "one had no account yet");
        assert_eq!(restored.check().await.unwrap(), Vec::<String>::new());
    }

    async fn who_left_on_the_server_of_another_region_does_not_come_back(on) {
        let other = on.of_the_other_kind().await;
        let world = world(on).await;
        let states = states(&world).await;
        add_member(&states, "grace@example.com", Role::Viewer).await;
        let members = world.engine.members(&states.admin().await).await.unwrap();
        let grace = members.into_iter().find(|member| member.role == Role::Viewer).unwrap().user_id;
        let settings = AlertSettings { recipients: vec!["grace@example.com".into()], ..AlertSettings::default() };
        world.engine.set_alerts(&world.admin().await, AlertChange { settings, slack_url: None }).await.unwrap();
        let folder = TempDir::new().unwrap();
        let eu = serving(world.engine.config(), "eu", &world.clock).await;
        let us = serving(world.engine.config(), "us", &world.clock).await;
        eu.backup(folder.path()).await.unwrap();
        let origin = Origin::new(us.new_request_id(), None);
        us.delete_account(&grace, "a long enough passphrase", origin).await.unwrap();
        eu.forget_leaving().await.unwrap();
        assert_eq!(world.tables_with("grace@example.com").await, Vec::<String>::new(), "the alerts of the EU too");

        let restored = serving(&config_beside(&world, &other), "eu", &world.clock).await;
        assert!(restored.restore(folder.path()).await.unwrap().erased_again > 0);
        assert_eq!(restored.user(&grace).await.unwrap(), None);
    }

    async fn a_workspace_that_was_deleted_since_stays_deleted(on) {
        let other = on.of_the_other_kind().await;
        let world = world(on).await;
        image(&world, "the secret of the fox", None).await;
        let folder = TempDir::new().unwrap();
        world.engine.backup(folder.path()).await.unwrap();
        world.engine.delete_workspace(&world.admin().await, "Growth").await.unwrap();
        let restored = beside(&world, &other, &world.clock).await;
        assert_eq!(restored.restore(folder.path()).await.unwrap().erased_again, 1);
        assert!(restored.memberships(&world.made.user_id).await.unwrap().is_empty());
        assert!(accounts::is_being_deleted(&restored.0.cells["eu"].db, &world.made.workspace_id).await.unwrap());
        assert_eq!(restored.check().await.unwrap(), Vec::<String>::new());
    }

    async fn what_an_erasure_destroyed_no_backup_opens_even_without_its_marks(on) {
        let world = world(on).await;
        let erased = image(&world, "the secret of the fox", Some("customer-42")).await;
        let filed = file(&world, "erasure", json!({ "subject": "customer-42" })).await;
        let folder = TempDir::new().unwrap();
        let manifest = world.engine.backup(folder.path()).await.unwrap();
        let (node, workspace) = (&world.engine.0.cells["eu"], &world.made.workspace_id);
        let of_subject = node.sealer.subject_scope(workspace, "customer-42");
        let of_request = format!("request:{}", filed.id);
        let mut keys = Vec::new();
        for scope in [of_subject, of_request] {
            keys.push(data_keys::of_scope(&node.db, workspace, &scope).await.unwrap().unwrap().id);
        }
        let kept = async || -> Vec<String> {
            world.engine.kept_keys(node, &manifest.backup_id).await.unwrap().into_iter().map(|key| key.id).collect()
        };
        assert!(contains_all(&kept().await, &keys));
        world.engine.approve_data_request(&world.admin().await, &filed.id, Some("passport")).await.unwrap();
        assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
        let kept = kept().await;
        assert!(keys.iter().all(|key| !kept.contains(key)));
        let done = view(&world, &filed.id).await;
        assert_eq!((done.subject, done.requested_by.as_str(), done.decision.as_deref()), (None, "Grace Hopper", Some("passport")));

        std::fs::remove_dir_all(world.engine.config().data_dir.join("media/eu/erased")).unwrap();
        let other = Databases::sqlite();
        let engine = beside(&world, &other, &world.clock).await;
        engine.restore(folder.path()).await.unwrap();
        let restored = World { engine, clock: world.clock.clone(), made: world.made.clone(), _databases: other };
        assert_eq!(prompt(&restored, &erased).await, None);
        let before = view(&restored, &filed.id).await;
        assert_eq!((before.subject, before.requested_by.as_str()), (None, ""), "who it was about is readable in no backup");
    }

    async fn a_backup_that_is_not_whole_is_refused_before_anything_changes(on) {
        let world = world(on).await;
        image(&world, "a fox", None).await;
        let folder = TempDir::new().unwrap();
        world.engine.backup(folder.path()).await.unwrap();
        let other = Databases::sqlite();
        let engine = beside(&world, &other, &world.clock).await;
        let file = folder.path().join("cell-eu/log_entries.ndjson.gz");
        let whole = std::fs::read(&file).unwrap();
        let rows = std::io::read_to_string(flate2::read::GzDecoder::new(whole.as_slice())).unwrap();
        let mut shorter = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut shorter, rows.lines().next().unwrap().as_bytes()).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for broken in [whole[..whole.len() - 20].to_vec(), shorter.finish().unwrap(), flipped] {
            std::fs::write(&file, broken).unwrap();
            let Err(Error::Conflict(why)) = engine.restore(folder.path()).await else { panic!("it was restored") };
            assert!(why.contains("log_entries") && why.contains("Nothing was restored"), "{why}");
        }
        std::fs::write(&file, &whole).unwrap();
        assert!(engine.restore(folder.path()).await.unwrap().rows > 10, "the databases are still empty");
    }

    async fn what_ended_since_is_readable_in_no_backup(on) {
        let other = on.of_the_other_kind().await;
        let world = world(on).await;
        let deleted = image(&world, "the secret of the fox", None).await;
        image(&world, "long ago", Some("customer-42")).await;
        let folder = TempDir::new().unwrap();
        let manifest = world.engine.backup(folder.path()).await.unwrap();
        let admin = world.admin().await;
        let made = world.engine.generations(&admin, &Default::default(), Page::default()).await.unwrap().items;
        let made = made.iter().find(|made| made.request_id == deleted).unwrap();
        world.engine.delete_generation(&admin, &made.generation_id).await.unwrap();
        let restored = beside(&world, &other, &world.clock).await;
        restored.restore(folder.path()).await.unwrap();
        assert_eq!(restored.prompt(&admin, &deleted).await.unwrap(), None, "deleted by hand");

        let node = &world.engine.0.cells["eu"];
        assert!(!world.engine.kept_keys(node, &manifest.backup_id).await.unwrap().is_empty());
        for time in [33 * DAY, 2 * HOUR] {
            world.clock.advance(time);
            world.engine.purge().await.unwrap();
        }
        let kept = world.engine.kept_keys(node, &manifest.backup_id).await.unwrap_or_default();
        let needed = world.engine.0.cells["eu"].db.clone();
        for key in kept {
            assert!(data_keys::by_id(&needed, &world.made.workspace_id, &key.id).await.unwrap().is_some(), "past its retention");
        }
    }

    async fn a_deleted_workspaces_keys_are_in_no_copy(on) {
        let world = world(on).await;
        image(&world, "the secret of the fox", Some("customer-42")).await;
        let manifest = world.engine.backup(TempDir::new().unwrap().path()).await.unwrap();
        let node = &world.engine.0.cells["eu"];
        assert!(!world.engine.kept_keys(node, &manifest.backup_id).await.unwrap().is_empty());
        world.engine.delete_workspace(&world.admin().await, "Growth").await.unwrap();
        assert_eq!(world.engine.kept_keys(node, &manifest.backup_id).await.unwrap(), Vec::new());
    }

    async fn keys_that_are_destroyed_at_once_all_stay_destroyed(on) {
        let world = world(on).await;
        for n in 0..8 {
            image(&world, "a portrait", Some(&format!("customer-{n}"))).await;
        }
        let manifest = world.engine.backup(TempDir::new().unwrap().path()).await.unwrap();
        let node = world.engine.0.cells["eu"].clone();
        let keys = world.engine.kept_keys(&node, &manifest.backup_id).await.unwrap();
        assert!(keys.len() >= 8);
        let destroyed = keys.into_iter().map(|key| {
            let (engine, node, ids) = (world.engine.clone(), node.clone(), vec![key.id]);
            tokio::spawn(async move { engine.destroy_keys(&node, &ids, data_keys::destroy(&node.db, &ids)).await })
        });
        for destroyed in futures::future::join_all(destroyed).await {
            destroyed.unwrap().unwrap();
        }
        assert_eq!(world.engine.kept_keys(&node, &manifest.backup_id).await.unwrap(), Vec::new());
        assert_eq!(data_keys::after(&node.db, "", 10).await.unwrap(), Vec::new());
    }

    async fn a_rotation_node_by_node_loses_no_key(on) {
        let (old, new) = ("1".repeat(64), "2".repeat(64));
        let world = World::with_config(on, "100", |config| config.security.master_key = Some(old.clone())).await;
        let mut config = world.engine.config().clone();
        config.security.master_key = Some(new);
        let alone = config.clone();
        config.security.previous_master_key = Some(old);
        let restart = async |config: &Config| Engine::open(config.clone(), world.clock.clone()).await;
        let before = image(&world, "before", Some("customer-1")).await;
        let manifest = world.engine.backup(TempDir::new().unwrap().path()).await.unwrap();
        // The first node has the new key, this one still the old one.
        restart(&config).await.unwrap().shutdown().await;
        let between = image(&world, "between", Some("customer-2")).await;
        world.engine.shutdown().await;
        let why = restart(&alone).await.err().expect("keys that only the old one opens").to_string();
        assert!(why.contains("security.previous_master_key"), "{why}");
        restart(&config).await.unwrap().shutdown().await;
        let world = World { engine: restart(&alone).await.unwrap(), ..world };
        for (call, text) in [(before, "before"), (between, "between")] {
            assert_eq!(prompt(&world, &call).await.as_deref(), Some(text));
        }
        let node = &world.engine.0.cells["eu"];
        let kept = world.engine.kept_keys(node, &manifest.backup_id).await.unwrap();
        assert!(!kept.is_empty() && kept.iter().all(|key| key.wrapped_by == node.sealer.master_check()));
    }

    async fn a_backup_of_a_moment_in_full_traffic_is_whole(on) {
        let other = on.of_the_other_kind().await;
        let world = world(on).await;
        let folder = TempDir::new().unwrap();
        let calls = async {
            for n in 0..40 {
                image(&world, &format!("fox {n}"), Some("customer-42")).await;
            }
        };
        let backup = async {
            // Not before the first calls.
            while world.money().await.0 > usd("99.8") {
                tokio::task::yield_now().await;
            }
            world.engine.backup(folder.path()).await.unwrap()
        };
        let (_, manifest) = tokio::join!(calls, backup);
        let backed_up = manifest.databases["cell-eu"]["generations"];
        assert!((4..40).contains(&backed_up), "{backed_up} of 40 calls: it was taken between them");
        let engine = beside(&world, &other, &world.clock).await;
        engine.restore(folder.path()).await.unwrap();
        let restored = World { engine, clock: world.clock.clone(), made: world.made.clone(), _databases: other };
        restored.clock.advance(DAY);
        restored.engine.sweep().await.unwrap();
        restored.assert_whole().await;
        let (balance, reserved) = restored.money().await;
        assert_eq!(reserved, usd("0"));
        let spent = u64::try_from(usd("100").micros() - balance.micros()).unwrap();
        assert_eq!(spent, backed_up * 42_000);
    }

    async fn an_account_goes_but_not_with_the_last_admin(on) {
        let world = world(on).await;
        let origin = || Origin::new(world.engine.new_request_id(), None);
        let (me, password) = (world.made.user_id.clone(), bootstrap("1").password);
        let last = world.engine.delete_account(&me, &password, origin()).await;
        assert!(matches!(last, Err(Error::Conflict(message)) if message.contains("Growth")));
        second_admin(&world).await;
        add_member(&world, "vera@example.com", Role::Viewer).await;
        let members = world.engine.members(&world.admin().await).await.unwrap();
        let vera = members.into_iter().find(|member| member.email == "vera@example.com").unwrap();
        let settings = AlertSettings { recipients: vec!["ada@example.com".into()], ..AlertSettings::default() };
        world.engine.set_alerts(&world.admin().await, AlertChange { settings, slack_url: None }).await.unwrap();
        let wrong = world.engine.delete_account(&me, "wrong", origin()).await;
        assert!(matches!(wrong, Err(Error::Field(fault)) if fault.field == "password"));
        world.engine.delete_account(&me, &password, origin()).await.unwrap();
        assert_eq!(world.engine.user(&me).await.unwrap(), None);
        world.engine.delete_account(&vera.user_id, &password, origin()).await.unwrap();
        for address in ["ada@example.com", "vera@example.com"] {
            assert_eq!(world.tables_with(address).await, Vec::<String>::new());
            assert!(mails(&world).await.iter().all(|mail| !mail.contains(address)));
        }
        let key = world.engine.key_principal(&world.made.api_key).await.unwrap();
        assert_eq!(key, None, "the person's keys end");
        let again = NewPerson { email: "ada@example.com".into(), name: "Ada".into(), password };
        assert_ne!(world.engine.prepare_person(again).await.unwrap().0.id, me);
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn half_a_backup_is_no_backup() {
    let world = world(Databases::sqlite()).await;
    let folder = TempDir::new().unwrap();
    assert!(matches!(world.engine.restore(folder.path()).await, Err(Error::Unavailable(_))));
    std::fs::write(folder.path().join("manifest.json"), "{\"format\": 99}").unwrap();
    assert!(matches!(world.engine.restore(folder.path()).await, Err(Error::Conflict(_))));
}
