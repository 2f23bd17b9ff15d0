//! The codes of contract §2: each refusal is a tool result that says what to do, and costs nothing.

use agentframer::engine::calls::providers::{Act, ProviderError};
use agentframer::engine::config::Config;
use serde_json::{Value, json};

use super::support::{Databases, TestServer, both_engines};

const ONE_IMAGE: f64 = 0.042;

fn fox() -> Value {
    json!({ "prompt": "a fox", "width": 64, "height": 64 })
}

fn of_model(model: &str) -> Value {
    json!({ "prompt": "a fox", "model": model })
}

/// Calls, and checks all that refusals have in common; the answer is the error.
async fn refused(server: &TestServer, tool: &str, arguments: Value, code: &str) -> Value {
    let before = server.balance().await;
    let result = server.mcp().call(tool, arguments).await;
    let error = result["structuredContent"]["error"].clone();
    assert_eq!((&result["isError"], &error["code"]), (&json!(true), &json!(code)), "{result}");
    assert_eq!(result["content"][0]["text"], error["message"]);
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with('.') && message.contains("Nothing was"), "{message}");
    assert!(error["retryable"].is_boolean());
    assert_eq!(server.balance().await, before);
    assert!(server.engine.check().await.unwrap().is_empty());
    error
}

async fn set_caps(server: &TestServer, caps: Value) {
    let change = serde_json::from_value(caps).unwrap();
    server.engine.set_caps(&server.admin().await, &change).await.unwrap();
}

async fn set_policy(server: &TestServer, policy: Value) {
    server.engine.update_policy(&server.admin().await, &server.made.agent_id, policy).await.unwrap();
}

/// As an operator would, there being no command for it yet.
async fn suspend(server: &TestServer, config: &Config) {
    let pool = sqlx::AnyPool::connect(&config.cell_url(&config.cells()[0])).await.unwrap();
    sqlx::query("UPDATE accounts SET suspended = 1").execute(&pool).await.unwrap();
    pool.close().await;
    // The next administrative act makes the node look anew.
    set_caps(server, json!({})).await;
}

both_engines! {
    async fn insufficient_credits(on) {
        let server = TestServer::with_money(on, "0.05").await;
        let two = json!({ "prompt": "a fox", "width": 64, "height": 64, "count": 2 });
        let error = refused(&server, "generate_image", two, "insufficient_credits").await;
        assert_eq!((&error["required_usd"], &error["available_usd"]), (&json!(2.0 * ONE_IMAGE), &json!(0.05)));
    }

    async fn cap_exceeded(on) {
        let server = TestServer::start(on).await;
        set_caps(&server, json!({ "workspace_month_usd": 0.05 })).await;
        server.mcp().image().await;
        let error = refused(&server, "generate_image", fox(), "cap_exceeded").await;
        assert_eq!((&error["cap"], &error["limit_usd"]), (&json!("workspace_month"), &json!(0.05)));
        assert_eq!(error["resets_at"], "2026-11-01T00:00:00.000Z");
        set_caps(&server, json!({ "workspace_month_usd": null, "call_usd": 0.01 })).await;
        let error = refused(&server, "generate_image", fox(), "cap_exceeded").await;
        assert_eq!((&error["cap"], &error["resets_at"], &error["retryable"]), (&json!("call"), &Value::Null, &json!(false)));
    }

    async fn preflight_required(on) {
        let server = TestServer::start(on).await;
        set_caps(&server, json!({ "preflight_usd": 0.01, "preflight_required": true })).await;
        let error = refused(&server, "generate_image", fox(), "preflight_required").await;
        assert_eq!(error["retryable"], true);
        server.mcp().call("get_credits", json!({})).await;
        server.mcp().image().await;
    }

    async fn tool_denied(on) {
        let server = TestServer::start(on).await;
        refused(&server, "top_up_balance", json!({ "amount_usd": 5, "reference": "x" }), "tool_denied").await;
    }

    async fn model_not_allowed(on) {
        let server = TestServer::start(on).await;
        set_policy(&server, json!({ "permissions": ["generate_image"], "models": ["flux-pro-1.1"] })).await;
        let error = refused(&server, "generate_image", fox(), "model_not_allowed").await;
        assert_eq!(error["model"], "sketch-image-1");
        // Allowed, but nobody has set its provider up.
        refused(&server, "generate_image", of_model("flux-pro-1.1"), "model_not_allowed").await;
    }

    async fn residency_violation(on) {
        let server = TestServer::scripted(on, []).await;
        let error = refused(&server, "generate_image", of_model("gpt-image-2.5"), "residency_violation").await;
        assert_eq!((&error["model"], &error["region"]), (&json!("gpt-image-2.5"), &json!("eu-west-1")));
    }

    async fn agent_paused(on) {
        let server = TestServer::start(on).await;
        server.engine.pause_agent(&server.admin().await, &server.made.agent_id).await.unwrap();
        refused(&server, "generate_image", fox(), "agent_paused").await;
        server.engine.resume_agent(&server.admin().await, &server.made.agent_id).await.unwrap();
        server.mcp().image().await;
    }

    async fn workspace_suspended(on) {
        let config = on.config();
        let server = TestServer::start(on).await;
        suspend(&server, &config).await;
        refused(&server, "generate_image", fox(), "workspace_suspended").await;
    }

    async fn invalid_argument(on) {
        let server = TestServer::start(on).await;
        let error = refused(&server, "generate_image", of_model("no-such-model"), "invalid_argument").await;
        assert_eq!(error["field"], "model");
    }

    async fn provider_failed(on) {
        let script = [Act::Fail(ProviderError::Refused("not that".into())), Act::Fail(ProviderError::Failed("it broke".into()))];
        let server = TestServer::scripted(on, script).await;
        let error = refused(&server, "generate_image", fox(), "provider_failed").await;
        assert_eq!(error["retryable"], false, "moderation refuses the same prompt again");
        let error = refused(&server, "generate_image", fox(), "provider_failed").await;
        assert_eq!(error["retryable"], true);
    }

    async fn provider_timeout(on) {
        let server = TestServer::scripted(on, [Act::LoseAnswer]).await;
        let error = refused(&server, "generate_image", fox(), "provider_timeout").await;
        assert_eq!(error["retryable"], true);
    }

    async fn conflict(on) {
        let server = TestServer::start(on).await;
        let keyed = |prompt: &str| json!({ "prompt": prompt, "width": 64, "height": 64, "idempotency_key": "k1" });
        let made = server.mcp().call("generate_image", keyed("a fox")).await;
        let again = server.mcp().call("generate_image", keyed("a fox")).await;
        assert_eq!(made["structuredContent"], again["structuredContent"]);
        refused(&server, "generate_image", keyed("a hare"), "conflict").await;
    }
}
