//! Every bad input names its field, costs nothing and stores nothing.

use agentframer::domain::time::DAY;
use agentframer::engine::access::people::NewPerson;
use agentframer::engine::access::scope::Origin;
use agentframer::engine::access::workspaces::NewWorkspace;
use agentframer::engine::error::Error;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{Databases, TestServer, bootstrap, both_engines, read};

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

/// Nothing was charged and nothing stored: all is as set-up left it.
async fn assert_untouched(server: &TestServer) {
    assert_eq!(server.balance().await, "100");
    for (list, rows) in [("/ledger", 1), ("/generations", 0), ("/agents", 1), ("/members", 1)] {
        let (_, found) = server.rest_json(Method::GET, list, None).await;
        assert_eq!(found["items"].as_array().unwrap().len(), rows, "{list}: {found}");
    }
    let media = server.databases.folder.path().join("media").join("eu");
    let workspace = media.join(server.made.workspace_id.as_str());
    assert!(!workspace.exists(), "a file was stored");
    assert!(server.engine.check().await.unwrap().is_empty());
}

/// A small picture's arguments with one more.
fn image(field: &str, value: Value) -> Value {
    let mut arguments = json!({ "prompt": "a fox" });
    arguments[field] = value;
    arguments
}

async fn assert_images(server: &TestServer, wrong: impl IntoIterator<Item = (&str, Value)>) {
    for (field, value) in wrong {
        assert_argument(server, "generate_image", image(field, value), field).await;
    }
    assert_untouched(server).await;
}

async fn allow(server: &TestServer, tools: &[&str]) {
    let policy = json!({ "permissions": tools, "denied": [] });
    server.engine.update_policy(&server.admin().await, &server.made.agent_id, policy).await.unwrap();
}

fn new_workspace(name: &str, region: &str) -> NewWorkspace {
    NewWorkspace { name: name.into(), region: region.into() }
}

/// How many accounts the cells have, those of no workspace too.
async fn accounts(server: &TestServer) -> i64 {
    let config = server.databases.config();
    let mut found = 0;
    for cell in config.cells() {
        let pool = sqlx::AnyPool::connect(&config.cell_url(&cell)).await.unwrap();
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM accounts").fetch_one(&pool).await.unwrap();
        pool.close().await;
        found += count;
    }
    found
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
        assert_untouched(&server).await;
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

    async fn every_argument_out_of_range(on) {
        let server = TestServer::start(on).await;
        let mut wrong = vec![("prompt", json!(" ")), ("prompt", json!(5)), ("more", json!(1)), ("subject", json!("s".repeat(201)))];
        wrong.extend([json!(0), json!(63), json!(2_049), json!(100_000), json!(1.5), json!("64")].map(|value| ("width", value)));
        wrong.extend([json!(0), json!(63), json!(2_049), json!(-64)].map(|value| ("height", value)));
        wrong.extend([json!(0), json!(11), json!(1_001), json!(-1)].map(|value| ("count", value)));
        wrong.extend([json!(-1), json!(0.5), json!("seed")].map(|value| ("seed", value)));
        wrong.extend([json!(""), json!("k".repeat(201)), json!(5)].map(|value| ("idempotency_key", value)));
        assert_images(&server, wrong).await;
        assert_argument(&server, "generate_image", json!({}), "prompt").await;
        for seconds in [json!(0), json!(21), json!(4_000), json!(1.5), json!("1")] {
            assert_argument(&server, "generate_video", json!({ "prompt": "a fox", "duration_s": seconds }), "duration_s").await;
        }
        for limit in [json!(0), json!(201), json!(-1), json!("ten")] {
            assert_argument(&server, "list_recent_generations", json!({ "limit": limit }), "limit").await;
        }
        assert_argument(&server, "list_recent_generations", json!({ "cursor": "nonsense" }), "cursor").await;
        assert_argument(&server, "list_recent_generations", json!({ "tool": "get_credits" }), "tool").await;
        assert_argument(&server, "get_credits", json!({ "tool": "delete_workspace" }), "tool").await;
        assert_argument(&server, "get_credits", json!({ "tool": "generate_image", "width": 1 }), "width").await;
        assert_untouched(&server).await;
    }

    async fn a_prompt_of_1_mb(on) {
        let server = TestServer::start(on).await;
        assert_images(&server, [("prompt", json!("x".repeat(1_000_000)))]).await;
    }

    async fn invalid_utf8(on) {
        let server = TestServer::start(on).await;
        let body = [&br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"generate_image","arguments":{"prompt":""#[..], b"\xff\xfe", br#""}}}"#].concat();
        let request = server.http.post(server.mcp().url).bearer_auth(&server.made.agent_token);
        let request = request.header("accept", "application/json, text/event-stream").header("content-type", "application/json");
        let (status, answer) = read(request.body(body).send().await.unwrap()).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32700)), "{answer}");
        let body = [&br#"{"amount_usd":5,"reference":""#[..], b"\xff", br#""}"#].concat();
        let request = server.rest(Method::POST, "/top-ups").header("content-type", "application/json").body(body);
        let (status, problem) = read(request.send().await.unwrap()).await;
        assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("body")), "{problem}");
        let (status, problem) = server.rest_json(Method::GET, "/ledger?cursor=%ff", None).await;
        assert_eq!((status, &problem["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("cursor")), "{problem}");
        assert_untouched(&server).await;
    }

    async fn an_unknown_model(on) {
        let server = TestServer::start(on).await;
        assert_images(&server, [json!("no-such-model"), json!("sketch-video-1"), json!(""), json!(1)].map(|model| ("model", model))).await;
        let policy = json!({ "name": "b", "policy": { "models": ["no-such-model"] } });
        assert_problem(&server, Method::POST, "/agents", policy, "models[0]").await;
        assert_untouched(&server).await;
    }

    async fn a_negative_top_up(on) {
        let server = TestServer::start(on).await;
        allow(&server, &["top_up_balance"]).await;
        for amount in [json!(-5), json!(0), json!(-0.000001), json!(1e30), json!(0.0000001), json!("5"), Value::Null] {
            let arguments = json!({ "amount_usd": amount, "reference": "x" });
            assert_argument(&server, "top_up_balance", arguments.clone(), "amount_usd").await;
            assert_problem(&server, Method::POST, "/top-ups", arguments, "amount_usd").await;
        }
        assert_argument(&server, "top_up_balance", json!({ "amount_usd": 5, "reference": " " }), "reference").await;
        assert_argument(&server, "top_up_balance", json!({ "amount_usd": 5 }), "reference").await;
        assert_untouched(&server).await;
    }

    async fn a_wrong_invitation_or_deletion_by_a_tool(on) {
        let server = TestServer::start(on).await;
        allow(&server, &["invite_team_member", "delete_workspace"]).await;
        assert_argument(&server, "invite_team_member", json!({ "email": "x", "role": "viewer" }), "email").await;
        assert_argument(&server, "invite_team_member", json!({ "email": "x@example.com", "role": "king" }), "role").await;
        assert_argument(&server, "delete_workspace", json!({ "confirm": "Other" }), "confirm").await;
        assert_argument(&server, "delete_workspace", json!({}), "confirm").await;
        assert_untouched(&server).await;
    }

    async fn a_region_that_does_not_exist(on) {
        let server = TestServer::start(on).await;
        let made = server.engine.create_workspace(&server.made.user_id, new_workspace("Second", "mars-1"), server.origin()).await;
        assert!(matches!(&made, Err(Error::Field(fault)) if fault.field == "region"), "{made:?}");
        assert_eq!(accounts(&server).await, 1);
        assert_untouched(&server).await;
    }

    async fn two_workspaces_of_one_name_by_one_person(on) {
        let server = TestServer::start(on).await;
        let make = |name: &str, region: &str| {
            server.engine.create_workspace(&server.made.user_id, new_workspace(name, region), server.origin())
        };
        for (name, region) in [("Growth", "eu-west-1"), (" Growth ", "eu-west-1"), ("Growth", "us-east-1")] {
            let made = make(name, region).await;
            assert!(matches!(&made, Err(Error::Field(fault)) if fault.field == "workspace_name"), "{made:?}");
        }
        assert_eq!(accounts(&server).await, 1, "nor is an account left behind");
        assert_untouched(&server).await;
        make("Growth 2", "eu-west-1").await.unwrap();
        server.engine.bootstrap(bootstrap("eve@example.com", "Growth", "0")).await.unwrap();
    }

    async fn an_expired_set_up_link(on) {
        let databases = on;
        let server = TestServer::empty(&databases).await;
        let token = server.issue_setup_token().await.unwrap().unwrap();
        server.check_setup_token(&token).await.unwrap();
        server.clock().advance(DAY);
        let person = NewPerson { email: "ada@example.com".into(), name: "Ada".into(), password: "a long enough passphrase".into() };
        let origin = Origin::new(server.new_request_id(), None);
        let made = server.set_up(&token, person, new_workspace("Growth", "eu-west-1"), origin).await;
        assert!(matches!(&made, Err(Error::Ended(says)) if says.contains("link")), "{made:?}");
        assert!(server.setup_pending().await.unwrap(), "nothing was stored");
        assert!(server.issue_setup_token().await.unwrap().is_some(), "the next start prints a new one");
    }
}
