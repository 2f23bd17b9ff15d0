//! What an agent can do once it is in.

use std::time::Duration;

use agentframer::domain::policy::Tool;
use agentframer::engine::calls::providers::Act;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::openapi::faults;
use super::support::{Databases, Mcp, NEW, OLD, TestServer, both_engines, read};

fn names(list: &Value) -> Vec<&str> {
    list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

/// What of a tool's answer its output schema does not describe.
fn misfits(schema: &Value, answer: &Value) -> Vec<String> {
    let fields = answer.as_object().unwrap();
    let mut found: Vec<String> = fields
        .iter()
        .flat_map(|(name, value)| match schema["properties"].get(name) {
            Some(property) => faults(schema, property, value, name),
            None => vec![format!("{name} is not described")],
        })
        .collect();
    let has_all = |choice: &Value| {
        choice["required"].as_array().unwrap().iter().all(|name| fields.contains_key(name.as_str().unwrap()))
    };
    if !schema["anyOf"].as_array().unwrap().iter().any(has_all) {
        found.push("neither an answer nor an error".to_owned());
    }
    found
}

/// The messages of an event stream.
fn messages(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|text| serde_json::from_str(text.trim()).ok()).collect()
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

    async fn answers_and_refusals_fit_the_declared_schemas(on) {
        let server = TestServer::start(on).await;
        let all: Vec<&str> = Tool::ALL.iter().map(|tool| tool.as_str()).collect();
        let policy = json!({ "permissions": all, "denied": [] });
        server.engine.update_policy(&server.admin().await, &server.made.agent_id, policy).await.unwrap();
        let caps = serde_json::from_value(json!({ "workspace_month_usd": 50 })).unwrap();
        server.engine.set_caps(&server.admin().await, &caps).await.unwrap();
        let list = server.mcp().result("tools/list", json!({})).await;
        let fox = json!({ "prompt": "a fox", "width": 64, "height": 64 });
        let two = json!({ "prompt": "a fox", "width": 64, "height": 64, "count": 2 });
        let calls = [
            ("generate_image", fox),
            ("generate_image", two),
            ("generate_image", json!({ "prompt": "" })),
            ("generate_video", json!({ "prompt": "a fox", "width": 64, "height": 64, "duration_s": 1 })),
            ("generate_video", json!({})),
            ("get_credits", json!({ "tool": "generate_image" })),
            ("get_credits", json!({ "tool": "fly" })),
            ("list_recent_generations", json!({ "limit": 1 })),
            ("list_recent_generations", json!({ "limit": 0 })),
            ("invite_team_member", json!({ "email": "vi@example.com", "role": "viewer" })),
            ("invite_team_member", json!({ "email": "vi" })),
            ("top_up_balance", json!({ "amount_usd": 1.5, "reference": "x" })),
            ("top_up_balance", json!({ "amount_usd": -1 })),
            ("delete_workspace", json!({ "confirm": "no" })),
            ("delete_workspace", json!({ "confirm": "Growth" })),
        ];
        for (tool, arguments) in calls {
            let answer = server.mcp().call(tool, arguments).await["structuredContent"].clone();
            let declared = list["tools"].as_array().unwrap().iter().find(|declared| declared["name"] == tool).unwrap();
            assert_eq!(misfits(&declared["outputSchema"], &answer), Vec::<String>::new(), "{tool}: {answer}");
        }
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

    async fn progress_is_sent_where_it_is_asked_for_and_always_rises(on) {
        let slow = Act::Delay(Duration::from_millis(2_300));
        let server = TestServer::scripted(on, [slow.clone(), slow]).await;
        let arguments = json!({ "prompt": "a fox", "width": 64, "height": 64, "duration_s": 1 });
        let call = json!({ "name": "generate_video", "arguments": arguments, "_meta": { "progressToken": "p1" } });
        for mcp in [server.mcp(), server.mcp().old()] {
            let response = mcp.request("tools/call", call.clone()).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
            assert_eq!(response.headers()["x-accel-buffering"], "no");
            let mut messages = messages(&response.text().await.unwrap());
            assert_eq!(messages.pop().unwrap()["result"]["isError"], false);
            assert!(messages.iter().all(|message| message["method"] == "notifications/progress"), "{messages:?}");
            assert!(messages.iter().all(|message| message["params"]["progressToken"] == "p1"));
            let values: Vec<f64> =
                messages.iter().map(|message| message["params"]["progress"].as_f64().unwrap()).collect();
            assert!(values.len() >= 3 && values.is_sorted_by(|one, next| one < next), "{values:?}");
        }
    }

    async fn without_a_token_there_is_no_progress(on) {
        let server = TestServer::scripted(on, [Act::Delay(Duration::from_millis(1_200))]).await;
        let call = json!({ "name": "generate_image", "arguments": { "prompt": "a fox" } });
        let response = server.mcp().request("tools/call", call).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
    }

    async fn faults_of_the_protocol_have_the_codes_of_the_specification(on) {
        let server = TestServer::start(on).await;
        let mcp = server.mcp();
        let send = async |request: RequestBuilder| {
            let (status, answer) = read(request.send().await.unwrap()).await;
            (status.as_u16(), answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{answer}")))
        };
        let list = mcp.request("tools/list", json!({})).build().unwrap();
        let replaced = |name: &'static str, value: &'static str| {
            let mut request = list.try_clone().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
            RequestBuilder::from_parts(server.http.clone(), request)
        };
        assert_eq!(send(replaced("mcp-method", "tools/call")).await, (400, -32020), "header and body differ");
        assert_eq!(send(replaced("mcp-protocol-version", "2099-01-01")).await.0, 400, "a revision of the future");
        let future = Mcp { version: "2099-01-01", ..server.mcp() };
        let meta = json!({ "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2099-01-01", "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" }
        } });
        let request = future.request("tools/list", meta).header("mcp-method", "tools/list");
        assert_eq!(send(request).await, (400, -32022), "an unknown revision");
    }

    async fn the_older_revision_shakes_hands_and_pings(on) {
        let server = TestServer::start(on).await;
        let old = server.mcp().old();
        let notified = server.http.post(&old.url).bearer_auth(&server.made.agent_token);
        let notified = notified.header("accept", "application/json, text/event-stream").header("mcp-protocol-version", OLD);
        let notified = notified.json(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        assert_eq!(notified.send().await.unwrap().status(), StatusCode::ACCEPTED);
        assert!(old.result("ping", json!({})).await.is_object());
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
