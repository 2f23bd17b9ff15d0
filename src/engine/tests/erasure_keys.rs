//! Data keys that several erasures and other calls share: destroyed where a certificate says so, and nobody else loses
//! anything by it, in the databases or by a restore.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::domain::data_requests::State;
use crate::domain::holds::HoldTarget;
use crate::domain::ids::{DataRequestId, GenerationId, RequestId};
use crate::domain::money::Usd;
use crate::domain::policy::Tool;
use crate::domain::region::Region;
use crate::domain::search::Field;
use crate::domain::time::{DAY, HOUR};
use crate::engine::calls::providers::Providers;
use crate::engine::log::reading::{AuditFilter, Page};
use crate::engine::random;
use crate::engine::store::attempts::{self, Attempt};
use crate::engine::store::data_keys;
use crate::engine::store::generations::{self, NewGeneration, SealedPrompt};
use crate::engine::tests::backup::beside_buckets;
use crate::engine::tests::data_requests::{approved, image, prompt, view};
use crate::engine::tests::faults::{Fault, Faulty};
use crate::engine::tests::killed::counts;
use crate::engine::tests::support::{Databases, World, both_engines, caller};

/// Its media is copied into another cell: while that bucket fails, an erasure gets no further than the files.
async fn replicated(on: Databases) -> (World, Faulty, Faulty) {
    let (eu, us) = (Faulty::new(), Faulty::new());
    let world = World::with_buckets(on, "100", &[("eu", &eu), ("us", &us)]).await;
    world.replicate_to(Some(Region::UsEast1)).await;
    (world, eu, us)
}

async fn execute(world: &World) -> usize {
    world.engine.execute_data_requests().await.unwrap()
}

/// Lets an erasure fail that was tried in vain for a day.
async fn give_up(world: &World, id: &DataRequestId) {
    world.clock.advance(DAY + HOUR);
    assert_eq!(execute(world).await, 1);
    assert_eq!(view(world, id).await.state, State::Failed);
}

async fn certificate(world: &World, id: &DataRequestId) -> Value {
    world.engine.data_request_certificate(&world.admin().await, id).await.unwrap()
}

/// The key of a call's prompt and its sealed bytes, as a backup holds them.
async fn sealed(world: &World, request: &RequestId) -> (String, Vec<u8>) {
    let db = &world.engine.0.cells["eu"].db;
    generations::prompt(db, &world.made.workspace_id, request).await.unwrap().unwrap()
}

/// Whether a key is in the table.
async fn is_there(world: &World, key: &str) -> bool {
    let db = &world.engine.0.cells["eu"].db;
    data_keys::by_id(db, &world.made.workspace_id, key).await.unwrap().is_some()
}

/// The calls that stand in the bucket as erased.
async fn marked(world: &World) -> BTreeSet<String> {
    let bucket = &world.engine.0.cells["eu"].bucket;
    let marks: Vec<(String, u64)> = bucket.list("erased").try_collect().await.unwrap();
    let mut calls = BTreeSet::new();
    for (key, _) in marks {
        let mark: Value = serde_json::from_slice(&bucket.read(&key).await.unwrap()).unwrap();
        calls.extend(mark["requests"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
    }
    calls
}

/// What a call writes that was begun long ago: its prompt is sealed, nothing is settled yet.
struct Late {
    made: NewGeneration,
    prompt: SealedPrompt,
}

impl Late {
    async fn begin(world: &World, agent: &str, subject: Option<&str>) -> Self {
        let (now, workspace) = (world.clock.now(), world.made.workspace_id.clone());
        let (id, request): (GenerationId, RequestId) = (random::id(now), random::id(now));
        let sealer = &world.engine.0.cells["eu"].sealer;
        let sealed = sealer.seal_prompt(&workspace, subject, request.as_str(), "a late portrait", now).await;
        let (key_id, sealed) = sealed.unwrap();
        let expires_at = now.plus(30 * DAY);
        let prompt = SealedPrompt {
            request_id: request.clone(),
            workspace_id: workspace.clone(),
            key_id,
            sealed,
            created_at: now,
            expires_at,
        };
        let made = NewGeneration {
            object_key: format!("{workspace}/2026/10/14/{id}.png"),
            id,
            workspace_id: workspace,
            request_id: request,
            user_id: agent.into(),
            tool: "generate_image".into(),
            model: "sketch-image-1".into(),
            cost: Usd::ZERO,
            files: 1,
            content_type: "image/png".into(),
            bytes: 3,
            width: 64,
            height: 64,
            duration_s: None,
            late: false,
            created_at: now,
            expires_at,
            deleted_at: None,
        };
        Self { made, prompt }
    }

    async fn settle(&self, world: &World) {
        let node = &world.engine.0.cells["eu"];
        node.bucket.put(&self.made.object_key, bytes::Bytes::from_static(b"png")).await.unwrap();
        let mut transaction = node.db.begin().await.unwrap();
        generations::insert(&mut transaction, vec![self.made.clone()]).await.unwrap();
        let prompts = vec![self.prompt.clone()];
        generations::insert_prompts(&mut transaction, node.db.dialect, prompts).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// Whether its file and its prompt are there after a purge.
    async fn left(&self, world: &World) -> (bool, bool) {
        world.engine.purge().await.unwrap();
        let node = &world.engine.0.cells["eu"];
        let prompt = generations::prompt(&node.db, &world.made.workspace_id, &self.made.request_id).await;
        (node.bucket.read(&self.made.object_key).await.is_ok(), prompt.unwrap().is_some())
    }
}

/// The hash of a call's prompt.
async fn hash(world: &World, request: &RequestId) -> String {
    let filter = AuditFilter::of(Field::Request, request.to_string());
    let rows = world.engine.audit(&world.admin().await, &filter, Page::default()).await.unwrap().items;
    rows[0].entry.prompt_hash.clone().unwrap()
}

/// A refused call with this prompt.
async fn refused(world: &World, agent: &str, hash: &str) -> RequestId {
    let now = world.clock.now();
    let request: RequestId = random::id(now);
    let attempt = Attempt {
        workspace_id: world.made.workspace_id.clone(),
        user_id: agent.into(),
        tool: "generate_image".into(),
        model: None,
        code: "cap_exceeded".into(),
        message: "The cap is reached. Nothing was charged.".into(),
        prompt_hash: Some(hash.into()),
        request_id: request.clone(),
        failed: false,
        at: now,
    };
    let mut transaction = world.engine.0.cells["eu"].db.begin().await.unwrap();
    attempts::fold(&mut transaction, vec![attempt]).await.unwrap();
    transaction.commit().await.unwrap();
    request
}

async fn is_kept(world: &World, attempt: &RequestId) -> bool {
    world.engine.attempt(&world.admin().await, attempt).await.unwrap().is_some()
}

both_engines! {
    async fn a_key_that_a_failed_erasure_took_out_of_use_is_destroyed_by_the_next(on) {
        let (world, _, us) = replicated(on).await;
        let hers = image(&world, "a portrait", Some("customer-42")).await;
        image(&world, "a fox", None).await;
        world.engine.replicate().await.unwrap();
        let (key, bytes) = sealed(&world, &hers).await;
        let manifest = world.engine.backup(TempDir::new().unwrap().path()).await.unwrap();
        let first = approved(&world, "erasure", json!({ "user_id": "agent.growth-bot" })).await;
        us.fail_after(0);
        assert_eq!(execute(&world).await, 0);
        give_up(&world, &first).await;
        us.mend();

        let second = approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        assert_eq!(execute(&world).await, 1);
        assert_eq!(view(&world, &second).await.state, State::Done);
        let signed = certificate(&world, &second).await;
        assert_eq!(counts(&signed), [1, 1, 1, 0, 1]);
        assert_eq!(signed["deleted"][0]["method"], "rows deleted, data keys destroyed");
        assert!(signed["backups"]["why"].as_str().unwrap().contains("those of what was erased are destroyed"));
        let node = &world.engine.0.cells["eu"];
        let opened = node.sealer.open_prompt(&world.made.workspace_id, &key, hers.as_str(), &bytes).await.unwrap();
        let kept = world.engine.kept_keys(node, &manifest.backup_id).await.unwrap();
        assert_eq!((opened, kept.iter().any(|kept| kept.id == key)), (None, false), "no backup opens it");

        world.engine.retry_data_request(&world.admin().await, &first).await.unwrap();
        assert_eq!(execute(&world).await, 1);
        assert_eq!(counts(&certificate(&world, &first).await), [1, 1, 1, 0, 1], "the fox, and the day's key");
        world.assert_reconciled().await;
    }

    async fn the_key_of_a_prompt_that_another_erasure_deleted_is_destroyed_too(on) {
        let eu = Faulty::new();
        let world = World::with_buckets(on, "100", &[("eu", &eu)]).await;
        let hers = image(&world, "a portrait", Some("customer-42")).await;
        let fox = image(&world, "a fox", None).await;
        let (hers_key, day_key) = (sealed(&world, &hers).await.0, sealed(&world, &fox).await.0);
        let first = approved(&world, "erasure", json!({ "user_id": "agent.growth-bot" })).await;
        eu.fail_with(Fault::ReadOnly);
        for step in 1.. {
            eu.fail_after(step);
            assert_eq!(execute(&world).await, 0, "at step {step}");
            if prompt(&world, &hers).await.is_none() {
                break;
            }
        }
        eu.fail_after(0);
        give_up(&world, &first).await;
        assert!(is_there(&world, &hers_key).await && is_there(&world, &day_key).await, "its rows went, no key did");
        eu.mend();

        let second = approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        assert_eq!(execute(&world).await, 1);
        assert_eq!(view(&world, &second).await.state, State::Done);
        assert_eq!(counts(&certificate(&world, &second).await), [0, 0, 0, 0, 1]);
        assert!(!is_there(&world, &hers_key).await && is_there(&world, &day_key).await);
        let third = approved(&world, "erasure", json!({ "request_ids": [fox] })).await;
        assert_eq!(execute(&world).await, 1);
        assert_eq!(counts(&certificate(&world, &third).await), [0, 0, 0, 0, 1]);
        assert!(!is_there(&world, &day_key).await);
        world.engine.retry_data_request(&world.admin().await, &first).await.unwrap();
        assert_eq!(execute(&world).await, 1);
        let signed = certificate(&world, &first).await;
        assert_eq!(signed["deleted"][0]["method"], "rows deleted, none of their data keys is left");
        world.assert_reconciled().await;
    }

    async fn an_erasure_is_tried_again_although_its_subject_came_back(on) {
        let (world, _, us) = replicated(on).await;
        image(&world, "a portrait", Some("customer-42")).await;
        world.engine.replicate().await.unwrap();
        let id = approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        us.fail_after(0);
        assert_eq!(execute(&world).await, 0);
        give_up(&world, &id).await;
        us.mend();
        image(&world, "a second portrait", Some("customer-42")).await;
        world.engine.retry_data_request(&world.admin().await, &id).await.unwrap();
        assert_eq!(execute(&world).await, 1);
        assert_eq!(view(&world, &id).await.state, State::Done);
        assert_eq!(counts(&certificate(&world, &id).await), [2, 2, 1, 0, 2]);
        world.assert_reconciled().await;
    }

    async fn a_certificate_says_nothing_of_keys_that_it_did_not_destroy(on) {
        let world = World::with_money(on, "100").await;
        image(&world, "a portrait", Some("customer-42")).await;
        let nobody = approved(&world, "erasure", json!({ "subject": "nobody" })).await;
        let copy = approved(&world, "access", json!({ "subject": "customer-42" })).await;
        assert_eq!(execute(&world).await, 2);
        let signed = certificate(&world, &nobody).await;
        assert_eq!(signed["deleted"][0]["method"], "rows deleted, none of their data keys is left");
        assert!(signed["backups"]["why"].as_str().unwrap().contains("none of what was erased is left"));
        let signed = certificate(&world, &copy).await;
        assert_eq!((&signed["backups"]["readable"], &signed["backups"]["readable_until"]), (&json!(true), &Value::Null));
        assert!(signed["backups"]["why"].as_str().unwrap().starts_with("nothing was erased"));
    }

    async fn calls_of_another_node_lose_nothing_while_an_erasure_destroys_their_key(on) {
        let eu = Faulty::new();
        let world = World::with_buckets(on, "100", &[("eu", &eu)]).await;
        let mut other = world._databases.node(&world.clock, Providers::default()).await;
        eu.replace(&mut other, "eu");
        let call = async |prompt: &str| -> RequestId {
            let (caller, id) = (caller(&other, &world.made).await, other.new_request_id());
            let arguments = json!({ "prompt": prompt, "width": 64, "height": 64 });
            other.call_tool(&caller, Tool::GenerateImage, arguments, id.clone()).await.unwrap();
            id
        };
        let erased = image(&world, "the secret of the fox", None).await;
        let before = call("a harmless cat").await;
        let key = sealed(&world, &erased).await.0;
        approved(&world, "erasure", json!({ "prompt_text": "the secret of the fox" })).await;
        let (engine, closed) = (world.engine.clone(), eu.gate.lock().await);
        let erasure = tokio::spawn(async move { engine.execute_data_requests().await.unwrap() });
        eu.reached.notified().await;
        let meanwhile = call("a harmless dog").await;
        assert_eq!(sealed(&world, &meanwhile).await.0, key, "with the key that this node still holds");
        drop(closed);
        assert_eq!(erasure.await.unwrap(), 1);
        // The other node never looked for changes.
        let after = call("a harmless hen").await;

        assert!(!is_there(&world, &key).await);
        assert_eq!((prompt(&world, &erased).await, world.engine.purge().await.unwrap().generations), (None, 0));
        for (request, text) in [(before, "a harmless cat"), (meanwhile, "a harmless dog"), (after, "a harmless hen")] {
            assert_eq!(prompt(&world, &request).await.as_deref(), Some(text));
        }
        world.assert_reconciled().await;
        other.shutdown().await;
    }

    async fn a_result_that_comes_under_a_destroyed_key_stays_but_for_that_of_an_erased_subject(on) {
        let world = World::with_money(on, "100").await;
        image(&world, "the secret of the fox", None).await;
        for subject in ["customer-42", "customer-43"] {
            image(&world, "a portrait", Some(subject)).await;
        }
        let late = [
            (Late::begin(&world, "agent.growth-bot", None).await, true),
            (Late::begin(&world, "agent.growth-bot", Some("customer-42")).await, false),
            (Late::begin(&world, "agent.growth-bot", Some("customer-43")).await, false),
            (Late::begin(&world, "agent.another-bot", Some("customer-43")).await, true),
        ];
        for matching in [
            json!({ "prompt_text": "the secret of the fox" }),
            json!({ "subject": "customer-42" }),
            json!({ "subject": "customer-43", "user_id": "agent.growth-bot" }),
        ] {
            approved(&world, "erasure", matching).await;
        }
        assert_eq!(execute(&world).await, 3);
        for (call, stays) in &late {
            call.settle(&world).await;
            assert_eq!(call.left(&world).await, (*stays, false), "{:?}", call.made);
        }
    }

    async fn a_prompt_under_a_key_that_is_destroyed_goes_alone(on) {
        let world = World::with_money(on, "100").await;
        let call = Late::begin(&world, "agent.growth-bot", Some("customer-42")).await;
        call.settle(&world).await;
        data_keys::destroy(&world.engine.0.cells["eu"].db, std::slice::from_ref(&call.prompt.key_id)).await.unwrap();
        assert_eq!(call.left(&world).await, (true, false));
    }

    async fn what_a_call_of_a_deleted_workspace_makes_goes(on) {
        let world = World::with_money(on, "100").await;
        let call = Late::begin(&world, "agent.growth-bot", None).await;
        world.engine.delete_workspace(&world.admin().await, "Growth").await.unwrap();
        call.settle(&world).await;
        assert_eq!(call.left(&world).await, (false, false));
    }

    async fn an_erasure_leaves_refused_calls_that_a_hold_keeps(on) {
        let world = World::with_money(on, "100").await;
        let admin = world.admin().await;
        let fox = hash(&world, &image(&world, "a fox", None).await).await;
        let (own, held) = (refused(&world, "agent.growth-bot", &fox).await, refused(&world, "agent.another-bot", &fox).await);
        world.engine.place_hold(&admin, HoldTarget::Agent("agent.another-bot".into()), "case 7").await.unwrap();
        let id = approved(&world, "erasure", json!({ "user_id": "agent.growth-bot" })).await;
        assert_eq!(execute(&world).await, 1);
        assert_eq!((is_kept(&world, &own).await, is_kept(&world, &held).await), (false, true));
        assert_eq!(counts(&certificate(&world, &id).await), [1, 1, 0, 1, 1]);

        let hers = image(&world, "a portrait", Some("customer-42")).await;
        let his = image(&world, "a portrait", Some("customer-43")).await;
        let either = refused(&world, "agent.growth-bot", &hash(&world, &hers).await).await;
        let hold = world.engine.place_hold(&admin, HoldTarget::Subject("customer-42".into()), "case 8").await.unwrap();
        let id = approved(&world, "erasure", json!({ "request_ids": [his] })).await;
        assert_eq!(execute(&world).await, 1);
        assert_eq!((view(&world, &id).await.state, is_kept(&world, &either).await), (State::Done, true));
        world.engine.lift_hold(&admin, &hold.id, None).await.unwrap();
        approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        assert_eq!(execute(&world).await, 1);
        assert!(!is_kept(&world, &either).await);
    }

    async fn what_a_failed_erasure_left_a_restore_brings_back(on) {
        let other = on.of_the_other_kind().await;
        let (world, eu, us) = replicated(on).await;
        let hers = image(&world, "a portrait", Some("customer-42")).await;
        let fox = image(&world, "a fox", None).await;
        world.engine.replicate().await.unwrap();
        let folder = TempDir::new().unwrap();
        world.engine.backup(folder.path()).await.unwrap();
        let id = approved(&world, "erasure", json!({ "user_id": "agent.growth-bot" })).await;
        us.fail_after(0);
        assert_eq!(execute(&world).await, 0);
        assert_eq!(marked(&world).await.len(), 2, "before anything goes");
        give_up(&world, &id).await;
        assert_eq!(marked(&world).await, BTreeSet::new());
        us.mend();
        let engine = beside_buckets(&world, &other, [("eu", &eu), ("us", &us)]).await;
        engine.restore(folder.path()).await.unwrap();
        let restored = World { engine, clock: world.clock.clone(), made: world.made.clone(), _databases: other };
        for (request, text) in [(&hers, "a portrait"), (&fox, "a fox")] {
            assert_eq!(prompt(&restored, request).await.as_deref(), Some(text));
        }
    }

    async fn an_erasure_that_ends_in_part_leaves_no_mark_of_what_a_hold_keeps(on) {
        let (world, _, us) = replicated(on).await;
        let hers = image(&world, "a portrait", Some("customer-42")).await;
        let fox = image(&world, "a fox", None).await;
        world.engine.replicate().await.unwrap();
        let admin = world.admin().await;
        let whole = approved(&world, "erasure", json!({ "user_id": "agent.growth-bot" })).await;
        us.fail_after(0);
        assert_eq!(execute(&world).await, 0);
        let hold = world.engine.place_hold(&admin, HoldTarget::Subject("customer-42".into()), "case 7").await.unwrap();
        us.mend();
        assert_eq!(execute(&world).await, 1);
        assert_eq!((view(&world, &whole).await.state, marked(&world).await), (State::Partial, BTreeSet::from([fox.to_string()])));
        assert_eq!(prompt(&world, &hers).await.as_deref(), Some("a portrait"));

        world.engine.lift_hold(&admin, &hold.id, None).await.unwrap();
        let own = approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
        us.fail_after(0);
        assert_eq!(execute(&world).await, 0);
        assert!(marked(&world).await.contains(hers.as_str()));
        world.engine.place_hold(&admin, HoldTarget::Subject("customer-42".into()), "case 8").await.unwrap();
        assert_eq!(execute(&world).await, 1);
        assert_eq!((view(&world, &own).await.state, marked(&world).await), (State::BlockedByHold, BTreeSet::from([fox.to_string()])));
    }
}
