//! What goes when its time has come, what a hold keeps, and what a failing bucket leaves behind: nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::domain::holds::HoldTarget;
use crate::domain::ids::GenerationId;
use crate::domain::policy::Tool;
use crate::domain::region::Region;
use crate::domain::retention::Retention;
use crate::domain::time::{DAY, HOUR, MINUTE};
use crate::engine::access::settings::SettingsChange;
use crate::engine::calls::gateway::CallError;
use crate::engine::calls::providers::{
    Act, Job, JobId, Output, Poll, Provider, ProviderError, Providers, Scripted, Submitted,
};
use crate::engine::data::purge::{PURGE, PurgeReport};
use crate::engine::data::reconcile::ReconcileReport;
use crate::engine::error::Error;
use crate::engine::log::reading::{AuditFilter, GenerationFilter, GenerationView, Page};
use crate::engine::log::signing;
use crate::engine::random;
use crate::engine::store::{dump, retention};
use crate::engine::tests::faults::Faulty;
use crate::engine::tests::support::{Databases, START, World, both_engines, usd};

fn small(prompt: &str) -> Value {
    json!({ "prompt": prompt, "width": 64, "height": 64 })
}

async fn shown(world: &World) -> Vec<GenerationView> {
    let all = GenerationFilter::default();
    world.engine.generations(&world.admin().await, &all, Page::default()).await.unwrap().items
}

async fn faulty_world(on: Databases) -> (World, Faulty) {
    let faulty = Faulty::new();
    let world = World::with_buckets(on, "100", &[("eu", &faulty)]).await;
    (world, faulty)
}

type Running = JoinHandle<Result<Value, CallError>>;

/// A call that the provider works on for a while.
async fn running_call(on: Databases) -> (World, Running) {
    let scripted = Arc::new(Scripted::new([Act::Pend { polls: 4 }]));
    let world = World::scripted(on, "1", &scripted).await;
    let (engine, caller) = (world.engine.clone(), world.caller().await);
    let call = tokio::spawn(async move {
        let id = engine.new_request_id();
        engine.call_tool(&caller, Tool::GenerateImage, small("a fox"), id).await
    });
    while scripted.submits().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (world, call)
}

/// Answers with a PNG and a JPEG.
struct Mixed;

#[async_trait::async_trait]
impl Provider for Mixed {
    async fn submit(&self, _: &Job, _: &str) -> Result<Submitted, ProviderError> {
        let files = [b"\x89PNG\r\n\x1a\n".as_slice(), b"\xff\xd8\xff\xe0".as_slice()];
        files
            .map(|file| Output::new(bytes::Bytes::from_static(file)))
            .into_iter()
            .collect::<Result<_, _>>()
            .map(Submitted::Done)
    }

    async fn poll(&self, _: &JobId) -> Result<Poll, ProviderError> {
        Err(ProviderError::Timeout)
    }

    async fn cancel(&self, _: &JobId) -> Result<(), ProviderError> {
        Ok(())
    }
}

both_engines! {
    async fn media_and_prompts_go_at_their_end_and_the_log_stays(on) {
        let (world, faulty) = faulty_world(on).await;
        let made = world.image(small("a fox")).await.unwrap();
        world.clock.advance(29 * DAY);
        assert_eq!(world.engine.purge().await.unwrap().generations, 0);
        world.clock.advance(2 * DAY);
        let report = world.engine.purge().await.unwrap();
        assert_eq!((report.generations, report.failed, report.keys), (1, 0, 1));
        assert_eq!(faulty.keys().await, Vec::<String>::new());
        let request = made["request_id"].as_str().unwrap().parse().unwrap();
        assert_eq!(world.engine.prompt(&world.admin().await, &request).await.unwrap(), None);
        assert!(shown(&world).await[0].deleted_at.is_some());
        let last = world.engine.retention(&world.admin().await).await.unwrap().last_purge.unwrap();
        assert_eq!((last.report.unwrap().purged.generations, last.ended_at.is_some()), (1, true));
        world.assert_reconciled().await;
    }

    async fn a_shortened_retention_says_what_goes_and_does_it_within_the_hour(on) {
        let (world, faulty) = faulty_world(on).await;
        world.image(small("a fox")).await.unwrap();
        world.clock.advance(5 * DAY);
        world.image(small("a cat")).await.unwrap();
        let admin = world.admin().await;
        let preview = world.engine.preview_retention(&admin, Some(2), None).await.unwrap();
        assert_eq!((preview.media.generations, preview.media.files), (1, 1));
        assert!(preview.gone_by <= world.clock.now().plus(HOUR));
        assert_eq!(world.engine.periods(&admin).await.unwrap(), Retention::default(), "looking changes nothing");
        world.engine.set_retention(&admin, Some(2), None).await.unwrap();
        assert_eq!(world.engine.purge().await.unwrap().generations, 1);
        assert_eq!(faulty.keys().await.len(), 2, "the cat and its thumbnail");
        world.clock.advance(DAY + 23 * HOUR);
        assert_eq!(world.engine.purge().await.unwrap().generations, 0);
        world.clock.advance(HOUR + MINUTE);
        assert_eq!(world.engine.purge().await.unwrap().generations, 1);
        world.assert_reconciled().await;
    }

    async fn a_retention_shortened_during_a_purge_is_followed_by_it(on) {
        let (world, faulty) = faulty_world(on).await;
        world.image(small("a fox")).await.unwrap();
        world.clock.advance(26 * DAY);
        world.image(small("a cat")).await.unwrap();
        world.clock.advance(5 * DAY);
        let closed = faulty.gate.lock().await;
        let engine = world.engine.clone();
        let purge = tokio::spawn(async move { engine.purge().await.unwrap() });
        faulty.reached.notified().await;
        world.engine.set_retention(&world.admin().await, Some(2), None).await.unwrap();
        drop(closed);
        assert_eq!(purge.await.unwrap().generations, 2);
        world.assert_reconciled().await;
    }

    async fn a_call_follows_the_retention_in_force_when_it_settles(on) {
        let (world, call) = running_call(on).await;
        world.engine.set_retention(&world.admin().await, Some(2), None).await.unwrap();
        world.engine.purge().await.unwrap();
        call.await.unwrap().unwrap();
        let made = shown(&world).await.pop().unwrap();
        assert_eq!(made.expires_at, made.ts.plus(2 * DAY));
        world.clock.advance(2 * DAY);
        assert_eq!(world.engine.purge().await.unwrap().generations, 1);
        world.assert_reconciled().await;
    }

    async fn a_call_that_outlives_its_workspace_leaves_nothing(on) {
        let (world, call) = running_call(on).await;
        world.engine.delete_workspace(&world.admin().await, "Growth").await.unwrap();
        call.await.unwrap().unwrap();
        assert_eq!(world.engine.purge().await.unwrap().generations, 1);
        let node = &world.engine.0.cells["eu"];
        let files = node.bucket.list(world.made.workspace_id.as_str());
        let files: Vec<(String, u64)> = futures::TryStreamExt::try_collect(files).await.unwrap();
        assert_eq!(files, Vec::new());
        let (mut on, mut prompts) = (dump::moment(&node.db).await.unwrap(), Vec::new());
        assert_eq!(dump::write(&mut on, "prompts", &mut prompts).await.unwrap(), 0);
        drop(on);
        world.assert_whole().await;
    }

    async fn files_stand_by_workspace_day_and_generation(on) {
        let (world, faulty) = faulty_world(on).await;
        let made = world.image(small("a fox")).await.unwrap();
        let id = made["generation_id"].as_str().unwrap();
        let day = world.clock.now().date().strftime("%Y/%m/%d").to_string();
        let stem = format!("{}/{day}/{id}", world.made.workspace_id);
        assert_eq!(faulty.keys().await, [format!("{stem}.png"), format!("{stem}.thumb.png")]);
        let video = world.call(Tool::GenerateVideo, json!({ "prompt": "waves", "width": 64, "height": 64, "duration_s": 1 }));
        let id = video.await.unwrap()["generation_id"].as_str().unwrap().to_owned();
        let moving = format!("{}/{day}/{id}.apng", world.made.workspace_id);
        assert!(faulty.keys().await.contains(&moving), "a moving PNG says so");
    }

    async fn files_of_different_types_are_a_failure_and_cost_nothing(on) {
        let providers = Providers::default().with("local", Arc::new(Mixed), Duration::from_secs(5));
        let world = World::new(on, "1", providers).await;
        let failed = world.image(json!({ "prompt": "a fox", "width": 64, "height": 64, "count": 2 })).await.unwrap_err();
        assert_eq!(failed.code, "provider_failed");
        assert!(failed.message.contains("different types") && failed.message.contains("Nothing was charged"), "{failed:?}");
        assert_eq!(world.money().await, (usd("1"), usd("0")));
        world.assert_whole().await;
    }

    async fn a_hold_keeps_what_it_names_until_it_is_lifted(on) {
        let (world, _) = faulty_world(on).await;
        let mut of_subject = small("a portrait");
        of_subject["subject"] = json!("customer-42");
        world.image(of_subject).await.unwrap();
        world.image(small("a fox")).await.unwrap();
        let admin = world.admin().await;
        let target = HoldTarget::Subject("customer-42".into());
        let hold = world.engine.place_hold(&admin, target, "case 7").await.unwrap();
        assert!(!hold.target.clone().unwrap().contains("customer-42"), "no table names a subject");
        world.clock.advance(31 * DAY);
        let report = world.engine.purge().await.unwrap();
        assert_eq!((report.generations, report.held), (1, 1));
        let seen = shown(&world).await;
        let kept = seen.iter().find(|made| made.held).expect("what is held is shown as such");
        assert_eq!((kept.deleted_at, kept.result_urls.len(), kept.thumbnail_url.is_some()), (None, 1, true));
        assert!(seen.iter().all(|made| made.held != made.deleted_at.is_some()));
        let agent = world.engine.place_hold(&admin, HoldTarget::Agent("agent.growth-bot".into()), "case 8").await.unwrap();
        world.engine.lift_hold(&admin, &hold.id, None).await.unwrap();
        assert_eq!(world.engine.purge().await.unwrap().held, 1);
        assert!(world.engine.delete_workspace(&world.admin().await, "Growth").await.is_err());
        world.engine.lift_hold(&admin, &agent.id, None).await.unwrap();
        assert_eq!(world.engine.lift_hold(&admin, &agent.id, None).await.unwrap_err(), Error::NotFound);
        assert_eq!(world.engine.purge().await.unwrap().generations, 1);
        world.assert_reconciled().await;
    }

    async fn a_workspace_whose_files_stay_can_be_deleted_again(on) {
        let (world, faulty) = faulty_world(on).await;
        world.image(small("a fox")).await.unwrap();
        faulty.fail_after(1);
        let admin = world.admin().await;
        let failed = world.engine.delete_workspace(&admin, "Growth").await.unwrap_err();
        assert!(matches!(&failed, Error::Unavailable(message) if message.contains("Delete it again")), "{failed:?}");
        assert!(world.image(small("a cat")).await.is_err(), "its calls have ended");
        faulty.mend();
        world.engine.delete_workspace(&world.admin().await, "Growth").await.unwrap();
        let left = faulty.keys().await;
        assert!(left.iter().all(|key| key.contains("workspaces")), "only the mark: {left:?}");
    }

    async fn rows_and_files_are_compared_once_a_day_however_often_a_node_starts(on) {
        let (world, faulty) = faulty_world(on).await;
        assert!(world.engine.reconcile_where_due().await.unwrap().is_clean());
        world.image(small("a fox")).await.unwrap();
        world.clock.advance(23 * HOUR);
        faulty.lose_all().await;
        assert!(world.engine.reconcile_where_due().await.unwrap().is_clean(), "not yet");
        world.clock.advance(HOUR);
        assert_eq!(world.engine.reconcile_where_due().await.unwrap().not_mended, 1);
    }

    async fn a_down_storage_is_not_asked_for_hundreds_of_files(on) {
        let (world, faulty) = faulty_world(on).await;
        for n in 0..120 {
            world.image(small(&format!("fox {n}"))).await.unwrap();
        }
        world.clock.advance(31 * DAY);
        let before = faulty.asked();
        faulty.fail_after(0);
        let report = world.engine.purge().await.unwrap();
        assert_eq!((report.generations, report.failed), (0, 25));
        // One batch, not five: its files together, then three pictures with their thumbnails; then whether it answers at all.
        assert_eq!(faulty.asked() - before, 25 * 2 + 3 * 2 + 1);
        faulty.mend();
        assert_eq!(world.engine.purge().await.unwrap().generations, 120);
        world.assert_reconciled().await;
    }

    async fn a_hold_that_was_placed_before_its_turn_keeps_what_was_due(on) {
        let (world, _) = faulty_world(on).await;
        world.image(small("a fox")).await.unwrap();
        world.clock.advance(31 * DAY);
        let (node, now) = (&world.engine.0.cells["eu"], world.clock.now());
        let start = (retention::START.0, retention::START.1.to_owned());
        let due = retention::due(&node.db, now, &start, 10).await.unwrap();
        assert_eq!(due.len(), 1);
        let hold = world.engine.place_hold(&world.admin().await, HoldTarget::Workspace, "case 7").await.unwrap();
        assert_eq!(retention::claim(&node.db, due.clone(), now).await.unwrap().len(), 0);
        let held = retention::due(&node.db, now, &start, 10).await.unwrap();
        assert_eq!(held.len(), 0);
        let id = shown(&world).await[0].generation_id.clone();
        let refused = world.engine.delete_generation(&world.admin().await, &id).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused:?}");
        world.engine.lift_hold(&world.admin().await, &hold.id, None).await.unwrap();
        assert_eq!(retention::claim(&node.db, due, now).await.unwrap().len(), 1);
        assert_eq!(world.engine.purge().await.unwrap().generations, 1, "what was claimed by one that died");
        world.assert_reconciled().await;
    }

    async fn a_storage_that_is_down_is_not_asked_for_each_file(on) {
        let (world, faulty) = faulty_world(on).await;
        for n in 0..10 {
            world.image(small(&format!("fox {n}"))).await.unwrap();
        }
        world.clock.advance(31 * DAY);
        let before = faulty.asked();
        faulty.fail_after(0);
        let report = world.engine.purge().await.unwrap();
        assert_eq!((report.generations, report.failed), (0, 10));
        // All 20 files together, then three pictures with their thumbnails; then whether it answers at all.
        assert_eq!(faulty.asked() - before, 20 + 3 * 2 + 1);
        faulty.mend();
        assert_eq!(world.engine.purge().await.unwrap().generations, 10);
    }

    async fn another_node_leaves_a_purge_alone_and_takes_a_dead_ones_over(on) {
        let (world, _) = faulty_world(on).await;
        world.image(small("a fox")).await.unwrap();
        world.clock.advance(31 * DAY);
        let node = &world.engine.0.cells["eu"];
        let dead = world.engine.lease(node, PURGE).await.unwrap().unwrap();
        assert_eq!(world.engine.purge().await.unwrap(), PurgeReport::default());
        world.clock.advance(3 * MINUTE);
        assert_eq!(world.engine.purge().await.unwrap().generations, 1);
        assert!(!dead.renew().await.unwrap(), "who lost the lease stops");
    }

    async fn the_reconciler_mends_both_ways(on) {
        let (world, _) = faulty_world(on).await;
        let lost = world.image(small("lost")).await.unwrap();
        world.image(small("kept")).await.unwrap();
        let node = &world.engine.0.cells["eu"];
        let lost = lost["generation_id"].as_str().unwrap().to_owned();
        let keys = node.bucket.list(world.made.workspace_id.as_str());
        let keys: Vec<_> = futures::TryStreamExt::try_collect(keys).await.unwrap();
        let file = keys.iter().find(|(key, _)| key.contains(&format!("{lost}.png"))).unwrap().0.clone();
        node.bucket.delete(vec![file.clone()]).await.unwrap();
        // As a node leaves it that dies between storing and settling.
        let orphan = file.replace(&lost, random::id::<GenerationId>(START).as_str());
        node.bucket.put(&orphan, bytes::Bytes::from_static(b"png")).await.unwrap();
        assert!(world.engine.reconcile().await.unwrap().is_clean(), "a call may still run");
        world.clock.advance(3 * HOUR);
        let report = world.engine.reconcile().await.unwrap();
        assert_eq!((report.files_without_row, report.rows_without_files, report.not_mended), (1, 1, 0));
        assert!(shown(&world).await.iter().any(|row| row.deleted_at.is_some()));
        world.assert_reconciled().await;
    }

    async fn the_reconciler_takes_nothing_away_that_may_be_wanted(on) {
        let (world, faulty) = faulty_world(on).await;
        let four = world.image(json!({ "prompt": "four", "width": 64, "height": 64, "count": 4 })).await.unwrap();
        let lost = world.image(small("lost")).await.unwrap();
        let admin = world.admin().await;
        let hold = world.engine.place_hold(&admin, HoldTarget::Workspace, "case 7").await.unwrap();
        world.clock.advance(3 * HOUR);
        let of = |made: &Value| made["generation_id"].as_str().unwrap().to_owned();
        faulty.lose(&format!("{}-3.png", of(&four))).await;
        faulty.lose(&format!("{}.png", of(&lost))).await;
        let found = ReconcileReport { not_mended: 2, ..ReconcileReport::default() };
        assert_eq!(world.engine.reconcile().await.unwrap(), found, "held, and one of four");
        world.engine.lift_hold(&admin, &hold.id, None).await.unwrap();
        let report = world.engine.reconcile().await.unwrap();
        assert_eq!((report.rows_without_files, report.not_mended), (1, 1));
        let three = faulty.keys().await.into_iter().filter(|key| key.contains(&of(&four)) && !key.contains("thumb")).count();
        assert_eq!(three, 3, "the others stay");
        assert!(shown(&world).await.iter().all(|row| row.deleted_at.is_some() == (row.generation_id.as_str() == of(&lost))));
        world.assert_whole().await;
    }

    async fn what_is_lost_comes_back_from_its_copy_and_a_lost_copy_from_its_source(on) {
        let (eu, us) = (Faulty::new(), Faulty::new());
        let world = World::with_buckets(on, "100", &[("eu", &eu), ("us", &us)]).await;
        for n in 0..3 {
            world.image(small(&format!("fox {n}"))).await.unwrap();
        }
        let change = SettingsChange { replicate_to: Some(Some(Region::UsEast1)), ..SettingsChange::default() };
        world.engine.set_settings(&world.admin().await, change).await.unwrap();
        world.engine.replicate().await.unwrap();
        world.clock.advance(3 * HOUR);
        let (here, there) = (eu.keys().await, us.keys().await);
        eu.lose_all().await;
        let report = world.engine.reconcile().await.unwrap();
        assert_eq!(report, ReconcileReport { copied_back: 3, ..ReconcileReport::default() });
        assert_eq!(eu.keys().await, here);
        us.lose_all().await;
        let report = world.engine.reconcile().await.unwrap();
        assert_eq!(report, ReconcileReport { rows_without_copies: 3, ..ReconcileReport::default() });
        world.engine.replicate().await.unwrap();
        assert_eq!(us.keys().await, there);

        // As an older version left it, whose replication came between the files and the row.
        let (db, start) = (&world.engine.0.cells["eu"].db, (i64::MIN, String::new()));
        let gone = retention::due(db, world.clock.now().plus(31 * DAY), &start, 1).await.unwrap();
        retention::remove_content(db, &gone, world.clock.now()).await.unwrap();
        let report = world.engine.reconcile().await.unwrap();
        assert_eq!((report.copies_without_row, report.files_without_row), (1, 2));
        assert_eq!(us.keys().await.len(), 4);
        world.assert_reconciled().await;
    }

    async fn the_log_goes_by_months_and_verifies_from_its_checkpoint(on) {
        let (world, _) = faulty_world(on).await;
        let admin = world.admin().await;
        world.engine.set_retention(&admin, None, Some(365)).await.unwrap();
        for month in 0..3 {
            world.image(small(&format!("fox {month}"))).await.unwrap();
            world.clock.advance(31 * DAY);
        }
        world.engine.make_checkpoints().await.unwrap();
        let rows = |world: &World| {
            let (engine, admin) = (world.engine.clone(), admin.clone());
            async move { engine.audit(&admin, &AuditFilter::default(), Page::default()).await.unwrap().items }
        };
        let before = rows(&world).await.len();
        world.clock.advance(365 * DAY - 62 * DAY);
        let report = world.engine.purge().await.unwrap();
        let after = rows(&world).await;
        assert!(report.log_rows > 0 && after.len() < before, "{report:?}");
        assert_eq!(before - after.len(), report.log_rows as usize);
        let floor = after.last().unwrap();
        let checkpoints = world.engine.checkpoints(&admin, Page::default()).await.unwrap().items;
        let keys = world.engine.public_keys().await.unwrap();
        for signed in &checkpoints {
            signing::verify(signed, Some(&keys)).unwrap();
        }
        assert!(checkpoints.iter().any(|signed| signed["last_seq"] == floor.seq - 1 && signed["head_hash"] == floor.prev_hash));
        assert_eq!(world.engine.purge().await.unwrap().log_rows, 0);
        world.assert_whole().await;
    }

    async fn attempts_go_after_ninety_days(on) {
        let world = World::with_money(on, "0.01").await;
        world.image(small("a fox")).await.unwrap_err();
        world.clock.advance(89 * DAY);
        assert_eq!(world.engine.purge().await.unwrap().attempts, 0);
        world.clock.advance(2 * DAY);
        assert_eq!(world.engine.purge().await.unwrap().attempts, 1);
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn a_wrong_bucket_is_reported_and_nothing_is_mended() {
    let (world, _) = faulty_world(Databases::sqlite()).await;
    for n in 0..101 {
        world.image(json!({ "prompt": format!("fox {n}"), "width": 64, "height": 64 })).await.unwrap();
    }
    let node = &world.engine.0.cells["eu"];
    node.bucket.delete_below(world.made.workspace_id.as_str()).await.unwrap();
    world.clock.advance(3 * HOUR);
    let report = world.engine.reconcile().await.unwrap();
    assert_eq!((report.not_mended, report.rows_without_files), (101, 0));
    // Nor where a call has stored its result in the wrong one since.
    world.image(small("a new one")).await.unwrap();
    world.clock.advance(3 * HOUR);
    let report = world.engine.reconcile().await.unwrap();
    assert_eq!((report.not_mended, report.rows_without_files), (101, 0));
    assert!(shown(&world).await.iter().all(|row| row.deleted_at.is_none()));
}
