//! The table of refusals in contract §2, one test a line.

use agentframer::domain::time::DAY;
use agentframer::engine::config::Config;
use reqwest::{Response, StatusCode};
use serde_json::json;

use super::support::{Databases, Mcp, TestServer, both_engines, path_of, read};

async fn listed(mcp: &Mcp<'_>) -> Response {
    mcp.request("tools/list", json!({})).send().await.unwrap()
}

async fn assert_unauthorized(mcp: &Mcp<'_>) {
    let response = listed(mcp).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
}

both_engines! {
    async fn without_a_token_401(on) {
        let server = TestServer::start(on).await;
        assert_unauthorized(&Mcp { token: None, ..server.mcp() }).await;
    }

    async fn an_unknown_token_401(on) {
        let server = TestServer::start(on).await;
        assert_unauthorized(&Mcp { token: Some("af_agent_unknown".into()), ..server.mcp() }).await;
    }

    async fn a_revoked_agents_token_401(on) {
        let server = TestServer::start(on).await;
        assert_eq!(listed(&server.mcp()).await.status(), StatusCode::OK);
        server.engine.revoke_agent(&server.admin().await, &server.made.agent_id).await.unwrap();
        assert_unauthorized(&server.mcp()).await;
    }

    async fn a_rotated_token_without_overlap_401(on) {
        let server = TestServer::start(on).await;
        server.engine.rotate_agent(&server.admin().await, &server.made.agent_id, Some(0)).await.unwrap();
        assert_unauthorized(&server.mcp()).await;
    }

    async fn an_expired_token_401(on) {
        let server = TestServer::start(on).await;
        server.clock.advance(96 * DAY);
        assert_eq!(listed(&server.mcp()).await.status(), StatusCode::OK, "within the grace");
        server.clock.advance(DAY);
        assert_unauthorized(&server.mcp()).await;
    }

    async fn an_api_key_never_works_401(on) {
        let server = TestServer::start(on).await;
        assert_unauthorized(&Mcp { token: Some(server.made.api_key.clone()), ..server.mcp() }).await;
        assert_unauthorized(&Mcp { token: Some("a long enough passphrase".into()), ..server.mcp() }).await;
    }

    async fn unknown_workspace_wrong_key_foreign_token_one_404(on) {
        let server = TestServer::start(on).await;
        let other = server.other().await;
        let own = server.mcp_path();
        let (prefix, _) = own.rsplit_once('/').unwrap();
        let paths = [
            "/mcp/ws_doesnotexist1/abcdefgh".to_owned(),
            "/mcp/nonsense/abcdefgh".to_owned(),
            format!("{prefix}/wrongkey"),
            path_of(&other.mcp_url),
        ];
        let mut bodies = Vec::new();
        for path in paths {
            let response = listed(&Mcp { url: server.url(&path), ..server.mcp() }).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            bodies.push(response.text().await.unwrap());
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
    }

    async fn an_address_outside_the_allowlist_403(on) {
        let server = TestServer::start(on).await;
        let policy = json!({ "ip_allowlist": ["203.0.113.0/24"] });
        server.engine.update_policy(&server.admin().await, &server.made.agent_id, policy).await.unwrap();
        let response = server.mcp().request("tools/list", json!({})).header("x-forwarded-for", "203.0.113.9");
        assert_eq!(response.send().await.unwrap().status(), StatusCode::FORBIDDEN, "nobody vouches for the header");
    }

    async fn a_trusted_proxys_address_counts(on) {
        let trust = |config: &mut Config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let server = TestServer::start_with(on, trust).await;
        let policy = json!({ "ip_allowlist": ["203.0.113.0/24"] });
        server.engine.update_policy(&server.admin().await, &server.made.agent_id, policy).await.unwrap();
        let from = |forwarded: &'static str| {
            let request = server.mcp().request("tools/list", json!({})).header("x-forwarded-for", forwarded);
            async { request.send().await.unwrap().status() }
        };
        assert_eq!(from("203.0.113.9").await, StatusCode::OK);
        assert_eq!(from("203.0.113.9, 198.51.100.1").await, StatusCode::FORBIDDEN);
        assert_eq!(from("203.0.113.9, nonsense").await, StatusCode::BAD_REQUEST);
    }

    async fn too_many_calls_429(on) {
        let server = TestServer::start_with(on, |config| config.limits.calls_per_minute_per_agent = 2).await;
        for _ in 0..2 {
            assert_eq!(listed(&server.mcp()).await.status(), StatusCode::OK);
        }
        let response = listed(&server.mcp()).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds));
    }

    async fn a_region_of_another_node_421(on) {
        let server = TestServer::start(on).await;
        let node = server.second_node(|config| config.cells.retain(|cell| cell.name == "us")).await;
        let there = Mcp { url: format!("{node}{}", server.mcp_path()), ..server.mcp() };
        let response = listed(&there).await;
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
        let text = response.text().await.unwrap();
        assert!(!text.contains("Growth") && !text.contains(server.made.workspace_id.as_str()), "{text}");
        let (prefix, _) = there.url.rsplit_once('/').unwrap();
        let guessed = listed(&Mcp { url: format!("{prefix}/guess"), ..there.clone() }).await;
        assert_ne!(guessed.status(), StatusCode::MISDIRECTED_REQUEST, "a guesser learns nothing");
    }

    async fn a_body_over_the_limit_413(on) {
        let server = TestServer::start_with(on, |config| config.limits.body_bytes = 10_000).await;
        let long = "x".repeat(20_000);
        let request = server.mcp().request("tools/call", json!({ "name": "generate_image", "arguments": { "prompt": long } }));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(server.balance().await, "100");
    }

    async fn what_is_no_json_rpc_gets_its_error(on) {
        let server = TestServer::start(on).await;
        for (body, code) in [("{", -32700), ("\u{fffd}", -32700), ("5", -32600), ("{\"a\": 1}", -32600), ("[]", -32600)] {
            let request = server.http.post(server.url(&server.mcp_path())).bearer_auth(&server.made.agent_token);
            let request = request.header("accept", "application/json, text/event-stream");
            let request = request.header("content-type", "application/json").body(body);
            let (status, answer) = read(request.send().await.unwrap()).await;
            assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{body}: {answer}");
        }
    }

    async fn wrong_params_are_32602_and_unknown_methods_32601(on) {
        let server = TestServer::start(on).await;
        for mcp in [server.mcp(), server.mcp().old()] {
            let (_, answer) = mcp.send("tools/call", json!({ "name": "no_such_tool", "arguments": {} })).await;
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
            let (_, answer) = mcp.send("no/such/method", json!({})).await;
            assert_eq!(answer["error"]["code"], -32601, "{answer}");
        }
        let (_, answer) = server.mcp().old().send("tools/call", json!({ "name": 5 })).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }

    async fn a_foreign_host_or_origin_403(on) {
        let server = TestServer::start(on).await;
        for (header, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
            let request = server.mcp().request("tools/list", json!({})).header(header, value);
            assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{header}");
        }
    }
}
