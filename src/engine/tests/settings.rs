//! What an Admin sets for a workspace: all of it or nothing, and as the log tells it.

use serde_json::{Value, json};

use crate::engine::access::bootstrap::Bootstrap;
use crate::engine::access::settings::SettingsChange;
use crate::engine::error::Error;
use crate::engine::store::workspaces;
use crate::engine::tests::acts::{follow, logged};
use crate::engine::tests::killed::killed_after;
use crate::engine::tests::support::{Databases, World, bootstrap, both_engines};

fn change(value: Value) -> SettingsChange {
    serde_json::from_value(value).unwrap()
}

/// Waits for what a database still commits for the dead: the row's lock, and the queue of the cell's writer.
async fn settled(world: &World) {
    let mut transaction = world.engine.0.control.begin().await.unwrap();
    workspaces::rename(&mut transaction, &world.made.workspace_id, "never").await.unwrap();
    transaction.rollback().await.unwrap();
    world
        .engine
        .log_setting(&world.admin().await, "nothing", &json!(0), &json!(0), Vec::new())
        .await
        .unwrap();
}

both_engines! {
    async fn a_wrong_setting_names_its_field(on) {
        let world = World::with_money(on, "1").await;
        let admin = world.admin().await;
        for (wrong, field) in [
            (json!({ "media_retention_days": 0 }), "media_retention_days"),
            (json!({ "log_retention_days": 10 }), "log_retention_days"),
            (json!({ "media_retention_days": 400, "log_retention_days": 365 }), "log_retention_days"),
            (json!({ "name": "" }), "name"),
            (json!({ "replicate_to": "eu-west-1" }), "replicate_to"),
        ] {
            let error = world.engine.set_settings(&admin, change(wrong)).await.unwrap_err();
            assert!(matches!(&error, Error::Field(fault) if fault.field == field), "{error:?}");
        }
        let set = change(json!({ "name": "Brand", "cost_centre": "4711", "inference": "any", "media_retention_days": 7 }));
        world.engine.set_settings(&admin, set).await.unwrap();
        let now = world.engine.settings(&world.admin().await).await.unwrap();
        assert_eq!((now.name.as_str(), now.cost_centre.as_deref()), ("Brand", Some("4711")));
        assert_eq!(now.retention.media_retention_days, 7);
        world.assert_whole().await;
    }

    async fn settings_change_all_or_not_at_all(on) {
        let world = World::with_money(on, "1").await;
        let admin = world.admin().await;
        world.engine.bootstrap(Bootstrap { workspace: "Taken".into(), ..bootstrap("5") }).await.unwrap();
        let refused = change(json!({ "name": "Taken", "media_retention_days": 1, "inference": "any" }));
        let error = world.engine.set_settings(&admin, refused).await.unwrap_err();
        assert!(matches!(&error, Error::Field(fault) if fault.field == "name"), "{error:?}");
        let before = world.engine.settings(&world.admin().await).await.unwrap();
        assert_eq!((before.name.as_str(), before.retention.media_retention_days), ("Growth", 30));
        let wanted = change(json!({ "name": "Brand", "media_retention_days": 7, "inference": "any" }));
        world.engine.set_settings(&admin, wanted).await.unwrap();
        let told = logged(&world, "settings.changed").await;
        assert_eq!(told.len(), 2, "what was refused is not told as done");
        assert_eq!(told[0], json!({ "setting": "name", "from": { "name": "Growth" }, "to": { "name": "Brand" } }));
        assert_eq!(told[1]["from"], json!({ "media_retention_days": 30, "inference": "region_only" }));
        assert_eq!(told[1]["to"], json!({ "media_retention_days": 7, "inference": "any" }));
    }

    async fn a_name_that_the_rest_does_not_follow_goes_back(on) {
        let world = World::with_money(on, "1").await;
        let admin = world.admin().await;
        let disk = &world.engine.0.cells["eu"].db.disk;
        disk.fill_after(0);
        let wanted = change(json!({ "name": "Brand", "media_retention_days": 7 }));
        world.engine.set_settings(&admin, wanted).await.unwrap_err();
        let now = world.engine.settings(&world.admin().await).await.unwrap();
        assert_eq!((now.name.as_str(), now.retention.media_retention_days), ("Growth", 30));
        assert!(disk.mend(), "it was the disk");
        assert_eq!(follow(&world).await, 2);
        let told: Vec<Value> = logged(&world, "settings.changed").await.iter().map(|data| data["to"].clone()).collect();
        // The test's clock stood still between the two.
        assert!(told.len() == 2 && ["Brand", "Growth"].iter().all(|name| told.contains(&json!({ "name": name }))));
    }

    async fn the_log_tells_each_change_whenever_the_node_dies(on) {
        let world = World::with_money(on, "1").await;
        let mut killed = 0;
        for polls in 1..60 {
            let (name, days) = (format!("Brand {polls}"), 100 + polls);
            let admin = world.admin().await;
            let wanted = change(json!({ "name": name, "media_retention_days": days }));
            killed += usize::from(killed_after(polls, world.engine.set_settings(&admin, wanted)).await.is_none());
            settled(&world).await;
            follow(&world).await;

            let now = world.engine.settings(&world.admin().await).await.unwrap();
            let told = logged(&world, "settings.changed").await;
            let last = |setting: &str, first: Value| {
                told.iter().rev().find(|data| data["setting"] == setting).map_or(first, |data| data["to"][setting].clone())
            };
            assert_eq!(last("name", json!("Growth")), now.name, "after {polls} polls");
            let kept = now.retention.media_retention_days;
            assert_eq!(last("media_retention_days", json!(30)), kept, "after {polls} polls");
        }
        assert!(killed > 0);
        world.assert_whole().await;
    }
}
