//! Usage: sums that add up to the ledger, and the page's words.

use agentframer::domain::access::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::browser::{open, session_of};
use super::support::{Databases, TestServer, both_engines};

both_engines! {
    async fn sums_add_up_to_the_ledger(on) {
        let server = TestServer::with_money(on, "10").await;
        for _ in 0..3 {
            server.mcp().image().await;
        }
        for group in ["user", "tool", "model", "kind"] {
            for interval in ["hour", "day", "month"] {
                let path = format!("/usage?group_by={group}&interval={interval}");
                let (status, usage) = server.rest_json(Method::GET, &path, None).await;
                assert_eq!(status, StatusCode::OK, "{usage}");
                let spent: f64 = usage["items"].as_array().unwrap().iter().map(|item| item["cost_usd"].as_f64().unwrap()).sum();
                assert!((spent - 0.126).abs() < 1e-9 && usage["totals"]["cost_usd"] == json!(0.126), "{usage}");
                assert_eq!((&usage["totals"]["images"], &usage["previous"]["calls"]), (&json!(3), &json!(0)));
            }
        }
        let csv = server.rest(Method::GET, "/usage").header("accept", "text/csv").send().await.unwrap().text().await.unwrap();
        assert!(csv.starts_with("start,key,calls,cost_usd") && csv.contains("agent.growth-bot"), "{csv}");
        for wrong in ["interval=week", "group_by=colour", "from=yesterday", "interval=hour&from=2020-01-01T00:00:00Z"] {
            let (status, problem) = server.rest_json(Method::GET, &format!("/usage?{wrong}"), None).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {problem}");
        }
    }

    async fn a_viewer_sees_the_spend_and_takes_it_along(on) {
        let server = TestServer::with_money(on, "10").await;
        server.mcp().image().await;
        let viewer = session_of(&server, Role::Viewer).await;
        let page = format!("/w/{}/usage", server.made.workspace_id);
        let text = open(&server, &page, Some(&viewer)).await.text().await.unwrap();
        for shown in ["$0.042", "agent.growth-bot", "This month", "Forecast"] {
            assert!(text.contains(shown), "{shown}");
        }
        let file = open(&server, &format!("{page}/download?format=json&group_by=model"), Some(&viewer)).await;
        let rows: serde_json::Value = file.json().await.unwrap();
        assert_eq!((&rows[0]["key"], &rows[0]["cost_usd"]), (&json!("sketch-image-1"), &json!(0.042)));
    }
}
