//! Webhooks under `kill -9`: what the log holds arrives, in its order, with nothing missing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::{Json, Router, routing};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::agent::{Agent, Answer, Books};
use super::installation::{Installation, Made, Node};

/// Calls of one wave.
const CALLS: usize = 300;
const SETTINGS: &str =
    "[limits]\ncalls_per_minute_per_agent = 100000\n[webhooks]\nallow_private_addresses = true\n";
/// A killed node's claim on an endpoint ends after 45 seconds; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    run(&Installation::sqlite(SETTINGS), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_two_nodes_on_postgres() {
    run(&Installation::postgres(SETTINGS).await, 2).await;
}

async fn run(installation: &Installation, count: usize) {
    let made = installation.bootstrap("100");
    let mut nodes: Vec<Node> = (0..count).map(|_| installation.start()).collect();
    let receiver = Receiver::start().await;
    Books::of(&made, &nodes[0]).send_images_to(&receiver.url).await;
    for kill in 0..2 {
        let came = receiver.came().len();
        let calls = wave(&made, &nodes, kill);
        receiver.wait_for(came + CALLS / 10).await;
        let killed = kill % count;
        nodes[killed].kill();
        assert!(receiver.came().len() < came + CALLS, "the kill came after the load");
        calls.join_all().await;
        nodes[killed] = installation.start();
    }
    let last = wave(&made, &nodes, 2).join_all().await;
    assert!(last.iter().all(|answer| matches!(answer, Answer::Paid(_))), "{last:?}");

    let logged = Books::of(&made, &nodes[0]).images_in_order().await;
    receiver.wait_for(logged.len()).await;
    assert_eq!(receiver.came(), logged, "each arrives, in the order of the log");
    assert!(receiver.repeats() <= 2 * CALLS, "only what a killed node could not note comes again");
}

/// Calls, in turn by each node.
fn wave(made: &Made, nodes: &[Node], number: usize) -> JoinSet<Answer> {
    let agents: Vec<Agent> = nodes.iter().map(|node| Agent::new(made, node)).collect();
    let calls = (0..CALLS).zip(agents.into_iter().cycle());
    calls
        .map(|(call, agent)| async move {
            let prompt = format!("fox {number}/{call}");
            agent.generate(json!({ "prompt": prompt, "width": 64, "height": 64 })).await
        })
        .collect()
}

/// A receiver that acknowledges everything: the calls whose events came, as they came.
struct Receiver {
    url: String,
    came: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let came: Arc<Mutex<Vec<String>>> = Arc::default();
        let router = Router::new().route("/hook", routing::post(take)).with_state(came.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, came }
    }

    /// Each call once, where it came first.
    fn came(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        self.came.lock().unwrap().iter().filter(|id| seen.insert((*id).clone())).cloned().collect()
    }

    fn repeats(&self) -> usize {
        let all = self.came.lock().unwrap().len();
        all - self.came().len()
    }

    async fn wait_for(&self, count: usize) {
        let began = Instant::now();
        while self.came().len() < count {
            assert!(began.elapsed() < PATIENCE, "{} of {count} came", self.came().len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn take(State(came): State<Arc<Mutex<Vec<String>>>>, Json(event): Json<Value>) {
    assert_eq!(event["event"], "generation.completed");
    came.lock().unwrap().push(event["request_id"].as_str().unwrap().to_owned());
}
