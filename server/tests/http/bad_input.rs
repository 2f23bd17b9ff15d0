//! Every bad input names its field, costs nothing and stores nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{Databases, TestServer, both_engines, read};

async fn assert_problem(server: &TestServer, method: Method, below: &str, body: Value, field: &str) {
    let (status, problem) = server.rest_json(method, below, Some(body.clone())).await;
    assert!(status.is_client_error(), "{below} {body}: {status} {problem}");
    assert_eq!(problem["field"], field, "{below} {body}: {problem}");
}

async fn assert_argument(server: &TestServer, tool: &str, arguments: Value, field: &str) {
    let result = server.mcp().call(tool, arguments.clone()).await;
    let error = &result["structuredContent"]["error"];
    assert_eq!(
        (&result["isError"], &error["code"]),
        (&json!(true), &json!("invalid_argument")),
        "{arguments}: {result}"
    );
    assert_eq!(error["field"], field, "{arguments}: {result}");
}

both_engines! {
    async fn of_the_rest_api(on) {
        let server = TestServer::start(on).await;
        let post = Method::POST;
        assert_problem(&server, post.clone(), "/top-ups", json!({ "amount_usd": -1, "reference": "x" }), "amount_usd").await;
        assert_problem(&server, post.clone(), "/top-ups", json!({ "amount_usd": 0, "reference": "x" }), "amount_usd").await;
        assert_problem(&server, post.clone(), "/top-ups", json!({ "amount_usd": "5", "reference": "x" }), "amount_usd").await;
        assert_problem(&server, post.clone(), "/top-ups", json!({ "amount_usd": 0.0000001, "reference": "x" }), "amount_usd").await;
        assert_problem(&server, post.clone(), "/top-ups", json!({ "amount_usd": 1e30, "reference": "x" }), "amount_usd").await;
        assert_problem(&server, post.clone(), "/top-ups", json!({ "amount_usd": 5, "reference": " " }), "reference").await;
        assert_problem(&server, post.clone(), "/top-ups", json!({ "amount_usd": 5 }), "reference").await;
        assert_problem(&server, post.clone(), "/top-ups", json!({ "amount_usd": 5, "reference": "x", "more": 1 }), "more").await;
        assert_problem(&server, post.clone(), "/agents", json!({ "name": "No Spaces" }), "name").await;
        assert_problem(&server, post.clone(), "/agents", json!({ "name": "growth-bot" }), "name").await;
        let policy = |policy: Value| json!({ "name": "b", "policy": policy });
        assert_problem(&server, post.clone(), "/agents", policy(json!({ "permissions": ["fly"] })), "permissions[0]").await;
        assert_problem(&server, post.clone(), "/agents", policy(json!({ "ip_allowlist": ["10.0.0.0/99"] })), "ip_allowlist[0]").await;
        assert_problem(&server, post.clone(), "/agents", policy(json!({ "extra": 1 })), "extra").await;
        assert_problem(&server, post.clone(), "/members", json!({ "email": "nobody", "role": "viewer" }), "email").await;
        assert_problem(&server, post.clone(), "/members", json!({ "email": "a@b.example", "role": "king" }), "role").await;
        assert_problem(&server, Method::PUT, "/caps", json!({ "call_usd": -1 }), "call_usd").await;
        assert_problem(&server, Method::PUT, "/caps", json!({ "soft_alert_pct": 101 }), "soft_alert_pct").await;
        assert_problem(&server, Method::PUT, "/caps", json!({ "call": 1 }), "call").await;
        let rotate = format!("/agents/{}/rotate", server.made.agent_id);
        assert_problem(&server, post, &rotate, json!({ "overlap_hours": 169 }), "overlap_hours").await;
        assert_eq!(server.balance().await, "100");
    }

    async fn of_lists(on) {
        let server = TestServer::start(on).await;
        let cases = [
            ("/ledger?limit=0", "limit"),
            ("/ledger?limit=many", "limit"),
            ("/ledger?cursor=nonsense", "cursor"),
            ("/ledger?page=2", "page"),
            ("/audit?from=yesterday", "from"),
            ("/audit?min_cost_usd=cheap", "min_cost_usd"),
            ("/audit?kind=all", "kind"),
            ("/audit?tool=a&tool=b", "tool"),
            ("/generations?limit=201", "limit"),
        ];
        for (path, field) in cases {
            let (status, problem) = server.rest_json(Method::GET, path, None).await;
            assert_eq!((status, &problem["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)), "{path}: {problem}");
        }
    }

    async fn of_bodies(on) {
        let server = TestServer::start_with(on, |config| config.limits.body_bytes = 10_000).await;
        let send = |content_type: &'static str, body: Vec<u8>| {
            let request = server.rest(Method::POST, "/top-ups").header("content-type", content_type).body(body);
            async { read(request.send().await.unwrap()).await }
        };
        let json_type = "application/json";
        for body in [&b"{"[..], b"[]", b"\"\xff\xfe\"", b""] {
            let (status, problem) = send(json_type, body.to_vec()).await;
            assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("body")), "{problem}");
        }
        let (status, problem) = send(json_type, vec![b' '; 20_000]).await;
        assert_eq!((status, &problem["field"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("body")));
        assert_eq!(send("text/plain", b"{}".to_vec()).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }

    async fn of_tools(on) {
        let server = TestServer::start(on).await;
        let image = |field: &str, value: Value| {
            let mut arguments = json!({ "prompt": "a fox" });
            arguments[field] = value;
            arguments
        };
        let long = "x".repeat(1_000_000);
        for (field, value) in [
            ("prompt", json!("")),
            ("prompt", json!(5)),
            ("prompt", json!(long)),
            ("model", json!("no-such-model")),
            ("width", json!(1)),
            ("height", json!(100_000)),
            ("count", json!(0)),
            ("count", json!(11)),
            ("seed", json!(-1)),
            ("more", json!(1)),
        ] {
            assert_argument(&server, "generate_image", image(field, value), field).await;
        }
        assert_argument(&server, "generate_image", json!({}), "prompt").await;
        assert_argument(&server, "generate_video", json!({ "prompt": "a fox", "duration_s": 0 }), "duration_s").await;
        assert_argument(&server, "list_recent_generations", json!({ "limit": 0 }), "limit").await;
        assert_eq!(server.balance().await, "100");
    }

    async fn of_money_by_tools(on) {
        let server = TestServer::start(on).await;
        let policy = json!({ "permissions": ["top_up_balance", "invite_team_member", "delete_workspace"], "denied": [] });
        server.engine.update_policy(&server.admin().await, &server.made.agent_id, policy).await.unwrap();
        assert_argument(&server, "top_up_balance", json!({ "amount_usd": -5, "reference": "x" }), "amount_usd").await;
        assert_argument(&server, "invite_team_member", json!({ "email": "x", "role": "viewer" }), "email").await;
        assert_argument(&server, "delete_workspace", json!({ "confirm": "Other" }), "confirm").await;
        assert_eq!(server.balance().await, "100");
    }
}
