//! Alerts: when they fire, how they are told, and the loop breaker.

mod firing;
mod runaway;
mod telling;

use serde_json::{Value, json};

use crate::domain::time::SECOND;
use crate::engine::calls::agents::AgentView;
use crate::engine::tests::support::World;

pub(super) fn small(prompt: &str) -> Value {
    json!({ "prompt": prompt, "width": 64, "height": 64 })
}

/// The alerts in the log, oldest first: event and what it is about.
pub(super) async fn alerts(world: &World) -> Vec<String> {
    let acts = world.acts().await;
    acts.iter().filter_map(|act| act.data.as_ref()?["alert"].as_str().map(str::to_owned)).collect()
}

/// Looks, and tells.
pub(super) async fn watch(world: &World) {
    world.engine.watch_budgets().await.unwrap();
    world.engine.tell_alerts().await.unwrap();
}

/// The keys of the alerts that fired, the oldest first.
pub(super) async fn history(world: &World) -> Vec<String> {
    let history = world.engine.alerts(&world.admin().await).await.unwrap().history;
    history.into_iter().rev().map(|alert| alert.key).collect()
}

pub(super) async fn agent(world: &World) -> AgentView {
    world.engine.agents(&world.admin().await).await.unwrap().remove(0)
}

/// The same prompt so many times, 20 seconds apart; each answers with `code`.
pub(super) async fn fail(world: &World, times: usize, code: &str) {
    for _ in 0..times {
        assert_eq!(world.image(small("the same")).await.unwrap_err().code, code);
        world.clock.advance(20 * SECOND);
    }
}

pub(super) async fn spend(world: &World, calls: usize) {
    for number in 0..calls {
        world.image(small(&format!("picture {number} at {}", world.clock.now()))).await.unwrap();
    }
}
