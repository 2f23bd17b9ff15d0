//! The REST API: what it answers, and to whom.

use agentframer::domain::access::{Permission, Role};
use agentframer::domain::audit::{Linked, Verifier};
use agentframer::domain::time::DAY;
use agentframer::engine::error::Error;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{Databases, TestServer, both_engines, read};

both_engines! {
    async fn a_workspace_is_run_by_key_alone(on) {
        let server = TestServer::start(on).await;
        let (status, topped_up) =
            server.rest_json(Method::POST, "/top-ups", Some(json!({ "amount_usd": 20.5, "reference": "INV-1" }))).await;
        assert_eq!((status, &topped_up["balance_usd"]), (StatusCode::CREATED, &json!(120.5)));
        assert_eq!((&topped_up["amount_usd"], &topped_up["reference"]), (&json!(20.5), &json!("INV-1")));
        let (_, credits) = server.rest_json(Method::GET, "/credits", None).await;
        assert_eq!(credits["available_usd"], 120.5);
        let (_, ledger) = server.rest_json(Method::GET, "/ledger?limit=1", None).await;
        assert_eq!(ledger["items"][0]["reference"], "INV-1");
        let next = ledger["next_cursor"].as_str().unwrap();
        let (_, rest) = server.rest_json(Method::GET, &format!("/ledger?cursor={next}"), None).await;
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
        let (_, workspace) = server.rest_json(Method::GET, "", None).await;
        assert_eq!((&workspace["name"], &workspace["mcp_url"]), (&json!("Growth"), &json!(server.made.mcp_url)));
    }

    async fn every_list_comes_in_pages(on) {
        let server = TestServer::start(on).await;
        for name in ["b-bot", "c-bot"] {
            server.rest_json(Method::POST, "/agents", Some(json!({ "name": name, "policy": {} }))).await;
        }
        for list in ["/agents", "/members", "/webhooks", "/models", "/holds", "/usage", "/generations", "/data-requests"] {
            let (status, problem) = server.rest_json(Method::GET, &format!("{list}?limit=0"), None).await;
            assert_eq!((status, problem["detail"].as_str().unwrap().starts_with("limit: ")), (StatusCode::UNPROCESSABLE_ENTITY, true), "{list}: {problem}");
            let (status, _) = server.rest_json(Method::GET, &format!("{list}?limit=1"), None).await;
            assert_eq!(status, StatusCode::OK, "{list}");
        }
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let (_, page) = server.rest_json(Method::GET, &format!("/agents?limit=2{cursor}"), None).await;
            names.extend(page["items"].as_array().unwrap().iter().map(|agent| agent["name"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(names, ["agent.b-bot", "agent.c-bot", "agent.growth-bot"]);
        let (status, _) = server.rest_json(Method::GET, "/agents?cursor=agent_0", None).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn a_body_whose_fields_may_all_be_absent_may_be_absent_itself(on) {
        let server = TestServer::start(on).await;
        let path = format!("/agents/{}", server.made.agent_id);
        let (status, rotated) = server.rest_json(Method::POST, &format!("{path}/rotate"), None).await;
        assert_eq!((status, rotated["token"].is_string()), (StatusCode::OK, true), "{rotated}");
        let filed = json!({ "kind": "access", "match": { "subject": "c-7" }, "received_on": "2026-03-01", "requested_by": "C" });
        let (_, filed) = server.rest_json(Method::POST, "/data-requests", Some(filed)).await;
        assert_eq!(filed["match"]["subject"], "c-7", "{filed}");
        let reject = format!("/data-requests/{}/reject", filed["id"].as_str().unwrap());
        let (status, problem) = server.rest_json(Method::POST, &reject, None).await;
        assert_eq!((status, problem["detail"].as_str().unwrap().contains("reason")), (StatusCode::UNPROCESSABLE_ENTITY, true), "{problem}");
    }

    async fn an_agent_lives_and_ends(on) {
        let server = TestServer::start(on).await;
        let new = json!({ "name": "copy-bot", "policy": { "permissions": ["get_credits"], "token_rotation_days": 30 } });
        let (status, made) = server.rest_json(Method::POST, "/agents", Some(new)).await;
        assert_eq!((status, &made["name"]), (StatusCode::CREATED, &json!("agent.copy-bot")), "{made}");
        assert!(made["token"].as_str().unwrap().starts_with("af_agent_") && made["expires_at"].is_string());
        let path = format!("/agents/{}", made["id"].as_str().unwrap());
        let (_, read) = server.rest_json(Method::GET, &path, None).await;
        assert!(read.get("token").is_none(), "shown once");
        assert_eq!(read["policy"]["token_rotation_days"], 30);
        let (_, paused) = server.rest_json(Method::POST, &format!("{path}/pause"), None).await;
        assert_eq!(paused["state"], "paused");
        let (_, resumed) = server.rest_json(Method::POST, &format!("{path}/resume"), None).await;
        assert_eq!(resumed["state"], "active");
        let rotation = Some(json!({ "overlap_hours": 1 }));
        let (_, rotated) = server.rest_json(Method::POST, &format!("{path}/rotate"), rotation).await;
        assert!(rotated["token"].as_str().unwrap() != made["token"] && rotated["previous_ends_at"].is_string());
        let change = Some(json!({ "policy": { "permissions": ["generate_image"] } }));
        let (_, changed) = server.rest_json(Method::PATCH, &path, change).await;
        assert_eq!(changed["policy"]["permissions"], json!(["generate_image"]));
        let (_, revoked) = server.rest_json(Method::DELETE, &path, None).await;
        assert_eq!(revoked["state"], "revoked");
        let (status, problem) = server.rest_json(Method::POST, &format!("{path}/resume"), None).await;
        assert_eq!((status, &problem["title"]), (StatusCode::CONFLICT, &json!("Conflict")));
    }

    async fn caps_change_field_by_field(on) {
        let server = TestServer::start(on).await;
        let (_, caps) = server.rest_json(Method::PUT, "/caps", Some(json!({ "call_usd": 2, "floor_usd": 1 }))).await;
        assert_eq!((&caps["call_usd"], &caps["floor_usd"], &caps["preflight_usd"]), (&json!(2), &json!(1), &json!(5)));
        let (_, caps) = server.rest_json(Method::PUT, "/caps", Some(json!({ "call_usd": null }))).await;
        assert_eq!((&caps["call_usd"], &caps["floor_usd"]), (&Value::Null, &json!(1)));
    }

    async fn the_log_streams_whole_and_verifies(on) {
        let server = TestServer::start(on).await;
        server.mcp().image().await;
        let stream = server.rest(Method::GET, "/audit").header("accept", "application/x-ndjson").send().await.unwrap();
        assert_eq!(stream.headers()["content-type"], "application/x-ndjson");
        let text = stream.text().await.unwrap();
        let mut verifier = Verifier::default();
        let rows: Vec<Linked> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        rows.iter().for_each(|row| verifier.next(row).unwrap());
        assert!(verifier.rows() >= 4, "{text}");
        let csv = server.rest(Method::GET, "/audit?tool=generate_image").header("accept", "text/csv").send().await.unwrap();
        let csv = csv.text().await.unwrap();
        assert_eq!(csv.lines().count(), 2, "{csv}");
        assert!(csv.starts_with("ts,request_id,workspace_id,user_id,tool,model,prompt_hash,cost_usd,"));
        let (_, page) = server.rest_json(Method::GET, "/audit?tool=generate_image&min_cost_usd=0.042", None).await;
        let hash = page["items"][0]["hash"].as_str().unwrap();
        assert!(rows.iter().any(|row| row.hash == hash));
    }

    async fn members_are_listed_and_invited(on) {
        let server = TestServer::start(on).await;
        let invited = json!({ "email": "Vi@Example.com", "role": "viewer" });
        let (status, invitation) = server.rest_json(Method::POST, "/members", Some(invited)).await;
        assert_eq!((status, &invitation["email"]), (StatusCode::CREATED, &json!("vi@example.com")));
        let (_, members) = server.rest_json(Method::GET, "/members", None).await;
        assert_eq!(members["items"][0]["role"], "admin");
        let (_, models) = server.rest_json(Method::GET, "/models", None).await;
        assert!(models["items"].as_array().unwrap().iter().any(|model| model["id"] == "sketch-image-1"));
    }

    async fn only_a_key_of_the_workspace_opens_it(on) {
        let server = TestServer::start(on).await;
        let other = server.other().await;
        let status = |token: Option<String>| {
            let request = server.http.get(server.url(&server.rest_path("/credits")));
            let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
            async { read(request.send().await.unwrap()).await.0 }
        };
        assert_eq!(status(None).await, StatusCode::UNAUTHORIZED);
        assert_eq!(status(Some("af_key_unknown".into())).await, StatusCode::UNAUTHORIZED);
        assert_eq!(status(Some(server.made.agent_token.clone())).await, StatusCode::UNAUTHORIZED);
        assert_eq!(status(Some(other.api_key.clone())).await, StatusCode::NOT_FOUND);
        assert_eq!(status(Some(server.key(Role::Viewer).await)).await, StatusCode::FORBIDDEN);
        assert_eq!(status(Some(server.key(Role::Developer).await)).await, StatusCode::OK);
    }

    async fn a_key_is_never_above_its_maker(on) {
        let server = TestServer::start(on).await;
        let maker = server.scope(&server.member(Role::Developer).await, Permission::ChangeAgents).await;
        let too_much = server.engine.create_key(&maker, "test", "admin", None).await.unwrap_err();
        assert!(matches!(&too_much, Error::Field(fault) if fault.field == "role"), "{too_much}");
        let key = server.engine.create_key(&maker, "test", "developer", Some(1)).await.unwrap().key;
        let put = || async {
            let request = server.http.put(server.url(&server.rest_path("/caps"))).bearer_auth(&key).json(&json!({}));
            request.send().await.unwrap().status()
        };
        assert_eq!(put().await, StatusCode::FORBIDDEN);
        server.clock.advance(DAY);
        assert_eq!(put().await, StatusCode::UNAUTHORIZED, "the key has ended");
    }

    async fn a_refusal_is_a_problem_document(on) {
        let server = TestServer::start(on).await;
        let request = server.http.get(server.url(&server.rest_path("/credits")));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let (_, problem) = read(response).await;
        assert_eq!((&problem["status"], &problem["request_id"]), (&json!(401), &json!(id)));
        let (status, problem) = server.rest_json(Method::GET, "/no-such-list", None).await;
        assert_eq!((status, &problem["title"]), (StatusCode::NOT_FOUND, &json!("Not found")));
        let (status, _) = server.rest_json(Method::DELETE, "/credits", None).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }
}
