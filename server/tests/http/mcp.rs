//! What an agent can do once it is in.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{Databases, NEW, OLD, TestServer, both_engines, read};

fn names(list: &Value) -> Vec<&str> {
    list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

both_engines! {
    async fn both_revisions_introduce_themselves(on) {
        let server = TestServer::start(on).await;
        let discovered = server.mcp().result("server/discover", json!({})).await;
        let versions: Vec<&str> =
            discovered["supportedVersions"].as_array().unwrap().iter().map(|version| version.as_str().unwrap()).collect();
        assert!(versions.contains(&NEW) && versions.contains(&OLD), "{discovered}");
        let hello = json!({
            "protocolVersion": OLD, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" }
        });
        let initialized = server.mcp().old().result("initialize", hello).await;
        assert_eq!(initialized["protocolVersion"], OLD);
        assert_eq!(initialized["serverInfo"]["name"], "agentframer");
        assert!(initialized["instructions"].as_str().unwrap().contains("idempotency_key"));
    }

    async fn the_list_is_what_the_policy_allows(on) {
        let server = TestServer::start(on).await;
        let list = server.mcp().result("tools/list", json!({})).await;
        assert_eq!(names(&list), ["generate_image", "generate_video", "get_credits", "list_recent_generations"]);
        assert_eq!((&list["cacheScope"], &list["resultType"]), (&json!("private"), &json!("complete")));
        assert!(list["ttlMs"].is_u64());
        for tool in list["tools"].as_array().unwrap() {
            assert!(tool["title"].is_string() && tool["inputSchema"].is_object() && tool["outputSchema"].is_object());
            assert!(tool["annotations"]["readOnlyHint"].is_boolean() && tool["annotations"]["destructiveHint"].is_boolean());
        }
        let policy = json!({ "permissions": ["get_credits", "delete_workspace"], "denied": [] });
        server.engine.update_policy(&server.admin().await, &server.made.agent_id, policy).await.unwrap();
        let list = server.mcp().old().result("tools/list", json!({})).await;
        assert_eq!(names(&list), ["get_credits", "delete_workspace"]);
        assert_eq!(list["tools"][1]["annotations"]["destructiveHint"], true);
    }

    async fn an_image_is_made_paid_and_linked(on) {
        let server = TestServer::start(on).await;
        for mcp in [server.mcp(), server.mcp().old()] {
            let made = mcp.image().await;
            assert_eq!((&made["cost_usd"], &made["region"]), (&json!(0.042), &json!("eu-west-1")));
            let file = server.http.get(made["result_url"].as_str().unwrap()).send().await.unwrap();
            assert_eq!(file.headers()["content-type"], "image/png");
            assert!(file.bytes().await.unwrap().starts_with(b"\x89PNG"));
        }
        assert_eq!(server.balance().await, "99.916");
        let listed = server.mcp().call("list_recent_generations", json!({})).await;
        assert_eq!(listed["structuredContent"]["items"].as_array().unwrap().len(), 2);
        assert!(server.engine.check().await.unwrap().is_empty());
    }

    async fn a_result_carries_text_and_links(on) {
        let server = TestServer::start(on).await;
        let arguments = json!({ "prompt": "a fox", "width": 64, "height": 64, "count": 2 });
        let result = server.mcp().call("generate_image", arguments).await;
        let kinds: Vec<&str> =
            result["content"].as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["text", "resource_link", "resource_link"]);
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, result["structuredContent"]);
    }

    async fn a_denied_tool_is_a_result_with_a_code(on) {
        let server = TestServer::start(on).await;
        let arguments = json!({ "amount_usd": 5, "reference": "x" });
        let result = server.mcp().call("top_up_balance", arguments).await;
        assert_eq!(result["isError"], true);
        assert_eq!(result["structuredContent"]["error"]["code"], "tool_denied");
        assert_eq!(server.balance().await, "100");
    }

    async fn the_request_id_is_one_everywhere(on) {
        let server = TestServer::start(on).await;
        let call = json!({ "name": "generate_image", "arguments": { "prompt": "a fox", "width": 64, "height": 64 } });
        let response = server.mcp().request("tools/call", call).send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let (_, answer) = read(response).await;
        assert_eq!(answer["result"]["structuredContent"]["request_id"], id.as_str());
        let (_, page) = server.rest_json(reqwest::Method::GET, &format!("/audit?request_id={id}"), None).await;
        assert_eq!(page["items"][0]["request_id"], id.as_str());
    }

    async fn progress_is_sent_where_it_is_asked_for(on) {
        let server = TestServer::start(on).await;
        let call = json!({
            "name": "generate_video", "arguments": { "prompt": "a fox", "width": 64, "height": 64, "duration_s": 1 },
            "_meta": { "progressToken": "p1" }
        });
        for mcp in [server.mcp(), server.mcp().old()] {
            let response = mcp.request("tools/call", call.clone()).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
            let stream = response.text().await.unwrap();
            let messages: Vec<Value> = stream
                .lines()
                .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
                .collect();
            assert_eq!(messages[0]["method"], "notifications/progress", "{stream}");
            assert_eq!(messages[0]["params"]["progressToken"], "p1");
            assert_eq!(messages.last().unwrap()["result"]["isError"], false, "{stream}");
        }
    }

    async fn get_and_delete_are_405(on) {
        let server = TestServer::start(on).await;
        for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
            let request = server.http.request(method, server.mcp().url).bearer_auth(&server.made.agent_token);
            let request = request.header("accept", "text/event-stream");
            assert_eq!(request.send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
        }
    }
}
