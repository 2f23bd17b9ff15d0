//! The cap is exact under any concurrency and number of nodes (design §1).

use futures::future::join_all;
use serde_json::json;

use crate::domain::money::Usd;
use crate::domain::policy::Tool;
use crate::engine::Engine;
use crate::engine::access::bootstrap::Bootstrapped;
use crate::engine::calls::providers::{Null, Providers};
use crate::engine::clock::Clock;
use crate::engine::tests::support::{Databases, START, World, bootstrap, both_engines, caller, usd};

/// 137 images at 0.042.
const MONEY_FOR_137: &str = "5.754";

fn at_once() -> Providers {
    let limit = std::time::Duration::from_secs(60);
    Providers::default().with("local", std::sync::Arc::new(Null), limit)
}

/// Which of `calls` concurrent calls succeeded; every other one must say `insufficient_credits`.
async fn run_calls(engine: &Engine, made: &Bootstrapped, calls: usize) -> usize {
    let caller = caller(engine, made).await;
    let call = |n: usize| {
        let arguments = json!({ "prompt": format!("fox {n}") });
        let (engine, caller) = (engine.clone(), caller.clone());
        tokio::spawn(async move {
            let id = engine.new_request_id();
            engine.call_tool(&caller, Tool::GenerateImage, arguments, id).await
        })
    };
    let answers = join_all((0..calls).map(call)).await;
    answers
        .into_iter()
        .filter(|answer| match answer.as_ref().unwrap() {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.code, "insufficient_credits");
                false
            }
        })
        .count()
}

both_engines! {
    /// ASVS 2.3.4, 15.4.2.
    async fn five_hundred_calls_on_money_for_137_pay_for_137(on) {
        let world = World::new(on, MONEY_FOR_137, at_once()).await;
        assert_eq!(run_calls(&world.engine, &world.made, 500).await, 137);
        assert_eq!(world.money().await, (Usd::ZERO, Usd::ZERO));
        world.assert_whole().await;
    }

    async fn a_cap_holds_under_concurrency(on) {
        let world = World::new(on, "100", at_once()).await;
        let change = serde_json::from_value(json!({ "workspace_month_usd": 0.42 })).unwrap();
        world.engine.set_caps(&world.admin().await, &change).await.unwrap();
        let caller = world.caller().await;
        let answers = join_all((0..60).map(|n| {
            let arguments = json!({ "prompt": format!("fox {n}") });
            world.engine.call_tool(&caller, Tool::GenerateImage, arguments, world.engine.new_request_id())
        }));
        let paid = answers.await.into_iter().filter(Result::is_ok).count();
        assert_eq!((paid, world.money().await.0), (10, usd("99.58")));
        world.assert_whole().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_one_postgres_pay_for_137_together() {
    let (databases, clock) = (Databases::postgres().await, Clock::manual(START));
    let (one, two) = (databases.node(&clock, at_once()).await, databases.node(&clock, at_once()).await);
    let made = one.bootstrap(bootstrap(MONEY_FOR_137)).await.unwrap();
    let (mut left, mut right) = (0, 0);
    for _ in 0..5 {
        // Waves, so that neither node's first batch can take all the money.
        let paid = tokio::join!(run_calls(&one, &made, 25), run_calls(&two, &made, 25));
        (left, right) = (left + paid.0, right + paid.1);
    }
    assert_eq!(left + right, 137);
    assert!(left > 0 && right > 0, "both nodes took part: {left} and {right}");
    assert_eq!(one.check().await.unwrap(), Vec::<String>::new());
}
