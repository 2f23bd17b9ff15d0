//! `kill -9` under load: what was paid is in the log, and what was only reserved comes back.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;

use super::agent::{Agent, Answer, Books, Paid};
use super::installation::Installation;

const CALLS: usize = 400;
const PRICE: i64 = 42_000;
const BALANCE: i64 = 100_000_000;
/// A drawing gets ten seconds; the engine adds a minute to store and settle the result.
const SETTINGS: &str =
    "[limits]\ncalls_per_minute_per_agent = 100000\n[providers.local]\nkind = \"local\"\ntimeout = 10\n";
const DEADLINE: Duration = Duration::from_secs(70);
/// The sweeper looks every second; the rest is for a busy machine.
const GRACE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    run(&Installation::sqlite(SETTINGS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    run(&Installation::postgres(SETTINGS).await).await;
}

async fn run(installation: &Installation) {
    let made = installation.bootstrap("100");
    let mut node = installation.start();
    let mut answers = call_all(&Agent::new(&made, &node));
    let mut paid = first_paid(&mut answers).await;
    node.kill();
    let killed = Instant::now();
    paid.extend(rest(answers).await);
    assert!(paid.len() < CALLS, "the kill came after the load");

    let node = installation.start();
    installation.expect_clean();
    let books = Books::of(&made, &node);
    assert_ne!(books.money().await.1, 0, "no call was cut off");
    while books.money().await.1 != 0 {
        assert!(killed.elapsed() < DEADLINE + GRACE, "a reservation is held beyond its deadline");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let logged = books.images().await;
    assert_eq!(books.money().await.0, BALANCE - PRICE * logged.len() as i64);
    for call in &paid {
        assert!(logged.contains(&call.request_id), "{} is lost", call.request_id);
        assert!(books.has_file(&call.link).await, "the file of {} is lost", call.request_id);
    }
    installation.expect_clean();
}

fn call_all(agent: &Agent) -> mpsc::UnboundedReceiver<Answer> {
    let (tell, answers) = mpsc::unbounded_channel();
    for n in 0..CALLS {
        let (agent, tell) = (agent.clone(), tell.clone());
        tokio::spawn(async move {
            let arguments = json!({ "prompt": format!("fox {n}"), "width": 64, "height": 64 });
            tell.send(agent.generate(arguments).await).unwrap();
        });
    }
    answers
}

/// Waits until the load is well under way.
async fn first_paid(answers: &mut mpsc::UnboundedReceiver<Answer>) -> Vec<Paid> {
    let mut paid = Vec::new();
    while paid.len() < CALLS / 10 {
        paid.extend(expect_paid(answers.recv().await.unwrap()));
    }
    paid
}

async fn rest(mut answers: mpsc::UnboundedReceiver<Answer>) -> Vec<Paid> {
    let mut paid = Vec::new();
    while let Some(answer) = answers.recv().await {
        paid.extend(expect_paid(answer));
    }
    paid
}

fn expect_paid(answer: Answer) -> Option<Paid> {
    match answer {
        Answer::Paid(paid) => Some(paid),
        Answer::Lost => None,
        // A slow machine may not draw within the provider's limit.
        Answer::Refused(code) => {
            assert_eq!(code, "provider_timeout");
            None
        }
    }
}
