//! Receivers that refuse, hang, lie or cannot be reached: bounded, shown, and nobody else's trouble.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::domain::time::{HOUR, MINUTE, SECOND};
use crate::engine::error::Error;
use crate::engine::tests::receiver::{Receiver, Reply};
use crate::engine::tests::support::{Databases, World, both_engines};
use crate::engine::tests::webhooks::{acts, deliver_all, endpoint, hook, numbers, sent, state, world};
use crate::engine::webhooks::{EndpointState, Replay};

both_engines! {
    async fn an_answer_with_a_nul_is_kept_and_nothing_is_sent_twice(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.then([Reply::Status(200, "a\0b".into())]);
        acts(&world, 1).await;
        for _ in 0..3 {
            world.engine.deliver_webhooks().await.unwrap();
        }
        assert_eq!(receiver.all().len(), 1);
        let kept = &sent(&world, &made).await[0];
        assert_eq!((kept.outcome.as_str(), kept.response.as_str()), ("delivered", "a\u{FFFD}b"));
        let splunk = Receiver::start().await;
        let made = hook(&world, &splunk, "splunk_hec").await;
        splunk.then([Reply::Status(400, r#"{"text":"a\u0000b","code":6}"#.into())]);
        acts(&world, 1).await;
        deliver_all(&world).await;
        let parked = world.engine.parked_events(&world.admin().await, &made.endpoint.id).await.unwrap();
        assert_eq!((parked.len(), splunk.all().len()), (1, 1));
        assert!(parked[0].reason.contains("a\u{FFFD}b"), "{parked:?}");
    }

    async fn what_cannot_be_saved_is_not_sent_again_and_again(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, admin) = (hook(&world, &receiver, "generic").await, world.admin().await);
        acts(&world, 1).await;
        let rename = async |text: &'static str| {
            let mut transaction = world.engine.cell(&admin.workspace).unwrap().db.begin().await.unwrap();
            sqlx::query(text).execute(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
        };
        rename("ALTER TABLE webhook_deliveries RENAME TO webhook_deliveries_away").await;
        for _ in 0..20 {
            world.engine.deliver_webhooks().await.unwrap();
        }
        assert_eq!(receiver.all().len(), 1);
        rename("ALTER TABLE webhook_deliveries_away RENAME TO webhook_deliveries").await;
        let waits = state(&world, &made.endpoint.id).await;
        assert_eq!(waits.health.next_attempt_at, Some(world.clock.now().plus(MINUTE)));
        assert!(waits.reason.unwrap().contains("AgentFramer had a fault of its own"));
        world.clock.advance(MINUTE);
        deliver_all(&world).await;
        let goes_on = state(&world, &made.endpoint.id).await;
        assert_eq!((goes_on.health.lag_events, goes_on.reason, receiver.all().len()), (0, None, 2));
    }

    async fn many_hanging_endpoints_leave_room_for_everybody_else(on) {
        let world = world(on).await;
        let (hanging, quick) = (Silent::start().await, Receiver::start().await);
        let mut hung = Vec::new();
        for name in ["One", "Two"] {
            let admin = world.another_workspace(name).await;
            for _ in 0..35 {
                world.engine.create_webhook(&admin, endpoint(&hanging.url, "generic")).await.unwrap();
            }
            hung.push(admin);
        }
        hook(&world, &quick, "generic").await;
        world.engine.start_background();
        let began = Instant::now();
        while hanging.connections() < 64 {
            assert!(began.elapsed() < Duration::from_secs(15), "only {} hang", hanging.connections());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let began = Instant::now();
        acts(&world, 20).await;
        while numbers(&quick.acknowledged()).len() < 20 {
            assert!(began.elapsed() < Duration::from_secs(5), "the quick one waits for those that hang");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(hanging.connections() <= 64, "of one workspace only so many at a time");
    }

    async fn what_is_refused_again_on_a_replay_holds_up_nothing(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let (made, admin) = (hook(&world, &receiver, "generic").await, world.admin().await);
        receiver.judge(|request| request.events()[0]["data"]["n"].as_u64().is_some_and(|n| n < 8).then(|| Reply::status(422)));
        acts(&world, 12).await;
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), [11, 8, 9, 10, 11], "the last one told that the others go on");
        let aside = async || world.engine.parked_events(&admin, &made.endpoint.id).await.unwrap().len();
        assert_eq!(aside().await, 8);
        assert_eq!(sent(&world, &made).await.iter().filter(|row| row.lane == "probe" && row.outcome == "delivered").count(), 1);
        for _ in 0..3 {
            let since = Replay { failed_since: Some(world.clock.now().plus(-HOUR)), ..Replay::default() };
            world.engine.replay_webhook(&admin, &made.endpoint.id, since).await.unwrap();
            world.engine.top_up(&world.admin().await, "5".parse().unwrap(), "invoice 7").await.unwrap();
            deliver_all(&world).await;
        }
        let events = receiver.acknowledged();
        assert_eq!(events.iter().filter(|event| event["event"] == "balance.topped_up").count(), 3);
        let now = state(&world, &made.endpoint.id).await;
        assert_eq!((now.state, now.health.failures, now.health.lag_events, aside().await), (EndpointState::Active, 0, 0, 8));
    }

    async fn a_receiver_that_refuses_everything_is_asked_again_later(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.always(Some(Reply::status(422)));
        acts(&world, 20).await;
        deliver_all(&world).await;
        assert_eq!(receiver.all().len(), 7, "five are put aside; the sixth and one behind it are refused too");
        let waits = state(&world, &made.endpoint.id).await.health;
        assert_eq!((waits.parked, waits.failures, waits.success_rate), (5, 1, Some(0.0)));
        receiver.always(None);
        world.clock.advance(10 * SECOND);
        deliver_all(&world).await;
        assert_eq!(numbers(&receiver.acknowledged()), (5..20).collect::<Vec<u64>>());
    }

    async fn a_refused_connection_is_tried_again_within_seconds(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        let made = hook(&world, &receiver, "generic").await;
        receiver.stop().await;
        acts(&world, 1).await;
        deliver_all(&world).await;
        let next = state(&world, &made.endpoint.id).await.health.next_attempt_at.unwrap();
        assert!((4 * SECOND..=6 * SECOND).contains(&(next.micros() - world.clock.now().micros())), "{next:?}");
    }

    async fn a_batch_that_failed_is_sent_again_with_the_same_events(on) {
        let (world, receiver) = (world(on).await, Receiver::start().await);
        hook(&world, &receiver, "datadog").await;
        receiver.then([Reply::status(500)]);
        acts(&world, 3).await;
        deliver_all(&world).await;
        acts(&world, 4).await;
        world.clock.advance(10 * SECOND);
        deliver_all(&world).await;
        let all = receiver.all();
        let sizes: Vec<usize> = all.iter().map(|request| request.events().len()).collect();
        assert_eq!(sizes, [3, 3, 4]);
        assert_eq!(all[0].header("webhook-id"), all[1].header("webhook-id"));
        assert_ne!(all[1].header("webhook-id"), all[2].header("webhook-id"));
    }

    async fn one_hanging_endpoint_holds_up_no_other(on) {
        let world = world(on).await;
        let (slow, quick) = (Receiver::start().await, Receiver::start().await);
        hook(&world, &slow, "generic").await;
        hook(&world, &quick, "generic").await;
        slow.always(Some(Reply::Slow(Duration::from_secs(60))));
        acts(&world, 20).await;
        let began = Instant::now();
        let engine = world.engine.clone();
        let delivering = tokio::spawn(async move { engine.deliver_webhooks().await });
        while numbers(&quick.acknowledged()).len() < 20 {
            assert!(began.elapsed() < Duration::from_secs(10), "the quick one waits for the slow one");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        delivering.abort();
    }
}

/// Takes connections and never answers.
struct Silent {
    url: String,
    taken: Arc<AtomicUsize>,
}

impl Silent {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                open.push(socket);
                count.store(open.len(), Ordering::SeqCst);
            }
        });
        Self { url, taken }
    }

    fn connections(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

/// Answers with a beginning and then block after block until the other side hangs up; counts what it could send.
async fn flood(beginning: &'static [u8], block: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // The kernel's own buffer is not what a reader took.
    socket.set_send_buffer_size(65_536).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 65_536]).await;
            let mut next = socket.write_all(beginning).await;
            while next.is_ok() {
                next = socket.write_all(&block).await;
                count.fetch_add(block.len(), Ordering::SeqCst);
                // A reader whom a busy machine keeps waiting has the kernel take it meanwhile.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    (url, sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_an_end_is_taken_to_its_beginning_only() {
    let world = world(Databases::sqlite()).await;
    let block = vec![b'x'; 65_536];
    let chunk = [b"10000\r\n".as_slice(), &block, b"\r\n"].concat();
    let ten_gigabytes = flood(b"HTTP/1.1 500 No\r\nContent-Length: 10000000000\r\n\r\n", block.clone()).await;
    let endless = flood(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", chunk).await;
    let header = flood(b"HTTP/1.1 200 OK\r\nX-Long: ", block).await;
    for (url, sent_bytes) in [ten_gigabytes, endless, header] {
        let made =
            world.engine.create_webhook(&world.admin().await, endpoint(&url, "generic")).await.unwrap();
        let began = Instant::now();
        deliver_all(&world).await;
        acts(&world, 1).await;
        deliver_all(&world).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
        let bytes = sent_bytes.load(Ordering::SeqCst);
        assert!((65_536..2_000_000).contains(&bytes), "{bytes} bytes were taken");
        let row = sent(&world, &made).await.remove(0);
        assert!(row.outcome == "retried" && row.response.len() <= 20_000 && row.fault.is_some(), "{row:?}");
        world.engine.delete_webhook(&world.admin().await, &made.endpoint.id).await.unwrap();
    }
}

/// Answers each connection with fixed bytes, again and again, and then waits.
async fn raw(bytes: &'static [u8], times: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 65_536];
                let _ = socket.read(&mut request).await;
                for _ in 0..times {
                    if socket.write_all(bytes).await.is_err() {
                        return;
                    }
                }
                if times > 0 {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_misbehave_cost_bounded_time_and_memory_and_are_shown() {
    let world = world(Databases::sqlite()).await;
    let admin = world.admin().await;
    let ten_gigabytes = raw(b"HTTP/1.1 500 No\r\nContent-Length: 10000000000\r\n\r\n", 1).await;
    let endless = raw(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n", 1).await;
    let reset = raw(b"", 0).await;
    let lying = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nok", 1).await;
    let garbage = raw(b"nonsense\r\n\r\n", 1).await;
    for (url, delivered) in [
        (ten_gigabytes, false),
        (endless, false),
        (reset, false),
        (lying, true),
        (garbage, false),
        ("http://127.0.0.1:9/".into(), false),
        ("http://siem.invalid/".into(), false),
    ] {
        let made = world.engine.create_webhook(&admin, endpoint(&url, "generic")).await.unwrap();
        let began = Instant::now();
        let result = world.engine.test_webhook(&admin, &made.endpoint.id).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(21), "{url}: {:?}", began.elapsed());
        assert_eq!(result.delivered, delivered, "{url}: {result:?}");
        assert!(result.response.len() <= 20_000 && (delivered || result.fault.is_some()), "{result:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_and_redirects_are_never_followed() {
    let world = world(Databases::sqlite()).await;
    let (admin, receiver) = (world.admin().await, Receiver::start().await);
    receiver.then([Reply::Redirect("http://169.254.169.254/latest/meta-data/")]);
    let made = hook(&world, &receiver, "generic").await;
    let result = world.engine.test_webhook(&admin, &made.endpoint.id).await.unwrap();
    assert!(!result.delivered && result.status == Some(302) && result.fault.unwrap().contains("redirects"));

    let strict = World::with_money(Databases::sqlite(), "1").await;
    let admin = strict.admin().await;
    for url in
        [receiver.url.replace("http:", "https:"), "https://169.254.169.254/".into(), "https://[::1]/".into()]
    {
        let refused = strict.engine.create_webhook(&admin, endpoint(&url, "generic")).await;
        assert!(matches!(refused, Err(Error::Field(ref field)) if field.field == "url"), "{url}");
    }
}
