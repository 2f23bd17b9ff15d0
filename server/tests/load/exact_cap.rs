//! 500 calls at once on money for exactly 137 of them.

use futures::future::join_all;
use serde_json::json;

use super::agent::{Agent, Answer, Books};
use super::installation::Installation;

/// 137 images at 0.042.
const MONEY_FOR_137: &str = "5.754";
const CALLS: usize = 500;
/// All calls come from one agent within one minute.
const SETTINGS: &str = "[limits]\ncalls_per_minute_per_agent = 100000\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    run(&Installation::sqlite(SETTINGS), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    run(&Installation::postgres(SETTINGS).await, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_through_two_processes() {
    run(&Installation::postgres(SETTINGS).await, 2).await;
}

async fn run(installation: &Installation, processes: usize) {
    let made = installation.bootstrap(MONEY_FOR_137);
    let nodes: Vec<_> = (0..processes).map(|_| installation.start()).collect();
    let agents: Vec<_> = nodes.iter().map(|node| Agent::new(&made, node)).collect();
    let answers = join_all((0..CALLS).map(|n| call(agents[n % processes].clone(), n))).await;

    let refused = Answer::Refused("insufficient_credits".into());
    assert_eq!(answers.iter().filter(|answer| **answer == refused).count(), CALLS - 137);
    let paid = answers.iter().filter_map(|answer| match answer {
        Answer::Paid(paid) => Some(paid.request_id.clone()),
        _ => None,
    });
    let books = Books::of(&made, &nodes[0]);
    assert_eq!(books.images().await, paid.collect());
    assert_eq!(books.images().await.len(), 137);
    assert_eq!(books.money().await, (0, 0));
    installation.expect_clean();
}

async fn call(agent: Agent, n: usize) -> Answer {
    let arguments = json!({ "prompt": format!("fox {n}"), "width": 64, "height": 64 });
    tokio::spawn(async move { agent.generate(arguments).await }).await.unwrap()
}
