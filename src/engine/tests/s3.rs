//! The media store on a server that speaks S3, which `cargo xtask with-postgres` starts.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::GetRange;
use serde_json::json;

use crate::domain::region::Region;
use crate::domain::time::{DAY, HOUR};
use crate::engine::calls::media::Bucket;
use crate::engine::data::reconcile::ReconcileReport;
use crate::engine::error::Error;
use crate::engine::random;
use crate::engine::tests::data_requests::{approved, image, prompt};
use crate::engine::tests::support::{Databases, World};

fn endpoint() -> String {
    std::env::var("AWS_ENDPOINT_URL")
        .expect("run the tests with `make test` or `cargo xtask with-postgres -- cargo test …`")
}

/// A new bucket's `s3://…` and its URL.
async fn new_bucket() -> (String, String) {
    crate::engine::outbound::install_tls();
    let name = format!("media-{}", hex::encode(random::bytes::<6>()));
    let url = format!("{}/{name}", endpoint());
    let made = reqwest::Client::new().put(&url).send().await.unwrap();
    assert!(made.status().is_success(), "{made:?}");
    (format!("s3://{name}/cell"), url)
}

async fn read(bucket: &Bucket, range: Option<GetRange>) -> (Vec<u8>, u64) {
    let media = bucket.get("ws_1/a.png", range).await.unwrap();
    (media.bytes.try_collect::<Vec<_>>().await.unwrap().concat(), media.size)
}

#[tokio::test]
async fn files_ranges_types_and_folders() {
    let (storage, url) = new_bucket().await;
    let bucket = Bucket::open(&storage, Region::EuWest1).unwrap();
    assert!(bucket.answers().await);
    bucket.put("ws_1/a.png", Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(read(&bucket, None).await, (b"0123456789".to_vec(), 10));
    assert_eq!(read(&bucket, Some(GetRange::Bounded(2..5))).await, (b"234".to_vec(), 10));
    assert_eq!(read(&bucket, Some(GetRange::Offset(8))).await, (b"89".to_vec(), 10));
    assert_eq!(read(&bucket, Some(GetRange::Suffix(3))).await, (b"789".to_vec(), 10));
    let page = reqwest::Client::new().put(format!("{url}/cell/ws_1/page.png"));
    page.header("content-type", "text/html").body("<script>").send().await.unwrap();
    assert!(
        matches!(bucket.get("ws_1/page.png", None).await, Err(Error::NotFound)),
        "never served as a picture"
    );
    bucket.delete(vec!["ws_1/page.png".into()]).await.unwrap();
    bucket.put("ws_1/2026/b.mp4", Bytes::from_static(b"video")).await.unwrap();
    assert_eq!(bucket.folders("ws_1").await.unwrap(), ["ws_1/2026"]);
    let listed: Vec<(String, u64)> = bucket.list("ws_1").try_collect().await.unwrap();
    assert_eq!(listed, [("ws_1/2026/b.mp4".to_owned(), 5), ("ws_1/a.png".to_owned(), 10)]);
    bucket.delete(vec!["ws_1/a.png".into(), "ws_1/never-was.png".into()]).await.unwrap();
    assert!(matches!(bucket.get("ws_1/a.png", None).await, Err(Error::NotFound)));
    assert_eq!(bucket.delete_below("ws_1").await.unwrap(), 1);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_answers_unavailable() {
    crate::engine::outbound::install_tls();
    let bucket = Bucket::open("s3://no-such-bucket-anywhere/cell", Region::EuWest1).unwrap();
    assert!(matches!(bucket.put("ws_1/a.png", Bytes::from_static(b"x")).await, Err(Error::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_links_purge_and_erasure() {
    let (storage, _) = new_bucket().await;
    let world = World::with_config(Databases::sqlite(), "100", |config| {
        config.cells[0].storage = Some(storage.clone());
    });
    let world = world.await;
    let hers = image(&world, "a portrait", Some("customer-42")).await;
    let fox = world.image(json!({ "prompt": "a fox", "width": 64, "height": 64 })).await.unwrap();
    let link = url::Url::parse(fox["result_url"].as_str().unwrap()).unwrap();
    let query: std::collections::HashMap<_, _> = link.query_pairs().into_owned().collect();
    let key = link.path().trim_start_matches("/media/").to_owned();
    let range = Some(GetRange::Bounded(1..4));
    let part = world.engine.open_media(&key, &query["expires"], &query["signature"], range).await.unwrap();
    assert_eq!(part.bytes.try_collect::<Vec<_>>().await.unwrap().concat(), b"PNG");
    approved(&world, "erasure", json!({ "subject": "customer-42" })).await;
    assert_eq!(world.engine.execute_data_requests().await.unwrap(), 1);
    assert_eq!(prompt(&world, &hers).await, None);
    world.clock.advance(31 * DAY);
    assert_eq!(world.engine.purge().await.unwrap().generations, 1);
    world.clock.advance(3 * HOUR);
    assert_eq!(world.engine.reconcile().await.unwrap(), ReconcileReport::default());
    let left: Vec<(String, u64)> =
        Bucket::open(&storage, Region::EuWest1).unwrap().list("").try_collect().await.unwrap();
    assert!(left.iter().all(|(key, _)| key.starts_with("erased/")), "{left:?}");
}
