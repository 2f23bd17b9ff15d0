//! Master keys: one for each cell, each with a rotation of its own.

use serde_json::json;

use crate::engine::Engine;
use crate::engine::config::{Config, Keys};
use crate::engine::tests::data_requests::{asked, image, prompt};
use crate::engine::tests::support::{Databases, World};

#[tokio::test]
async fn a_cell_has_a_master_key_of_its_own_that_no_other_needs() {
    let key = |digit: &str| Keys { master_key: Some(digit.repeat(64)), ..Keys::default() };
    let world = World::with_config(Databases::sqlite(), "100", |config| {
        config.security.master_key = Some("0".repeat(64));
        config.cells[0].keys = Some(key("1"));
    })
    .await;
    let made = image(&world, "a portrait", Some("customer-42")).await;
    let checks = |engine: &Engine| {
        engine.0.cells.values().map(|node| node.sealer.master_check().to_owned()).collect::<Vec<_>>()
    };
    let before = checks(&world.engine);
    assert_ne!(before[0], before[1], "the other has the server's");
    world.engine.shutdown().await;

    let mut config = world.engine.config().clone();
    config.cells[0].keys = Some(key("2"));
    let why = Engine::open(config.clone(), world.clock.clone()).await.err().unwrap().to_string();
    assert!(why.contains("Cell “eu” was made with another master key"), "{why}");
    config.cells[0].keys = None;
    assert!(
        Engine::open(config.clone(), world.clock.clone()).await.is_err(),
        "the server's does not open it"
    );
    // A server of the other region only needs neither its key nor its database.
    let only_us = Config { cells: vec![config.cells[1].clone()], ..config.clone() };
    Engine::open(only_us, world.clock.clone()).await.unwrap().shutdown().await;

    config.cells[0].keys = Some(Keys { previous_master_key: Some("1".repeat(64)), ..key("2") });
    let world = World { engine: Engine::open(config, world.clock.clone()).await.unwrap(), ..world };
    let after = checks(&world.engine);
    assert!(after[0] != before[0] && after[1] == before[1], "its rotation is its own");
    assert_eq!(prompt(&world, &made).await.as_deref(), Some("a portrait"));
    let places = world.engine.data_places(&world.admin().await).await.unwrap();
    let own = places.iter().find(|place| place.what == "The master key that wraps them").unwrap();
    assert_eq!(own.place, "setting or environment");
}

#[tokio::test]
async fn a_new_master_key_wraps_anew_and_everything_stays_readable() {
    let databases = Databases::sqlite();
    let (old, new) = ("1".repeat(64), "2".repeat(64));
    let world =
        World::with_config(databases, "100", |config| config.security.master_key = Some(old.clone())).await;
    let made = image(&world, "a portrait", Some("customer-42")).await;
    let keyed = world.engine.public_keys().await.unwrap()["keys"].as_array().unwrap().len();
    world.engine.shutdown().await;
    let mut config = world.engine.config().clone();
    config.security.master_key = Some(new.clone());
    assert!(Engine::open(config.clone(), world.clock.clone()).await.is_err(), "a wrong key does not start");
    config.security.previous_master_key = Some(old);
    Engine::open(config.clone(), world.clock.clone()).await.unwrap().shutdown().await;
    config.security.previous_master_key = None;
    let world = World { engine: Engine::open(config, world.clock.clone()).await.unwrap(), ..world };
    assert_eq!(prompt(&world, &made).await.as_deref(), Some("a portrait"));
    let found = asked("access", json!({ "subject": "customer-42" }), world.clock.now());
    let found = world.engine.preview_data_request(&world.admin().await, found).await.unwrap();
    assert_eq!(found.matches.prompts, 1, "subjects are found after a rotation");
    assert_eq!(world.engine.public_keys().await.unwrap()["keys"].as_array().unwrap().len(), keyed + 1);
}
