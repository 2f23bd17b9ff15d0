//! Alive, ready, counted; and what every answer carries.

use agentframer::engine::config::Config;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::support::{Databases, TestServer, both_engines, read};

both_engines! {
    async fn health_and_readiness_are_open(on) {
        let server = TestServer::start(on).await;
        let alive = server.http.get(server.url("/healthz")).send().await.unwrap();
        assert_eq!(alive.status(), StatusCode::OK);
        let (status, ready) = read(server.http.get(server.url("/readyz")).send().await.unwrap()).await;
        assert_eq!((status, &ready["ready"]), (StatusCode::OK, &true.into()), "{ready}");
        assert_eq!(ready["parts"].as_object().unwrap().len(), 5, "{ready}");
    }

    async fn a_database_that_does_not_answer_is_named_and_its_words_are_not(on) {
        let server = TestServer::start(on).await;
        server.mcp().result("tools/list", json!({})).await;
        server.engine.shutdown().await;
        let (status, ready) = read(server.http.get(server.url("/readyz")).send().await.unwrap()).await;
        assert_eq!((status, &ready["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &false.into()));
        assert_eq!(ready["parts"]["control database"], false, "{ready}");
        assert_eq!(server.http.get(server.url("/healthz")).send().await.unwrap().status(), StatusCode::OK);
        let (status, problem) = server.rest_json(Method::GET, "/credits", None).await;
        assert_eq!((status, &problem["title"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("Unavailable")), "{problem}");
        let call = server.mcp().request("tools/call", json!({ "name": "get_credits", "arguments": {} }));
        let text = call.send().await.unwrap().text().await.unwrap();
        for word in ["sqlx", "pool", "closed", "sqlite", "postgres"] {
            assert!(!problem.to_string().contains(word) && !text.contains(word), "{problem} {text}");
        }
    }

    async fn metrics_count_routes_not_addresses_or_made_up_methods(on) {
        let server = TestServer::start(on).await;
        server.rest_json(Method::GET, "/credits", None).await;
        let made_up = Method::from_bytes(b"MADEUP").unwrap();
        server.http.request(made_up, server.url("/no/such/page")).send().await.unwrap();
        let text = server.http.get(server.url("/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(text.contains("route=\"/api/v1/workspaces/{ws}/credits\""), "{text}");
        assert!(!text.contains(server.made.workspace_id.as_str()) && !text.contains("MADEUP"), "{text}");
        assert!(text.contains("agentframer_http_request_seconds_bucket"), "{text}");
    }

    async fn metrics_are_for_this_machine_and_allowed_networks(on) {
        let trust = |config: &mut Config| {
            config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
            config.metrics_allow = vec!["10.0.0.0/8".parse().unwrap()];
        };
        let server = TestServer::start_with(on, trust).await;
        server.mcp().image().await;
        let get = |forwarded: Option<&'static str>| {
            let request = server.http.get(server.url("/metrics"));
            let request = forwarded.into_iter().fold(request, |request, from| request.header("x-forwarded-for", from));
            async { request.send().await.unwrap() }
        };
        let text = get(None).await.text().await.unwrap();
        assert!(text.contains("agentframer_http_requests_total") && text.contains("agentframer_calls_total"), "{text}");
        assert_eq!(get(Some("10.1.2.3")).await.status(), StatusCode::OK);
        assert_eq!(get(Some("203.0.113.9")).await.status(), StatusCode::FORBIDDEN);
    }

    async fn an_untrusted_proxy_on_this_machine_reads_no_metrics(on) {
        let server = TestServer::start(on).await;
        let request = server.http.get(server.url("/metrics")).header("x-forwarded-for", "127.0.0.1");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }

    async fn every_answer_is_guarded(on) {
        let server = TestServer::start(on).await;
        for path in ["/healthz", "/api/v1/openapi.json", "/media/x", "/mcp/a/b", "/no/such/page"] {
            let response = server.http.get(server.url(path)).send().await.unwrap();
            let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
            assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(header("referrer-policy"), "same-origin", "{path}");
            assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
            assert!(header("x-request-id").starts_with("req_"), "{path}");
            assert_eq!(header("strict-transport-security"), "", "not over http");
        }
    }

    async fn https_is_made_to_stick(on) {
        let https = |config: &mut Config| config.public_url = Some("https://frames.example.com".parse().unwrap());
        let server = TestServer::start_with(on, https).await;
        let response = server.http.get(server.url("/healthz")).send().await.unwrap();
        assert!(response.headers()["strict-transport-security"].to_str().unwrap().starts_with("max-age=63072000"));
    }
}
