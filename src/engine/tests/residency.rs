//! What is of one workspace is in its own cell: every table and every bucket, with traffic in both regions at once.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use serde_json::{Value, json};

use crate::domain::access::Permission;
use crate::domain::alerts::AlertSettings;
use crate::domain::holds::HoldTarget;
use crate::domain::ids::WebhookId;
use crate::domain::policy::Tool;
use crate::domain::region::Region;
use crate::domain::time::HOUR;
use crate::engine::Engine;
use crate::engine::access::bootstrap::{Bootstrap, Bootstrapped};
use crate::engine::access::scope::{Origin, Principal, Scope};
use crate::engine::access::settings::SettingsChange;
use crate::engine::alerts::AlertChange;
use crate::engine::data::data_requests::NewDataRequest;
use crate::engine::log::saved_searches::NewSearch;
use crate::engine::store::{Db, dump};
use crate::engine::tests::receiver::{Receiver, Reply};
use crate::engine::tests::support::{Databases, World, bootstrap, both_engines, caller};
use crate::engine::webhooks::{NewEndpoint, Replay};

/// Tables with rows of no workspace.
const OF_THE_CELL: [&str; 4] = ["_sqlx_migrations", "changes", "data_jobs", "facts"];
/// Calls of each workspace; a third of them is refused.
const CALLS: usize = 12;

async fn world(on: Databases) -> World {
    World::with_config(on, "100", |config| {
        config.webhooks.allow_private_addresses = true;
        let report = config.data_dir.join("report.pdf");
        std::fs::create_dir_all(&config.data_dir).unwrap();
        std::fs::write(&report, "%PDF-1.4").unwrap();
        config.security.soc2_report = Some(report);
    })
    .await
}

async fn admin(engine: &Engine, made: &Bootstrapped) -> Scope {
    let origin = Origin::new(engine.new_request_id(), None);
    let user = Principal::User(made.user_id.clone());
    engine.scope(&user, &made.workspace_id, Permission::ChangeSettings, origin).await.unwrap()
}

/// Leaves rows in every table that a workspace has; answers its webhook.
async fn use_everything(engine: &Engine, made: &Bootstrapped, receiver: &Receiver) -> WebhookId {
    let (scope, caller) = (admin(engine, made).await, caller(engine, made).await);
    let hook = NewEndpoint {
        url: receiver.url.clone(),
        format: "generic".into(),
        token: None,
        events: None,
        headers: None,
    };
    let hook = engine.create_webhook(&scope, hook).await.unwrap().endpoint.id;
    for n in 0..CALLS {
        let width = if n % 3 == 2 { 100_000 } else { 64 };
        let call = json!({ "prompt": format!("fox {n}"), "count": 4, "width": width, "height": 64, "subject": "customer-42", "idempotency_key": format!("key-{n}") });
        let answer = engine.call_tool(&caller, Tool::GenerateImage, call, engine.new_request_id()).await;
        assert_eq!(answer.is_ok(), width == 64, "{answer:?}");
    }
    let settings = AlertSettings { further_thresholds: vec![1], ..AlertSettings::default() };
    engine.set_alerts(&scope, AlertChange { settings, slack_url: None }).await.unwrap();
    let search = NewSearch { name: "All".into(), tab: "calls".into(), query: String::new(), shared: true };
    engine.save_search(&scope, search).await.unwrap();
    engine.place_hold(&scope, HoldTarget::Agent("agent.nobody".into()), "case 7").await.unwrap();
    let text = engine.report(&scope).await.unwrap().unwrap().text_sha256;
    engine.accept_nda(&scope, &text).await.unwrap();
    let call = json!({ "prompt": "a portrait", "width": 64, "height": 64, "subject": "customer-7" });
    engine.call_tool(&caller, Tool::GenerateImage, call, engine.new_request_id()).await.unwrap();
    for (kind, subject) in [("access", "customer-42"), ("erasure", "customer-7")] {
        let asked = json!({ "kind": kind, "match": { "subject": subject }, "requested_by": "Grace",
            "received_on": engine.clock().now().date().to_string() });
        let asked: NewDataRequest = serde_json::from_value(asked).unwrap();
        let filed = engine.file_data_request(&scope, asked).await.unwrap();
        engine.approve_data_request(&scope, &filed.id, None).await.unwrap();
    }
    engine.start_verification(&scope).await.unwrap();
    engine.set_daily_export(&scope, true).await.unwrap();
    hook
}

/// What the jobs do for every cell.
async fn work(engine: &Engine) {
    engine.execute_data_requests().await.unwrap();
    engine.make_checkpoints().await.unwrap();
    engine.watch_budgets().await.unwrap();
    engine.tell_alerts().await.unwrap();
    engine.deliver_webhooks().await.unwrap();
    engine.replicate().await.unwrap();
    engine.purge().await.unwrap();
}

/// Each table's name and rows.
async fn tables(db: &Db) -> Vec<(String, Vec<Value>)> {
    let mut on = dump::moment(db).await.unwrap();
    let mut tables = Vec::new();
    for table in dump::names(&mut on, db.dialect).await.unwrap() {
        if OF_THE_CELL.contains(&table.as_str()) {
            continue;
        }
        let mut lines = Vec::new();
        dump::write(&mut on, &table, &mut lines).await.unwrap();
        let rows = String::from_utf8(lines)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        tables.push((table, rows));
    }
    tables
}

/// Ids of calls, agents, keys and the like, wherever they stand in these rows.
fn ids<'a>(rows: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let text: String = rows.into_iter().map(|row| format!("{row}\n")).collect();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    // Not every word with a line in it: public keys are the same in both cells.
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_id = |word: &&str| {
        word.split_once('_').is_some_and(|(kind, random)| {
            kind.len() <= 6 && random.len() == 26 && is_plain(kind) && is_plain(random)
        })
    };
    words.filter(is_id).map(str::to_owned).collect()
}

both_engines! {
    async fn no_table_and_no_bucket_of_a_cell_holds_what_is_of_another(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        receiver.always(Some(Reply::status(422)));
        let engine = &world.engine;
        let there = Bootstrap {
            email: "grace@example.com".into(), workspace: "States".into(), region: "us-east-1".into(), ..bootstrap("100")
        };
        let there = engine.bootstrap(there).await.unwrap();
        let hooks = tokio::join!(use_everything(engine, &world.made, &receiver), use_everything(engine, &there, &receiver));
        world.clock.advance(HOUR);
        work(engine).await;
        for (made, hook) in [(&world.made, hooks.0), (&there, hooks.1)] {
            let all = Replay { from_seq: Some(1), ..Replay::default() };
            engine.replay_webhook(&admin(engine, made).await, &hook, all).await.unwrap();
        }

        let mut of_cells = Vec::new();
        for (cell, made) in [("eu", &world.made), ("us", &there)] {
            let tables = tables(&engine.0.cells[cell].db).await;
            let empty: Vec<&String> = tables.iter().filter(|(_, rows)| rows.is_empty()).map(|(name, _)| name).collect();
            // The first has rows while an erasure runs, the second where copies are asked for.
            assert_eq!(empty, ["former_keys", "replicas"], "in {cell}: a table that nothing is in proves nothing");
            for row in tables.iter().flat_map(|(_, rows)| rows) {
                let workspace = &row["workspace_id"];
                assert!(workspace.is_null() || *workspace == json!(made.workspace_id), "{row}");
            }
            of_cells.push(ids(tables.iter().flat_map(|(_, rows)| rows)));
        }
        let [eu, us] = &of_cells[..] else { unreachable!() };
        assert!(eu.len() > 3 * CALLS && us.len() > 3 * CALLS);
        assert_eq!(eu.intersection(us).collect::<Vec<_>>(), Vec::<&String>::new(), "of both cells");

        // The directory knows who there is and where, but no call and nothing that a call left.
        let directory = ids(tables(&engine.0.control).await.iter().flat_map(|(_, rows)| rows));
        let known = directory.iter().filter(|id| eu.contains(*id) || us.contains(*id));
        let strange: Vec<_> = known.filter(|id| !id.starts_with("ws_") && !id.starts_with("user_")).collect();
        assert_eq!(strange, Vec::<&String>::new());

        for (cell, own, foreign) in [("eu", &world.made, &there), ("us", &there, &world.made)] {
            let keys: Vec<(String, u64)> = engine.0.cells[cell].bucket.list("").try_collect().await.unwrap();
            assert!(keys.iter().any(|(key, _)| key.starts_with(own.workspace_id.as_str())));
            assert!(keys.iter().all(|(key, _)| !key.contains(foreign.workspace_id.as_str())), "bucket of {cell}");
        }
    }

    async fn copies_are_the_only_thing_that_leaves_a_cell_and_only_where_asked(on) {
        let world = world(on).await;
        world.image(json!({ "prompt": "a fox", "width": 64, "height": 64 })).await.unwrap();
        let change = SettingsChange { replicate_to: Some(Some(Region::UsEast1)), ..SettingsChange::default() };
        world.engine.set_settings(&world.admin().await, change).await.unwrap();
        work(&world.engine).await;
        let us = &world.engine.0.cells["us"];
        let keys: Vec<(String, u64)> = us.bucket.list("").try_collect().await.unwrap();
        assert_eq!((keys.len(), keys.iter().all(|(key, _)| key.starts_with("replicas/"))), (2, true), "{keys:?}");
        let left: Vec<_> = tables(&us.db).await.into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
