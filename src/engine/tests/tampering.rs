//! Each way of tampering with a log, done to the database itself, is found and named.

use std::time::Duration;

use serde_json::json;

use crate::domain::audit::link;
use crate::domain::money::Usd;
use crate::domain::time::{HOUR, MINUTE};
use crate::engine::data::sealing::MasterKey;
use crate::engine::log::signing::Signer;
use crate::engine::log::verification::Verification;
use crate::engine::store::log::{self, LogRow};
use crate::engine::store::search::Between;
use crate::engine::store::{checkpoints, signing_keys};
use crate::engine::tests::support::{Databases, World, both_engines};

/// A log of several rows with checkpoints over some of them, and rows after the last.
async fn world(on: Databases) -> World {
    let world = World::with_money(on, "10").await;
    for hour in 0..3 {
        for n in 0..3 {
            world
                .image(json!({ "prompt": format!("fox {hour} {n}"), "width": 64, "height": 64 }))
                .await
                .unwrap();
        }
        world.clock.advance(HOUR + 2 * MINUTE);
        world.engine.make_checkpoints().await.unwrap();
    }
    world.image(json!({ "prompt": "late", "width": 64, "height": 64 })).await.unwrap();
    world
}

async fn tamper(world: &World, text: &str) {
    let mut transaction = world.engine.0.cells["eu"].db.begin().await.unwrap();
    let text = text.replace("{ws}", world.made.workspace_id.as_str());
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn verify(world: &World) -> Verification {
    let admin = world.admin().await;
    world.engine.start_verification(&admin).await.unwrap();
    loop {
        let run = world.engine.verification(&admin).await.unwrap().unwrap();
        if run.ended_at.is_some() {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const OF_LOG: &str = "FROM log_entries WHERE workspace_id = '{ws}'";

both_engines! {
    async fn a_log_that_nobody_touched_is_proven(on) {
        let world = world(on).await;
        let run = verify(&world).await;
        assert_eq!((run.fault, run.bad_seq), (None, None));
        assert_eq!(run.done_seq, run.last_seq);
        assert!(run.checkpoints >= 3);
    }

    async fn a_deleted_row_is_named(on) {
        let world = world(on).await;
        tamper(&world, &format!("DELETE {OF_LOG} AND seq = 6")).await;
        let run = verify(&world).await;
        assert_eq!((run.bad_seq, run.done_seq), (Some(7), 5), "{run:?}");
        assert!(run.fault.unwrap().contains("does not follow row 5"));
        let faults = world.engine.check().await.unwrap();
        assert!(faults.iter().any(|fault| fault.contains("row 7")), "{faults:?}");
    }

    async fn a_changed_row_is_named(on) {
        let world = world(on).await;
        tamper(&world, "UPDATE log_entries SET cost = cost - 1 WHERE workspace_id = '{ws}' AND seq = 6").await;
        let run = verify(&world).await;
        assert_eq!(run.bad_seq, Some(6));
        assert!(run.fault.unwrap().contains("was changed"));
        assert!(world.engine.check().await.unwrap().iter().any(|fault| fault.contains("row 6")));
    }

    async fn rows_that_changed_places_are_named(on) {
        let world = world(on).await;
        tamper(&world, "UPDATE log_entries SET seq = 1000 WHERE workspace_id = '{ws}' AND seq = 6; \
                        UPDATE log_entries SET seq = 6 WHERE workspace_id = '{ws}' AND seq = 7; \
                        UPDATE log_entries SET seq = 7 WHERE workspace_id = '{ws}' AND seq = 1000").await;
        assert_eq!(verify(&world).await.bad_seq, Some(6));
        assert!(world.engine.check().await.unwrap().iter().any(|fault| fault.contains("row 6")));
    }

    async fn an_inserted_row_is_named(on) {
        let world = world(on).await;
        let places = Between { after: 5, before: 7 };
        let node = &world.engine.0.cells["eu"];
        let row = log::rows(&node.db, &world.made.workspace_id, places).await.unwrap().remove(0);
        tamper(&world, "UPDATE log_entries SET seq = seq + 1000 WHERE workspace_id = '{ws}' AND seq >= 6; \
                        UPDATE log_entries SET seq = seq - 999 WHERE workspace_id = '{ws}' AND seq >= 1000").await;
        let forged = link(5, &row.prev_hash, row.entry);
        let forged = LogRow { linked: forged, balance_after: None };
        let mut transaction = node.db.begin().await.unwrap();
        log::insert(&mut transaction, vec![forged]).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(verify(&world).await.bad_seq, Some(7), "the old row 6 does not follow the new one");
        assert!(world.engine.check().await.unwrap().iter().any(|fault| fault.contains("row 7")));
    }

    async fn a_log_that_was_cut_off_is_found_by_its_checkpoint(on) {
        let world = world(on).await;
        let head = format!("(SELECT hash {OF_LOG} AND seq = 6)");
        tamper(&world, &format!("DELETE {OF_LOG} AND seq > 6; UPDATE accounts SET log_seq = 6, log_head = {head} WHERE workspace_id = '{{ws}}'")).await;
        let run = verify(&world).await;
        assert!(run.fault.as_deref().unwrap().contains("was cut off after row 6"), "{run:?}");
        assert!(world.engine.check().await.unwrap().iter().any(|fault| fault.contains("cut off after row 6")));
    }

    async fn a_tail_that_was_cut_off_alone_is_found(on) {
        let world = world(on).await;
        tamper(&world, &format!("DELETE {OF_LOG} AND seq > 6")).await;
        let run = verify(&world).await;
        assert!(run.fault.as_deref().unwrap().contains("was cut off after row 6"), "{run:?}");
        assert!(world.engine.check().await.unwrap().iter().any(|fault| fault.contains("cut off after row 6")));
    }

    async fn rows_after_the_last_checkpoint_are_missed_too(on) {
        let world = world(on).await;
        let end = log::end(&world.engine.0.cells["eu"].db, &world.made.workspace_id).await.unwrap().unwrap().seq;
        tamper(&world, &format!("DELETE {OF_LOG} AND seq = {end}")).await;
        let run = verify(&world).await;
        assert!(run.fault.as_deref().unwrap().contains(&format!("row {end} was written")), "{run:?}");
        assert!(!world.engine.check().await.unwrap().is_empty());
    }

    async fn a_head_that_was_cut_off_is_found_although_the_account_says_so(on) {
        let world = world(on).await;
        let cut = |seq: i64| format!(
            "UPDATE accounts SET log_floor_seq = {seq}, log_floor_hash = (SELECT hash {OF_LOG} AND seq = {seq}) \
             WHERE workspace_id = '{{ws}}'; DELETE {OF_LOG} AND seq <= {seq}"
        );
        let first = checkpoints::last(&world.engine.0.cells["eu"].db, &world.made.workspace_id, world.clock.now()).await;
        let last = first.unwrap().unwrap().last_seq;
        let found = async |words: &str| {
            let run = verify(&world).await;
            assert!(run.fault.as_deref().unwrap_or_default().contains(words), "{run:?}");
            let faults = world.engine.check().await.unwrap();
            assert!(faults.iter().any(|fault| fault.contains(words)), "{faults:?}");
        };
        tamper(&world, &cut(2)).await;
        found("2 is gone before its time").await;
        tamper(&world, &cut(last)).await;
        found("is gone before its time").await;
        tamper(&world, "UPDATE accounts SET log_retention_days = 0 WHERE workspace_id = '{ws}'").await;
        found("is gone before its time").await;
        tamper(&world, "UPDATE accounts SET log_floor_hash = log_head WHERE workspace_id = '{ws}'").await;
        found("does not follow").await;
        tamper(&world, &format!("UPDATE accounts SET log_floor_hash = (SELECT prev_hash {OF_LOG} ORDER BY seq LIMIT 1) \
                                 WHERE workspace_id = '{{ws}}'; DELETE FROM log_checkpoints WHERE workspace_id = '{{ws}}'")).await;
        found("no signed checkpoint vouches for them").await;
    }

    async fn a_log_that_was_signed_anew_with_a_key_of_ones_own_is_found(on) {
        let world = world(on).await;
        let (node, id) = (&world.engine.0.cells["eu"], &world.made.workspace_id);
        let stranger = Signer::new(&MasterKey::from_hex(&"9".repeat(64)).unwrap()).unwrap();
        let (key, public) = stranger.public();
        // Whoever can write here can write the key down, but not make it ours.
        let own = stranger.sign(&json!({ "key_id": key, "endorses": public })).unwrap();
        signing_keys::insert(&world.engine.0.control, key, &public, world.clock.now()).await.unwrap();
        signing_keys::endorse(&world.engine.0.control, key, &own.to_string()).await.unwrap();
        for mut signed in checkpoints::following(&node.db, id, 0, 100).await.unwrap() {
            let number = signed["number"].clone();
            signed.as_object_mut().unwrap().remove("signature");
            let body = stranger.sign(&signed).unwrap().to_string();
            tamper(&world, &format!("UPDATE log_checkpoints SET body = '{body}' WHERE workspace_id = '{{ws}}' AND number = {number}")).await;
        }
        let run = verify(&world).await;
        assert!(run.fault.as_deref().unwrap().contains("is not in the key set"), "{run:?}");
        assert!(world.engine.check().await.unwrap().iter().any(|fault| fault.contains("is not in the key set")));
        let served = world.engine.public_keys().await.unwrap();
        assert!(!served.to_string().contains(&public), "nor is it served to others");
    }

    async fn a_log_that_was_written_anew_is_found_by_its_checkpoint(on) {
        let world = world(on).await;
        let node = &world.engine.0.cells["eu"];
        let all = Between::ALL;
        let rows = log::rows(&node.db, &world.made.workspace_id, all).await.unwrap();
        let mut head = rows[4].hash.clone();
        let mut changes = format!("DELETE {OF_LOG} AND seq > 5;");
        tamper(&world, &changes).await;
        let mut transaction = node.db.begin().await.unwrap();
        for row in &rows[5..] {
            let mut entry = row.entry.clone();
            entry.cost_usd = Usd::ZERO;
            let linked = link(row.seq - 1, &head, entry);
            head.clone_from(&linked.hash);
            let row = LogRow { linked, balance_after: None };
            log::insert(&mut transaction, vec![row]).await.unwrap();
        }
        transaction.commit().await.unwrap();
        changes = format!("UPDATE accounts SET log_head = '{head}' WHERE workspace_id = '{{ws}}'");
        tamper(&world, &changes).await;
        let run = verify(&world).await;
        assert!(run.fault.as_deref().unwrap().contains("was rewritten"), "{run:?}");
        assert!(world.engine.check().await.unwrap().iter().any(|fault| fault.contains("rewritten")));
    }

    async fn a_removed_or_forged_checkpoint_is_named(on) {
        let world = world(on).await;
        tamper(&world, "DELETE FROM log_checkpoints WHERE workspace_id = '{ws}' AND number = 2").await;
        assert!(verify(&world).await.fault.unwrap().contains("Checkpoint 3 does not follow"));
        tamper(&world, "UPDATE log_checkpoints SET body = REPLACE(body, '\"count\":', '\"count\":1') WHERE workspace_id = '{ws}' AND number = 1").await;
        assert!(verify(&world).await.fault.unwrap().contains("Checkpoint 1"));
        tamper(&world, "DELETE FROM log_checkpoints WHERE workspace_id = '{ws}'").await;
        world.clock.advance(24 * HOUR);
        assert!(verify(&world).await.fault.unwrap().contains("checkpoint"), "their absence is told");
    }
}
