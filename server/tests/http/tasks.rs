//! Videos as tasks, for clients that have the extension.

use std::time::Duration;

use agentframer::engine::calls::providers::{Act, ProviderError};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Databases, Mcp, TestServer, both_engines};

/// `params` of a client that has tasks.
fn with_tasks(mut params: Value) -> Value {
    let extensions = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    params["_meta"] = json!({ "io.modelcontextprotocol/clientCapabilities": extensions });
    params
}

fn call(tool: &str) -> Value {
    let arguments = json!({ "prompt": "a fox", "width": 64, "height": 64 });
    with_tasks(json!({ "name": tool, "arguments": arguments }))
}

async fn begin(mcp: &Mcp<'_>) -> Value {
    let task = mcp.result("tools/call", call("generate_video")).await;
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")), "{task}");
    task
}

async fn get(mcp: &Mcp<'_>, task: &Value) -> Value {
    mcp.result("tasks/get", with_tasks(json!({ "taskId": task["taskId"] }))).await
}

/// Asks until the task has ended.
async fn end(mcp: &Mcp<'_>, task: &Value) -> Value {
    for _ in 0..200 {
        let standing = get(mcp, task).await;
        if standing["status"] != "working" {
            return standing;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the task did not end: {task}");
}

both_engines! {
    /// Attempts of one minute are one row; each task tells its own end all the same.
    async fn tasks_that_fail_alike_each_tell_how(on) {
        let refusal = || Act::Fail(ProviderError::Refused("moderation".into()));
        let server = TestServer::scripted(on, [refusal(), refusal()]).await;
        let mcp = server.mcp();
        let (first, second) = (begin(&mcp).await, begin(&mcp).await);
        for task in [first, second] {
            let ended = end(&mcp, &task).await;
            let error = &ended["result"]["structuredContent"]["error"];
            assert_eq!((&error["code"], &error["retryable"]), (&json!("provider_failed"), &json!(false)), "{ended}");
        }
    }

    async fn another_agents_key_begins_no_task(on) {
        let server = TestServer::scripted(on, [Act::Pend { polls: 1 }]).await;
        let keyed = |mut call: Value| {
            call["arguments"]["idempotency_key"] = json!("run-1");
            call
        };
        let task = server.mcp().result("tools/call", keyed(call("generate_video"))).await;
        assert_eq!(task["resultType"], "task", "{task}");
        let made = server.rest_json(reqwest::Method::POST, "/agents", Some(json!({ "name": "b-bot", "policy": {} }))).await.1;
        let other = Mcp { token: made["token"].as_str().map(str::to_owned), ..server.mcp() };
        let refused = other.result("tools/call", keyed(call("generate_video"))).await;
        assert_eq!(refused["structuredContent"]["error"]["code"], "conflict", "{refused}");
    }

    async fn a_video_is_a_task_from_its_first_moment_to_its_charge(on) {
        let server = TestServer::scripted(on, [Act::Pend { polls: 3 }]).await;
        let mcp = server.mcp();
        let task = begin(&mcp).await;
        assert_eq!((&task["ttlMs"], &task["pollIntervalMs"]), (&json!(86_400_000), &json!(1_000)));
        assert!(task["createdAt"].is_string() && task["lastUpdatedAt"].is_string());
        let working = get(&mcp, &task).await;
        assert_eq!((&working["resultType"], &working["status"]), (&json!("complete"), &json!("working")));
        assert!(working["statusMessage"].is_string() && working.get("result").is_none());
        let ended = end(&mcp, &task).await;
        let result = &ended["result"];
        assert_eq!((&ended["status"], &result["isError"]), (&json!("completed"), &json!(false)), "{ended}");
        assert_eq!(result["structuredContent"]["request_id"], task["taskId"]);
        let cost = result["structuredContent"]["cost_usd"].as_f64().unwrap();
        let listed = mcp.call("list_recent_generations", json!({})).await;
        assert_eq!(listed["structuredContent"]["items"][0]["generation_id"], result["structuredContent"]["generation_id"]);
        assert_eq!(server.balance().await, format!("{}", 100.0 - cost));
        assert!(server.engine.check().await.unwrap().is_empty());
    }

    async fn a_failed_call_is_a_completed_task_that_cost_nothing(on) {
        let server = TestServer::scripted(on, [Act::FailLater(ProviderError::Failed("it broke".into()))]).await;
        let task = begin(&server.mcp()).await;
        let ended = end(&server.mcp(), &task).await;
        assert_eq!((&ended["status"], &ended["result"]["isError"]), (&json!("completed"), &json!(true)), "{ended}");
        assert_eq!(ended["result"]["structuredContent"]["error"]["code"], "provider_failed");
        assert_eq!(server.balance().await, "100");
    }

    async fn a_refused_call_begins_no_task(on) {
        let server = TestServer::start(on).await;
        server.engine.set_caps(&server.admin().await, &serde_json::from_value(json!({ "call_usd": 0.01 })).unwrap()).await.unwrap();
        let refused = server.mcp().result("tools/call", call("generate_video")).await;
        assert_eq!((&refused["resultType"], &refused["isError"]), (&json!("complete"), &json!(true)), "{refused}");
        assert_eq!(refused["structuredContent"]["error"]["code"], "cap_exceeded");
    }

    async fn an_image_is_answered_directly(on) {
        let server = TestServer::scripted(on, []).await;
        let made = server.mcp().result("tools/call", call("generate_image")).await;
        assert_eq!((&made["resultType"], &made["isError"]), (&json!("complete"), &json!(false)), "{made}");
    }

    async fn clients_without_the_extension_wait_and_may_not_ask(on) {
        let server = TestServer::scripted(on, []).await;
        let arguments = json!({ "prompt": "a fox", "width": 64, "height": 64 });
        let made = server.mcp().call("generate_video", arguments).await;
        assert_eq!((&made["resultType"], &made["isError"]), (&json!("complete"), &json!(false)), "{made}");
        let id = made["structuredContent"]["request_id"].clone();
        let (status, refused) = server.mcp().send("tasks/get", json!({ "taskId": id })).await;
        assert_eq!((status, &refused["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32021)), "{refused}");
    }

    async fn anothers_task_and_none_are_one_answer(on) {
        let server = TestServer::scripted(on, []).await;
        let task = begin(&server.mcp()).await;
        let peer = server.engine.create_agent(&server.admin().await, "peer", None).await.unwrap();
        let peer = Mcp { token: Some(peer.token), ..server.mcp() };
        for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
            let ask = async |id: &Value| {
                let params = with_tasks(json!({ "taskId": id, "inputResponses": {} }));
                peer.send(method, params).await
            };
            let (status, foreign) = ask(&task["taskId"]).await;
            assert_eq!((status, &foreign["error"]["code"]), (StatusCode::OK, &json!(-32602)), "{method}: {foreign}");
            for none in ["req_00000000", "nonsense"] {
                assert_eq!(ask(&json!(none)).await, (status, foreign.clone()), "{method} {none}");
            }
        }
    }

    async fn a_cancelled_task_still_completes_as_its_provider_bills_it(on) {
        let server = TestServer::scripted(on, [Act::Pend { polls: 2 }]).await;
        let mcp = server.mcp();
        let task = begin(&mcp).await;
        for method in ["tasks/cancel", "tasks/update"] {
            let params = with_tasks(json!({ "taskId": task["taskId"], "inputResponses": {} }));
            assert_eq!(mcp.result(method, params).await["resultType"], "complete");
        }
        assert_eq!(end(&mcp, &task).await["result"]["isError"], false);
    }

    async fn a_repeated_key_answers_its_first_calls_task(on) {
        let server = TestServer::scripted(on, [Act::Pend { polls: 2 }]).await;
        let mcp = server.mcp();
        let mut keyed = call("generate_video");
        keyed["arguments"]["idempotency_key"] = "k1".into();
        let first = mcp.result("tools/call", keyed.clone()).await;
        let again = mcp.result("tools/call", keyed.clone()).await;
        assert_eq!(first["taskId"], again["taskId"]);
        end(&mcp, &first).await;
        assert_eq!(mcp.result("tools/call", keyed).await["taskId"], first["taskId"]);
        let (_, ledger) = server.rest_json(reqwest::Method::GET, "/ledger", None).await;
        assert_eq!(ledger["items"].as_array().unwrap().len(), 2, "a top-up and one charge: {ledger}");
    }
}
