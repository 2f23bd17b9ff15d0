//! A steady load: so many calls a second, however long each takes, so that a call that waits is not missed.

use std::time::{Duration, Instant};

use agentframer::domain::policy::Tool;
use agentframer::engine::Engine;
use agentframer::engine::access::bootstrap::Bootstrapped;
use agentframer::engine::access::identify::AgentCaller;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// Calls a second: three times the thousand a minute that a busy workspace makes.
const RATE: u32 = 50;
/// How long the normal is measured.
const NORMAL: Duration = Duration::from_secs(30);

/// Who calls.
#[derive(Clone)]
pub struct Load {
    engine: Engine,
    caller: AgentCaller,
}

impl Load {
    pub async fn of(engine: &Engine, made: &Bootstrapped) -> Self {
        let url = url::Url::parse(&made.mcp_url).unwrap();
        let key = url.path_segments().unwrap().next_back().unwrap();
        let known = engine.identify(Some(&made.agent_token), made.workspace_id.as_str(), key, None).await;
        Self { engine: engine.clone(), caller: known.unwrap() }
    }

    async fn call(self) -> Duration {
        let began = Instant::now();
        let arguments = json!({ "prompt": "a fox in the snow", "width": 512, "height": 512 });
        let id = self.engine.new_request_id();
        self.engine.call_tool(&self.caller, Tool::GenerateImage, arguments, id).await.unwrap();
        began.elapsed()
    }
}

/// A load that runs.
pub struct Steady {
    stop: oneshot::Sender<()>,
    calls: JoinHandle<Vec<Duration>>,
}

/// What callers saw.
pub struct Latencies(Vec<Duration>);

impl Steady {
    pub fn start(load: Load) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let calls = tokio::spawn(async move {
            let (mut tick, mut calls, mut latencies) =
                (tokio::time::interval(Duration::from_secs(1) / RATE), JoinSet::new(), Vec::new());
            while stopped.try_recv().is_err() {
                tick.tick().await;
                calls.spawn(load.clone().call());
                // A call that ended keeps its memory until it is joined, and would count as the purge's.
                while let Some(ended) = calls.try_join_next() {
                    latencies.push(ended.unwrap());
                }
            }
            latencies.extend(calls.join_all().await);
            latencies.sort_unstable();
            latencies
        });
        Self { stop, calls }
    }

    pub async fn end(self) -> Latencies {
        self.stop.send(()).unwrap();
        Latencies(self.calls.await.unwrap())
    }

    pub async fn for_a_while(self) -> Latencies {
        tokio::time::sleep(NORMAL).await;
        self.end().await
    }
}

impl Latencies {
    pub fn calls(&self) -> usize {
        self.0.len()
    }

    /// In milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}
