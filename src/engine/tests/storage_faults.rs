//! A purge, a replication and an erasure while a bucket of either cell is busy, full or read-only, and while the disk of
//! the database is full: each ends in the right state, and nothing is told as done that is not.

use std::time::Duration;

use object_store::ClientOptions;
use object_store::aws::AmazonS3Builder;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};
use tokio::net::TcpListener;

use crate::domain::data_requests::State;
use crate::domain::policy::Tool;
use crate::domain::region::Region;
use crate::domain::time::{DAY, HOUR};
use crate::engine::Engine;
use crate::engine::access::bootstrap::Bootstrap;
use crate::engine::calls::media::Bucket;
use crate::engine::data::data_requests::DataRequestView;
use crate::engine::error::Error;
use crate::engine::log::reading::Page;
use crate::engine::store::{Db, dump, erasure};
use crate::engine::tests::data_requests::{approved, image};
use crate::engine::tests::faults::{Fault, Faulty};
use crate::engine::tests::support::{Databases, World, bootstrap, both_engines, caller, usd};

/// No run has so many operations on a bucket.
const MOST_STEPS: i64 = 40;

/// Three pictures of one subject in the EU cell, with copies in the US cell.
struct Pictures {
    world: World,
    eu: Faulty,
    us: Faulty,
}

impl Pictures {
    async fn new(on: Databases) -> Self {
        let (eu, us) = (Faulty::new(), Faulty::new());
        let world = World::with_buckets(on, "100", &[("eu", &eu), ("us", &us)]).await;
        let own = Self { world, eu, us };
        own.replicate_to(Some(Region::UsEast1)).await;
        own.paint().await;
        own.world.engine.replicate().await.unwrap();
        own
    }

    async fn paint(&self) {
        for n in 0..3 {
            image(&self.world, &format!("fox {n}"), Some("customer-42")).await;
        }
    }

    async fn replicate_to(&self, region: Option<Region>) {
        self.world.replicate_to(region).await;
    }

    /// Files in both buckets, without the marks of erasures.
    async fn files(&self) -> Vec<String> {
        let keys = [self.eu.keys().await, self.us.keys().await].concat();
        keys.into_iter().filter(|key| !key.starts_with("erased/")).collect()
    }

    async fn copies(&self) -> i64 {
        self.world.engine.replication(&self.world.admin().await).await.unwrap().copies
    }

    async fn view(&self, id: &crate::domain::ids::DataRequestId) -> DataRequestView {
        self.world.engine.data_request(&self.world.admin().await, id).await.unwrap()
    }

    async fn assert_reconciled(&self) {
        self.world.assert_reconciled().await;
    }

    /// Runs `round` while the bucket fails one step later each time, until `round` says that it is done.
    async fn fail_step_by_step(&self, bucket: &Faulty, mut round: impl AsyncFnMut(i64) -> bool) -> i64 {
        for step in 0..MOST_STEPS {
            bucket.fail_after(step);
            let is_done = round(step).await;
            bucket.mend();
            if is_done {
                return step;
            }
        }
        panic!("no end after {MOST_STEPS} steps");
    }
}

both_engines! {
    async fn a_purge_deletes_all_whatever_fails_between(on) {
        let own = Pictures::new(on).await;
        let engine = &own.world.engine;
        engine.set_retention(&own.world.admin().await, Some(1), None).await.unwrap();
        for (bucket, fault) in [(&own.eu, Fault::Busy), (&own.eu, Fault::ReadOnly), (&own.us, Fault::Busy), (&own.us, Fault::ReadOnly)] {
            own.world.clock.advance(2 * DAY);
            bucket.fail_with(fault);
            let mut purged = 0;
            let steps = own.fail_step_by_step(bucket, async |_| {
                let report = engine.purge().await.unwrap();
                purged += report.generations;
                let stopped = report.failed > 0 || report.stopped_by.is_some();
                assert!(stopped || purged == 3, "{report:?}");
                !stopped
            });
            let steps = steps.await;
            assert!((1..MOST_STEPS).contains(&steps), "{fault:?} was met at {steps} steps");
            assert_eq!((purged, own.files().await), (3, Vec::new()));
            own.assert_reconciled().await;
            own.paint().await;
            engine.replicate().await.unwrap();
        }
    }

    async fn a_replication_copies_and_deletes_all_whatever_fails_between(on) {
        let own = Pictures::new(on).await;
        for (bucket, fault) in [(&own.eu, Fault::Busy), (&own.us, Fault::Busy), (&own.us, Fault::Full), (&own.us, Fault::ReadOnly)] {
            for (region, copies) in [(None, 0), (Some(Region::UsEast1), 3)] {
                own.replicate_to(region).await;
                bucket.fail_with(fault);
                let steps = own.fail_step_by_step(bucket, async |_| match own.world.engine.replicate().await {
                    Err(Error::Unavailable(_)) => false,
                    done => done.is_ok(),
                });
                // Deleting copies asks nothing of the source, nor for room.
                let is_met = !(region.is_none() && (fault == Fault::Full || std::ptr::eq(bucket, &raw const own.eu)));
                assert_eq!(steps.await > 0, is_met, "{fault:?}, {region:?}");
                assert_eq!((own.copies().await, own.us.keys().await.len() as i64), (copies, 2 * copies));
                own.assert_reconciled().await;
            }
        }
    }

    async fn an_erasure_ends_in_done_whatever_fails_between(on) {
        let own = Pictures::new(on).await;
        let engine = &own.world.engine;
        for (bucket, fault) in [
            (&own.eu, Fault::Busy), (&own.eu, Fault::Full), (&own.eu, Fault::ReadOnly),
            (&own.us, Fault::Busy), (&own.us, Fault::ReadOnly),
        ] {
            let id = approved(&own.world, "erasure", json!({ "subject": "customer-42" })).await;
            bucket.fail_with(fault);
            let steps = own.fail_step_by_step(bucket, async |step| {
                engine.execute_data_requests().await.unwrap();
                let now = own.view(&id).await;
                if now.state != State::Done {
                    assert_eq!((now.state, now.has_certificate), (State::Running, false), "{fault:?} at step {step}");
                    assert!(now.progress.unwrap().waiting_for.is_some());
                }
                now.state == State::Done
            });
            assert!(steps.await > 0, "{fault:?} was not met");
            assert_eq!(own.files().await, Vec::<String>::new());
            let certificate = engine.data_request_certificate(&own.world.admin().await, &id).await.unwrap();
            let counts: Vec<&Value> = certificate["deleted"].as_array().unwrap().iter().map(|line| &line["count"]).collect();
            assert_eq!(counts, [3, 3, 3, 0, 1]);
            own.assert_reconciled().await;
            own.paint().await;
            engine.replicate().await.unwrap();
        }
    }

    async fn a_generation_that_is_not_deleted_leaves_no_mark(on) {
        let own = Pictures::new(on).await;
        let (engine, admin) = (&own.world.engine, own.world.admin().await);
        let made = engine.generations(&admin, &Default::default(), Page::default()).await.unwrap().items.remove(0);
        own.us.fail_after(0);
        let refused = engine.delete_generation(&admin, &made.generation_id).await;
        assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains("Nothing was changed")), "{refused:?}");
        own.us.mend();
        assert!(own.eu.keys().await.iter().all(|key| !key.starts_with("erased/")));
        // Its prompt may be gone already.
        let mut transaction = engine.0.cells["eu"].db.begin().await.unwrap();
        erasure::remove_prompt(&mut transaction, made.request_id.as_str()).await.unwrap();
        transaction.commit().await.unwrap();
        engine.delete_generation(&admin, &made.generation_id).await.unwrap();
        assert_eq!(own.eu.keys().await.iter().filter(|key| key.starts_with("erased/calls/")).count(), 1);
        own.assert_reconciled().await;
    }

    async fn no_copy_is_made_of_what_a_purge_deletes(on) {
        let own = Pictures::new(on).await;
        own.paint().await;
        own.world.clock.advance(31 * DAY);
        let (engine, closed) = (own.world.engine.clone(), own.eu.gate.lock().await);
        let purge = tokio::spawn(async move { engine.purge().await.unwrap() });
        own.eu.reached.notified().await;
        assert_eq!(own.world.engine.replicate().await.unwrap(), 0, "their files are still there");
        drop(closed);
        assert_eq!(purge.await.unwrap().generations, 6);
        assert_eq!((own.files().await, own.copies().await), (Vec::new(), 0));
        own.assert_reconciled().await;
    }

    async fn no_copy_is_made_of_what_an_erasure_deletes(on) {
        let own = Pictures::new(on).await;
        own.paint().await;
        let id = approved(&own.world, "erasure", json!({ "subject": "customer-42" })).await;
        let (engine, closed) = (own.world.engine.clone(), own.eu.gate.lock().await);
        let erasure = tokio::spawn(async move { engine.execute_data_requests().await.unwrap() });
        own.eu.reached.notified().await;
        assert_eq!(own.world.engine.replicate().await.unwrap(), 0, "their files are still there");
        drop(closed);
        assert_eq!(erasure.await.unwrap(), 1);
        assert_eq!((own.view(&id).await.state, own.files().await, own.copies().await), (State::Done, Vec::new(), 0));
        own.assert_reconciled().await;
    }

    async fn a_storage_that_is_down_ends_the_purge_of_its_cell_only(on) {
        let own = Pictures::new(on).await;
        let there = Bootstrap {
            email: "grace@example.com".into(), workspace: "States".into(), region: "us-east-1".into(), ..bootstrap("100")
        };
        let there = own.world.engine.bootstrap(there).await.unwrap();
        let caller = caller(&own.world.engine, &there).await;
        let call = json!({ "prompt": "a fox", "width": 64, "height": 64 });
        own.world.engine.call_tool(&caller, Tool::GenerateImage, call, own.world.engine.new_request_id()).await.unwrap();
        let theirs = async || own.us.keys().await.iter().filter(|key| key.starts_with(there.workspace_id.as_str())).count();
        own.world.clock.advance(31 * DAY);
        let (engine, closed) = (own.world.engine.clone(), own.eu.gate.lock().await);
        let purge = tokio::spawn(async move { engine.purge().await.unwrap() });
        own.eu.reached.notified().await;
        tokio::time::timeout(Duration::from_secs(20), async {
            while theirs().await > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the other cell does not wait");
        drop(closed);
        assert_eq!(purge.await.unwrap().generations, 4);
        own.assert_reconciled().await;
    }

    async fn an_erasure_waits_for_who_reads_the_database_and_calls_do_not(on) {
        let own = Pictures::new(on).await;
        let id = approved(&own.world, "erasure", json!({ "subject": "customer-42" })).await;
        let mut reading = dump::moment(&own.world.engine.0.cells["eu"].db).await.unwrap();
        dump::write(&mut reading, "data_keys", &mut Vec::new()).await.unwrap();
        assert_eq!(own.world.engine.execute_data_requests().await.unwrap(), 0);
        let waits = own.view(&id).await;
        assert_eq!((waits.state, waits.has_certificate), (State::Running, false));
        assert!(waits.progress.unwrap().waiting_for.unwrap().contains("still on its disk"));
        let again = own.world.engine.clone();
        let again = tokio::spawn(async move { again.execute_data_requests().await.unwrap() });
        let call = tokio::time::timeout(Duration::from_secs(5), image(&own.world, "meanwhile", None));
        call.await.expect("a paid call waits for no dump");
        assert_eq!(again.await.unwrap(), 0);
        reading.rollback().await.unwrap();
        assert_eq!(own.world.engine.execute_data_requests().await.unwrap(), 1);
        assert_eq!(own.view(&id).await.state, State::Done);
        own.assert_reconciled().await;
    }

    async fn an_erasure_that_fails_for_a_day_says_so_and_may_be_tried_again(on) {
        let own = Pictures::new(on).await;
        let (engine, admin) = (&own.world.engine, own.world.admin().await);
        let id = approved(&own.world, "erasure", json!({ "subject": "customer-42" })).await;
        own.us.fail_after(0);
        assert_eq!(engine.execute_data_requests().await.unwrap(), 0);
        own.world.clock.advance(DAY - HOUR);
        assert_eq!(engine.execute_data_requests().await.unwrap(), 0);
        assert_eq!(own.view(&id).await.state, State::Running);
        own.world.clock.advance(2 * HOUR);
        assert_eq!(engine.execute_data_requests().await.unwrap(), 1);
        let failed = own.view(&id).await;
        assert_eq!((failed.state, failed.has_certificate), (State::Failed, false));
        own.us.mend();
        engine.retry_data_request(&admin, &id).await.unwrap();
        assert_eq!(engine.execute_data_requests().await.unwrap(), 1);
        assert_eq!((own.view(&id).await.state, own.files().await), (State::Done, Vec::new()));
        let certificate = engine.data_request_certificate(&admin, &id).await.unwrap();
        let earlier = certificate["earlier_runs"].as_array().unwrap();
        assert_eq!((earlier.len(), &earlier[0]["state"], &earlier[0]["calls"]), (1, &json!("failed"), &json!(3)));
        assert!(earlier[0]["why"].as_str().unwrap().contains("storage"), "{earlier:?}");
        own.assert_reconciled().await;
    }
}

/// From here on nothing new fits into the database, until something did not: SQLite then needs another connection, and
/// that one finds room.
async fn fill_disk(db: &Db) {
    let mut writer = db.begin().await.unwrap();
    let pages: i64 = writer.fetch_one("PRAGMA page_count").await.unwrap().get(0);
    writer.execute(AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"))).await.unwrap();
    writer.commit().await.unwrap();
}

/// Calls until one finds no room; how many were made.
async fn call_until_full(world: &World) -> u64 {
    for made in 0..500 {
        let before = world.money().await;
        match world.image(json!({ "prompt": "a cat", "width": 64, "height": 64 })).await {
            Ok(_) => continue,
            Err(error) => assert!(error.message.contains("Nothing was charged"), "{error:?}"),
        }
        // What it had set aside comes back at the latest with the sweep.
        assert_eq!(world.money().await.0, before.0);
        return made;
    }
    panic!("the disk never filled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_what_writes_and_loses_nothing() {
    let own = Pictures::new(Databases::sqlite()).await;
    let (world, db) = (&own.world, &own.world.engine.0.cells["eu"].db);
    fill_disk(db).await;
    let mut made = call_until_full(world).await;
    image(world, "there is room again", None).await;
    world.clock.advance(3 * HOUR);
    world.engine.sweep().await.unwrap();
    assert_eq!(world.money().await.1, usd("0"));
    // The picture of the call that found no room, and its thumbnail, may be stored already.
    assert!(world.engine.reconcile().await.unwrap().files_without_row <= 2);
    own.assert_reconciled().await;

    let id = approved(world, "erasure", json!({ "subject": "customer-42" })).await;
    while own.view(&id).await.state != State::Done {
        fill_disk(db).await;
        // Whatever it answers, it is done when all of it is.
        let _ = world.engine.execute_data_requests().await;
        world.clock.advance(HOUR);
    }
    world.engine.data_request_certificate(&world.admin().await, &id).await.unwrap();
    assert_eq!(own.eu.keys().await.iter().filter(|key| key.ends_with(".thumb.png")).count() as u64, made + 1);

    world.clock.advance(31 * DAY);
    made += 1;
    let mut purged = 0;
    while purged < made {
        fill_disk(db).await;
        purged += world.engine.purge().await.map_or(0, |report| report.generations);
        world.clock.advance(HOUR);
    }
    assert_eq!((purged, own.files().await), (made, Vec::<String>::new()));
    own.assert_reconciled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_onto_a_full_disk_is_told_and_goes_on_with_more_room() {
    let own = Pictures::new(Databases::sqlite()).await;
    let (folder, other) = (tempfile::tempdir().unwrap(), Databases::sqlite());
    let admin = own.world.admin().await;
    for n in 0..60 {
        own.world.engine.invite(&admin, &format!("person-{n}@example.com"), "viewer").await.unwrap();
    }
    own.world.engine.backup(folder.path()).await.unwrap();
    let mut config = other.config();
    config.security.master_key_file = Some(own.world.engine.config().data_dir.join("master.key"));
    let open = async || {
        let mut engine = Engine::open(config.clone(), own.world.clock.clone()).await.unwrap();
        own.eu.replace(&mut engine, "eu");
        own.us.replace(&mut engine, "us");
        engine
    };
    let engine = open().await;
    fill_disk(&engine.0.control).await;
    assert!(engine.restore(folder.path()).await.is_err());
    engine.shutdown().await;
    let engine = open().await;
    assert!(engine.half_restored().await.unwrap().is_some(), "no server starts");
    assert!(engine.setup_pending().await.unwrap(), "the directory is empty still");
    assert!(engine.restore(folder.path()).await.unwrap().rows > 10);
    assert_eq!(engine.half_restored().await.unwrap(), None);
    assert_eq!(engine.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_did_not_arrive_whole_is_told_by_buckets_and_folders() {
    for keeps_types in [true, false] {
        let faulty = Faulty::new();
        let bucket = Bucket::over(std::sync::Arc::new(faulty.clone()), keeps_types);
        bucket.put("ws_1/a.png", bytes::Bytes::from_static(b"0123456789")).await.unwrap();
        faulty.keep_only(9);
        let put = bucket.put("ws_1/a.png", bytes::Bytes::from_static(b"0123456789")).await;
        assert!(matches!(put, Err(Error::Unavailable(_))), "{put:?}");
    }
}

/// A server that takes connections and answers `answer`, or nothing.
async fn server(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Some(answer) = answer {
                tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.ok();
            }
            open.push(stream);
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_hangs_or_is_busy_is_given_up_in_bounded_time() {
    crate::engine::outbound::install_tls();
    let busy = "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for answer in [None, Some(busy)] {
        let options = ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_millis(200));
        let builder = AmazonS3Builder::new().with_endpoint(server(answer).await).with_client_options(options);
        let builder = builder.with_access_key_id("test").with_secret_access_key("test");
        let bucket = Bucket::on_s3(builder, "media/cell", Region::EuWest1).unwrap();
        let began = tokio::time::Instant::now();
        let given_up =
            tokio::time::timeout(Duration::from_secs(30), bucket.delete(vec!["ws_1/a.png".into()]));
        let given_up = given_up.await.expect("it takes no longer than its patience and one request");
        assert!(matches!(given_up, Err(Error::Unavailable(_))), "{given_up:?}");
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
        assert!(!bucket.answers().await);
    }
}
