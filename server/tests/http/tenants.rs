//! Who belongs to one workspace learns nothing of another, not even whether it is there: complete answers to "it is
//! there, but not yours" and to "there is no such thing" are compared.

use agentframer::domain::time::HOUR;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::access::{endpoints, filled};
use super::support::{Databases, Mcp, TestServer, both_engines, path_of};

const NO_WORKSPACE: &str = "ws_00000000000000000000000000";
const NO_ID: &str = "00000000000000000000000000";

/// All that an answer tells; only the request's own id and the date may differ.
async fn told(response: Response) -> (StatusCode, Vec<String>, String) {
    let status = response.status();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let headers = response.headers().iter().filter(|(name, _)| *name != "date" && *name != "x-request-id");
    let mut headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    (status, headers, response.text().await.unwrap().replace(&id, "ID"))
}

async fn assert_same(theirs: RequestBuilder, none: RequestBuilder, what: &str) -> StatusCode {
    let theirs = told(theirs.send().await.unwrap()).await;
    assert_eq!(theirs, told(none.send().await.unwrap()).await, "{what}");
    theirs.0
}

both_engines! {
    async fn by_rest_a_foreign_workspace_is_none(on) {
        let server = TestServer::start(on).await;
        let stranger = server.other().await;
        for (number, endpoint) in endpoints().iter().filter(|endpoint| endpoint.is_rest()).enumerate() {
            let request = |path: &str| {
                let request = server.http.request(endpoint.method.parse().unwrap(), server.url(path));
                let request = request.bearer_auth(&stranger.api_key);
                endpoint.body(number).into_iter().fold(request, |request, body| request.json(&body))
            };
            let theirs = filled(&server, endpoint.place, number).await;
            let own_workspace = server.made.workspace_id.as_str();
            let none = theirs.replace(own_workspace, NO_WORKSPACE);
            assert_eq!(assert_same(request(&theirs), request(&none), &theirs).await, StatusCode::NOT_FOUND);
            if endpoint.place.contains("{id}") {
                let inside = theirs.replace(own_workspace, stranger.workspace_id.as_str());
                let id = inside.split('/').nth(6).unwrap().to_owned();
                let (kind, _) = id.split_once('_').unwrap();
                let none = inside.replace(&id, &format!("{kind}_{NO_ID}"));
                assert_eq!(assert_same(request(&inside), request(&none), &inside).await, StatusCode::NOT_FOUND);
            }
        }
    }

    async fn by_rest_without_a_key_every_workspace_is_none(on) {
        let server = TestServer::start(on).await;
        let get = |workspace: &str| {
            let url = server.url(&format!("/api/v1/workspaces/{workspace}/credits"));
            server.http.get(url).bearer_auth("af_key_unknown")
        };
        for none in [NO_WORKSPACE, "nonsense"] {
            let status = assert_same(get(server.made.workspace_id.as_str()), get(none), none).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
        // Nor does a node tell what lives in another region.
        let node = server.second_node(|config| config.cells.retain(|cell| cell.name == "us")).await;
        let there = |workspace: &str| {
            server.http.get(format!("{node}/api/v1/workspaces/{workspace}")).bearer_auth(&server.made.api_key)
        };
        assert_same(there(server.made.workspace_id.as_str()), there(NO_WORKSPACE), "another region").await;
    }

    async fn by_filters_a_foreign_call_is_none(on) {
        let server = TestServer::start(on).await;
        let stranger = server.other().await;
        let made = server.mcp().image().await;
        for list in ["audit", "generations"] {
            let get = |request_id: &str| {
                let path = format!("/api/v1/workspaces/{}/{list}?request_id={request_id}", stranger.workspace_id);
                server.http.get(server.url(&path)).bearer_auth(&stranger.api_key)
            };
            let status = assert_same(get(made["request_id"].as_str().unwrap()), get("req_00000000"), list).await;
            assert_eq!(status, StatusCode::OK);
        }
    }

    async fn by_mcp_a_foreign_workspace_is_none(on) {
        let server = TestServer::start(on).await;
        let stranger = server.other().await;
        let at = |path: &str| {
            let mcp = Mcp { token: Some(stranger.agent_token.clone()), url: server.url(path), ..server.mcp() };
            mcp.request("tools/list", json!({}))
        };
        let theirs = server.mcp_path();
        let (_, key) = theirs.rsplit_once('/').unwrap();
        for none in [format!("/mcp/{NO_WORKSPACE}/{key}"), format!("{theirs}x"), "/mcp/nonsense/x".to_owned()] {
            assert_eq!(assert_same(at(&theirs), at(&none), &none).await, StatusCode::NOT_FOUND);
        }
        assert_eq!(at(&path_of(&stranger.mcp_url)).send().await.unwrap().status(), StatusCode::OK);
    }

    async fn by_tools_nothing_foreign_is_found(on) {
        let server = TestServer::start(on).await;
        let stranger = server.other().await;
        let keyed = json!({ "prompt": "a fox", "width": 64, "height": 64, "idempotency_key": "k1" });
        server.mcp().call("generate_image", keyed.clone()).await;
        server.mcp().image().await;
        let page = server.mcp().call("list_recent_generations", json!({ "limit": 1 })).await;
        let theirs = Mcp {
            token: Some(stranger.agent_token.clone()),
            url: server.url(&path_of(&stranger.mcp_url)),
            ..server.mcp()
        };
        for arguments in [json!({}), json!({ "cursor": page["structuredContent"]["next_cursor"] })] {
            let listed = theirs.call("list_recent_generations", arguments).await;
            assert_eq!(listed["structuredContent"]["items"], json!([]), "{listed}");
        }
        let made = theirs.call("generate_image", keyed).await;
        assert_eq!(made["structuredContent"]["balance_after_usd"], 49.958, "their own call and charge: {made}");
        let credits = theirs.call("get_credits", json!({})).await;
        assert_eq!(credits["structuredContent"]["month_to_date_usd"], 0.042);
    }

    async fn by_tools_a_person_known_elsewhere_is_invited_like_a_stranger(on) {
        let server = TestServer::start(on).await;
        server.other().await;
        let policy = json!({ "permissions": ["invite_team_member"], "denied": [] });
        server.engine.update_policy(&server.admin().await, &server.made.agent_id, policy).await.unwrap();
        let invite = async |email: &str| {
            let mut answer = server.mcp().call("invite_team_member", json!({ "email": email, "role": "viewer" })).await;
            let made: Value = answer["structuredContent"]["invitation_id"].take();
            answer.to_string().replace(email, "E").replace(made.as_str().unwrap(), "I")
        };
        assert_eq!(invite("eve@example.com").await, invite("nobody@example.com").await);
    }

    async fn by_links_a_foreign_file_is_none(on) {
        let server = TestServer::start(on).await;
        let stranger = server.other().await;
        let mine = Mcp {
            token: Some(stranger.agent_token.clone()),
            url: server.url(&path_of(&stranger.mcp_url)),
            ..server.mcp()
        };
        let (theirs, mine) = (server.mcp().image().await, mine.image().await);
        let theirs = theirs["result_url"].as_str().unwrap().split('?').next().unwrap().to_owned();
        let signature = mine["result_url"].as_str().unwrap().split_once('?').unwrap().1;
        let none = theirs.replace(server.made.workspace_id.as_str(), NO_WORKSPACE);
        for query in ["", "expires=0&signature=x", signature] {
            let get = |url: &str| server.http.get(format!("{url}?{query}"));
            assert_eq!(assert_same(get(&theirs), get(&none), query).await, StatusCode::NOT_FOUND);
        }
        // Also once the signature that was tried is over.
        server.clock.advance(200 * HOUR);
        let get = |url: &str| server.http.get(format!("{url}?{signature}"));
        assert_eq!(assert_same(get(&theirs), get(&none), "ended").await, StatusCode::NOT_FOUND);
    }
}
