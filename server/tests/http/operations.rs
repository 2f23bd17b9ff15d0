//! Alive, ready, counted; and what every answer carries.

use agentframer::engine::config::Config;
use reqwest::StatusCode;

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
