//! The loop breaker: agents that go round in circles, or spend far more than usual, are paused.

use std::sync::Arc;

use serde_json::json;

use crate::domain::alerts::{AlertSettings, Runaway};
use crate::domain::policy::Tool;
use crate::domain::time::{HOUR, MINUTE, SECOND};
use crate::engine::alerts::AlertChange;
use crate::engine::calls::agents::AgentState;
use crate::engine::calls::providers::{Act, ProviderError, Scripted};
use crate::engine::tests::alerts::{agent, fail, history, small, spend, watch};
use crate::engine::tests::support::{Databases, World, both_engines, mails, usd};

/// A provider that fails in these ways, one after the other, for ever.
fn failing(ways: &[ProviderError]) -> Arc<Scripted> {
    Arc::new(Scripted::new((0..40).map(|n| Act::Fail(ways[n % ways.len()].clone()))))
}

fn out_of_order() -> ProviderError {
    ProviderError::Failed("out of order".into())
}

both_engines! {
    async fn an_agent_that_repeats_what_fails_is_paused_after_five(on) {
        let world = World::scripted(on, "100", &failing(&[out_of_order()])).await;
        fail(&world, 5, "provider_failed").await;
        let paused = world.image(small("the same")).await.unwrap_err();
        assert_eq!(paused.code, "agent_paused");
        assert!(paused.message.contains("loop breaker") && paused.message.contains("5 times within 10 minutes"), "{}", paused.message);
        let (admin, agent) = (world.admin().await, agent(&world).await);
        assert_eq!(agent.state, AgentState::Paused);
        watch(&world).await;
        assert_eq!(mails(&world).await.iter().filter(|mail| mail.contains("An agent was paused")).count(), 1);
        world.engine.resume_agent(&admin, &agent.id).await.unwrap();
        world.clock.advance(11 * MINUTE);
        assert_eq!(world.image(small("the same")).await.unwrap_err().code, "provider_failed");
        assert_eq!(world.money().await, (usd("100"), usd("0")));
        world.assert_whole().await;
    }

    async fn a_resumed_agent_begins_anew(on) {
        let world = World::scripted(on, "100", &failing(&[out_of_order()])).await;
        fail(&world, 5, "provider_failed").await;
        let id = agent(&world).await.id;
        world.engine.resume_agent(&world.admin().await, &id).await.unwrap();
        world.clock.advance(SECOND);
        fail(&world, 1, "provider_failed").await;
        assert_eq!(agent(&world).await.state, AgentState::Active, "one failure is no loop, though five came before");
        fail(&world, 3, "provider_failed").await;
        assert_eq!(agent(&world).await.state, AgentState::Active);
        fail(&world, 1, "provider_failed").await;
        assert_eq!(agent(&world).await.state, AgentState::Paused, "the fifth since then");
    }

    async fn whatever_the_refusals_say_five_of_one_prompt_are_a_loop(on) {
        let world = World::scripted(on, "100", &failing(&[out_of_order(), ProviderError::Timeout])).await;
        for code in ["provider_failed", "provider_timeout", "provider_failed", "provider_timeout", "provider_failed"] {
            assert_eq!(agent(&world).await.state, AgentState::Active);
            fail(&world, 1, code).await;
        }
        assert_eq!(agent(&world).await.state, AgentState::Paused);
    }

    async fn a_tool_that_is_denied_again_and_again_is_a_loop(on) {
        let world = World::with_money(on, "10").await;
        let (admin, id) = (world.admin().await, agent(&world).await.id);
        let only_credits = json!({ "permissions": ["get_credits"], "denied": [] });
        world.engine.update_policy(&admin, &id, only_credits).await.unwrap();
        fail(&world, 4, "tool_denied").await;
        assert_eq!(agent(&world).await.state, AgentState::Active);
        fail(&world, 1, "tool_denied").await;
        assert_eq!(agent(&world).await.state, AgentState::Paused);
        fail(&world, 3, "tool_denied").await;
        assert_eq!(history(&world).await.len(), 1, "it is paused already");
    }

    async fn a_burst_at_once_or_other_prompts_are_no_loop(on) {
        let world = World::with_money(on, "0").await;
        for number in 0..8 {
            let refused = world.image(small(&format!("number {number}"))).await.unwrap_err();
            assert_eq!(refused.code, "insufficient_credits");
            world.clock.advance(SECOND);
        }
        for _ in 0..4 {
            assert_eq!(world.image(small("slowly")).await.unwrap_err().code, "insufficient_credits");
            world.clock.advance(3 * MINUTE);
        }
        assert_eq!(world.image(small("slowly")).await.unwrap_err().code, "insufficient_credits");
    }

    async fn the_loop_breakers_limits_are_the_workspaces(on) {
        let world = World::scripted(on, "100", &failing(&[out_of_order()])).await;
        let runaway = Runaway { repeats: 3, minutes: 60, times_typical: 5 };
        let settings = AlertSettings { runaway, ..AlertSettings::default() };
        world.engine.set_alerts(&world.admin().await, AlertChange { settings, slack_url: None }).await.unwrap();
        for _ in 0..3 {
            assert_eq!(world.image(small("the same")).await.unwrap_err().code, "provider_failed");
            world.clock.advance(15 * MINUTE);
        }
        let paused = world.image(small("the same")).await.unwrap_err();
        assert_eq!(paused.code, "agent_paused");
        assert!(paused.message.contains("3 times within 60 minutes"), "{}", paused.message);
    }

    async fn an_hour_far_above_the_typical_one_pauses_the_agent(on) {
        let world = World::with_money(on, "100").await;
        for _ in 0..30 {
            spend(&world, 5).await;
            watch(&world).await;
            world.clock.advance(HOUR);
        }
        assert_eq!(world.engine.agents(&world.admin().await).await.unwrap()[0].state, AgentState::Active);
        spend(&world, 40).await;
        watch(&world).await;
        let refused = world.call(Tool::GenerateImage, small("more")).await.unwrap_err();
        assert_eq!(refused.code, "agent_paused");
        assert!(refused.message.contains("more than 5 times its typical hour"), "{}", refused.message);
    }

    async fn a_spender_that_was_resumed_is_not_paused_for_what_it_spent_before(on) {
        let world = World::with_money(on, "100").await;
        for _ in 0..30 {
            spend(&world, 5).await;
            watch(&world).await;
            world.clock.advance(HOUR);
        }
        spend(&world, 40).await;
        watch(&world).await;
        let paused = agent(&world).await;
        assert_eq!(paused.state, AgentState::Paused);
        world.engine.resume_agent(&world.admin().await, &paused.id).await.unwrap();
        world.clock.advance(MINUTE);
        watch(&world).await;
        spend(&world, 10).await;
        watch(&world).await;
        assert_eq!(agent(&world).await.state, AgentState::Active, "a person looked at that hour");
        spend(&world, 30).await;
        watch(&world).await;
        assert_eq!(agent(&world).await.state, AgentState::Paused, "it went on in the same way");
    }
}
