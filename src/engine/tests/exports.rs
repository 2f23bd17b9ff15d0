//! The daily export: what it writes is the log, whatever fails on the way, and it goes with the log.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::audit::{Linked, Verifier};
use crate::domain::time::{DAY, HOUR, MINUTE};
use crate::engine::error::Error;
use crate::engine::log::signing;
use crate::engine::tests::data_requests::image;
use crate::engine::tests::faults::{Fault, Faulty};
use crate::engine::tests::support::{Databases, World, both_engines};

async fn world(on: Databases) -> (World, Faulty) {
    let bucket = Faulty::new();
    let world = World::with_buckets(on, "100", &[("eu", &bucket)]).await;
    // Every test begins at the start of a UTC day.
    world.clock.advance(DAY - world.clock.now().micros() % DAY);
    (world, bucket)
}

/// Three months of a log that lives a year, exported.
pub async fn three_months(world: &World) {
    let admin = world.admin().await;
    world.engine.set_retention(&admin, None, Some(365)).await.unwrap();
    world.engine.set_daily_export(&admin, true).await.unwrap();
    for month in 0..3 {
        image(world, &format!("fox {month}"), None).await;
        world.clock.advance(31 * DAY);
    }
    world.engine.make_checkpoints().await.unwrap();
    world.engine.export_logs().await.unwrap();
}

async fn exports(bucket: &Faulty) -> Vec<String> {
    bucket.keys().await.into_iter().filter(|key| key.starts_with("exports/")).collect()
}

async fn bytes(world: &World, key: &str) -> Vec<u8> {
    world.engine.0.cells["eu"].exports.read(key).await.unwrap().to_vec()
}

/// The rows of a file, checked against its manifest.
async fn rows(world: &World, manifest: &str) -> Vec<Linked> {
    let told: Value = serde_json::from_slice(&bytes(world, manifest).await).unwrap();
    signing::verify(&told, Some(&world.engine.public_keys().await.unwrap())).unwrap();
    let folder = manifest.rsplit_once('/').unwrap().0;
    let file = bytes(world, &format!("{folder}/{}", told["file"].as_str().unwrap())).await;
    let mut lines = String::new();
    GzDecoder::new(&*file).read_to_string(&mut lines).unwrap();
    let rows: Vec<Linked> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (first, last, content) = (&rows[0], &rows[rows.len() - 1], &told["content"]);
    assert_eq!(content["sha256"], hex::encode(Sha256::digest(&file)));
    assert_eq!(content["ndjson_sha256"], hex::encode(Sha256::digest(lines.as_bytes())));
    assert_eq!((&content["bytes"], &content["rows"]), (&json!(file.len()), &json!(rows.len())));
    assert_eq!((&content["first_seq"], &content["prev_hash"]), (&json!(first.seq), &json!(first.prev_hash)));
    assert_eq!((&content["last_seq"], &content["last_hash"]), (&json!(last.seq), &json!(last.hash)));
    assert!(rows.iter().all(|row| row.entry.ts.date().to_string() == told["day"]));
    rows
}

both_engines! {
    async fn each_day_that_is_over_becomes_a_file_and_all_files_are_the_log(on) {
        let (world, bucket) = world(on).await;
        let admin = world.admin().await;
        world.engine.set_daily_export(&admin, true).await.unwrap();
        for day in 0..2 {
            for n in 0..3 {
                image(&world, &format!("fox {day} {n}"), None).await;
                world.clock.advance(HOUR);
            }
            // Nothing happens on the third day.
            world.clock.advance(DAY - 3 * HOUR + day * DAY);
        }
        assert_eq!(world.engine.export_logs().await.unwrap(), 3, "the day of its making too; the last is open for a quarter of an hour");
        world.clock.advance(16 * MINUTE);
        assert_eq!(world.engine.export_logs().await.unwrap(), 0, "nothing was written since");
        let manifests: Vec<String> = exports(&bucket).await.into_iter().filter(|key| key.ends_with(".json")).collect();
        let (mut verifier, mut count) = (Verifier::default(), 0);
        for manifest in &manifests {
            for row in rows(&world, manifest).await {
                verifier.next(&row).unwrap();
                count += 1;
            }
        }
        let view = world.engine.daily_export(&admin).await.unwrap();
        assert_eq!((view.is_on, view.fault), (true, None));
        assert!(manifests.last().unwrap().contains(&view.last_day.unwrap()));
        assert_eq!(count, world.engine.log_end(&admin).await.unwrap(), "all of the log");
        world.engine.set_daily_export(&admin, false).await.unwrap();
        world.clock.advance(2 * DAY);
        assert_eq!(world.engine.export_logs().await.unwrap(), 0);
        world.assert_whole().await;
    }

    async fn a_storage_that_fails_is_told_tried_again_and_leaves_no_half_file(on) {
        let (world, bucket) = world(on).await;
        let admin = world.admin().await;
        world.engine.set_daily_export(&admin, true).await.unwrap();
        image(&world, "a fox", None).await;
        world.clock.advance(DAY + HOUR);
        for fault in [Fault::Busy, Fault::Full] {
            bucket.fail_with(fault);
            for left in 0..2 {
                bucket.fail_after(left);
                assert_eq!(world.engine.export_logs().await.unwrap(), 0);
                let view = world.engine.daily_export(&admin).await.unwrap();
                assert!(view.fault.unwrap().contains("storage"), "{left}");
                let done: Vec<_> = exports(&bucket).await.into_iter().filter(|key| key.ends_with(".json")).collect();
                assert_eq!(done, Vec::<String>::new(), "no manifest, no file");
            }
        }
        bucket.mend();
        assert!(world.engine.export_logs().await.unwrap() > 0);
        assert_eq!(world.engine.daily_export(&admin).await.unwrap().fault, None);
    }

    async fn exports_live_no_longer_than_their_log(on) {
        let (world, bucket) = world(on).await;
        three_months(&world).await;
        let before = exports(&bucket).await;
        world.clock.advance(365 * DAY - 62 * DAY);
        assert!(world.engine.purge().await.unwrap().log_rows > 0);
        let after = exports(&bucket).await;
        assert!(!after.is_empty() && after.len() < before.len(), "{before:#?} {after:#?}");
        let node = &world.engine.0.cells["eu"];
        assert!(matches!(node.exports.read(&before[0]).await, Err(Error::NotFound)), "the oldest month went");
    }

    async fn exports_that_were_turned_off_are_listed_while_files_are_there(on) {
        let (world, bucket) = world(on).await;
        let admin = world.admin().await;
        let kept = async || {
            let places = world.engine.data_places(&admin).await.unwrap();
            places.into_iter().find(|place| place.what == "Daily exports of the audit log").map(|place| place.kept)
        };
        world.engine.set_retention(&admin, None, Some(365)).await.unwrap();
        assert_eq!(kept().await, None);
        world.engine.set_daily_export(&admin, true).await.unwrap();
        assert_eq!(kept().await.as_deref(), Some("365 days"));
        image(&world, "a fox", None).await;
        world.clock.advance(2 * DAY);
        world.engine.export_logs().await.unwrap();
        world.engine.set_daily_export(&admin, false).await.unwrap();
        assert!(!world.engine.daily_export(&admin).await.unwrap().is_on);
        assert_eq!(kept().await.as_deref(), Some("365 days; turned off: no new ones are made"));
        world.clock.advance(430 * DAY);
        assert_eq!(world.engine.export_logs().await.unwrap(), 0);
        world.engine.make_checkpoints().await.unwrap();
        world.engine.purge().await.unwrap();
        assert_eq!((exports(&bucket).await, kept().await), (Vec::new(), None));
        world.engine.set_daily_export(&admin, true).await.unwrap();
        assert!(world.engine.daily_export(&admin).await.unwrap().is_on);
    }

    async fn exports_that_a_storage_does_not_delete_are_tried_again(on) {
        let (world, bucket) = world(on).await;
        let admin = world.admin().await;
        world.engine.set_retention(&admin, None, Some(365)).await.unwrap();
        world.engine.set_daily_export(&admin, true).await.unwrap();
        image(&world, "a fox", None).await;
        world.clock.advance(2 * DAY);
        world.engine.export_logs().await.unwrap();
        world.clock.advance(430 * DAY);
        world.engine.make_checkpoints().await.unwrap();
        let mut step = 0;
        loop {
            bucket.fail_after(step);
            let report = world.engine.purge().await.unwrap();
            bucket.mend();
            if report.log_rows > 0 {
                break;
            }
            step += 1;
            assert!(step < 40, "{report:?}");
        }
        assert!(step > 4, "it failed at each of {step} steps first");
        assert_eq!(exports(&bucket).await, Vec::<String>::new());
        world.assert_whole().await;
    }
}
