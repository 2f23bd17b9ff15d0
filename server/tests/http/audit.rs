//! The log's page as a browser without scripts meets it: search, files, proof, and entries as they come.

use std::time::Duration;

use agentframer::domain::access::Role;
use agentframer::domain::audit::{Linked, Verifier};
use agentframer::domain::time::{HOUR, MINUTE};
use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::browser::{self, Session, form, open, send};
use super::support::{Databases, TestServer, both_engines};

async fn page(server: &TestServer, session: &Session, below: &str) -> (StatusCode, String) {
    let path = format!("/w/{}/audit{below}", server.made.workspace_id);
    let answer = open(server, &path, Some(session)).await;
    (answer.status(), answer.text().await.unwrap())
}

async fn ada(server: &TestServer) -> Session {
    Session::begin(server, "ada@example.com").await
}

both_engines! {
    async fn the_box_finds_keeps_the_text_and_points_at_a_mistake(on) {
        let server = TestServer::start(on).await;
        let (made, session) = (server.mcp().image().await, ada(&server).await);
        let request = made["request_id"].as_str().unwrap();
        for query in ["agent%3Agrowth-bot+cost%3A%3E0.01", request, "tool%3Agenerate_*+-status%3Afree"] {
            let (status, html) = page(&server, &session, &format!("?q={query}")).await;
            assert!(status == StatusCode::OK && html.contains(&format!("/audit/{request}")), "{query}: {html}");
        }
        let (_, html) = page(&server, &session, "?q=agent%3Aother").await;
        assert!(html.contains("Nothing matches") && html.contains("value=\"agent:other\""), "{html}");
        let (status, html) = page(&server, &session, "?q=tool%3Ax+modle%3Ay").await;
        assert_eq!(status, StatusCode::OK);
        assert!(html.contains("<mark>modle:</mark>") && html.contains("Did you mean model:?"), "{html}");
        let script = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
        let (_, html) = page(&server, &session, &format!("?q={script}")).await;
        assert!(!html.contains("<script>alert"), "{html}");
    }

    async fn controls_become_words(on) {
        let (server, controls) = (TestServer::start(on).await, "?tab=calls&controls=1&f_tool=generate_image&f_cost=%3E0.5&f_model=&rest=-agent%3Ax");
        let session = ada(&server).await;
        let path = format!("/w/{}/audit{controls}", server.made.workspace_id);
        let answer = open(&server, &path, Some(&session)).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let to = answer.headers()["location"].to_str().unwrap();
        assert!(to.ends_with("?tab=calls&q=tool%3Agenerate_image+cost%3A%3E0.5+-agent%3Ax"), "{to}");
    }

    async fn a_prompt_is_found_and_does_not_stay_in_the_address(on) {
        let server = TestServer::start(on).await;
        let (made, session) = (server.mcp().image().await, ada(&server).await);
        let workspace = server.made.workspace_id.as_str();
        let answer = send(&server, "find_by_prompt", &form(&[("workspace", workspace), ("prompt", "a fox")]), Some(&session)).await;
        let to = answer.headers()["location"].to_str().unwrap().to_owned();
        assert!(to.contains("q=hash%3Asha256") && !to.contains("fox"), "{to}");
        let html = open(&server, &to, Some(&session)).await.text().await.unwrap();
        assert!(html.contains(made["request_id"].as_str().unwrap()), "{html}");
    }

    async fn a_search_is_taken_as_a_file_in_each_form(on) {
        let server = TestServer::start(on).await;
        for _ in 0..3 {
            server.mcp().image().await;
        }
        let session = ada(&server).await;
        let (_, whole) = page(&server, &session, "/export?format=ndjson").await;
        let rows: Vec<Linked> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut verifier = Verifier::default();
        rows.iter().for_each(|row| verifier.next(row).unwrap());
        let (_, array) = page(&server, &session, "/export?format=json&tab=calls&q=tool%3Agenerate_image").await;
        assert_eq!(serde_json::from_str::<Vec<Linked>>(&array).unwrap().len(), 3);
        let (_, csv) = page(&server, &session, "/export?format=csv&tab=calls&q=agent%3Anobody").await;
        assert_eq!(csv.lines().count(), 1, "{csv}");
        let (_, nothing) = page(&server, &session, "/export?format=json&tab=calls&q=agent%3Anobody").await;
        assert_eq!(serde_json::from_str::<Value>(&nothing).unwrap(), json!([]));
        let (status, _) = page(&server, &session, "/export?q=modle%3Ax").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn rest_takes_the_same_words_beside_its_parameters(on) {
        let server = TestServer::start(on).await;
        server.mcp().image().await;
        let count = async |query: &str| {
            let (status, page) = server.rest_json(Method::GET, &format!("/audit?{query}"), None).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            page["items"].as_array().unwrap().len()
        };
        assert_eq!(count("q=tool:generate_image%20-agent:other").await, 1);
        assert_eq!(count("q=tool:generate_image&user_id=agent.other").await, 0);
        assert_eq!(count("q=cost:%3E0&max_cost_usd=0.042").await, 1);
        let (status, problem) = server.rest_json(Method::GET, "/audit?q=modle:x", None).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(problem.to_string().contains("Did you mean model:?"), "{problem}");
        for asked in ["status:refused", "status:failed,refused", "code:tool_denied"] {
            let (status, problem) = server.rest_json(Method::GET, &format!("/audit?q={asked}"), None).await;
            let says_where = problem.to_string().contains("Refused and failed");
            assert!(status == StatusCode::UNPROCESSABLE_ENTITY && says_where, "{asked}: {problem}");
        }
        assert_eq!(count("q=tool:generate_image%20-status:refused").await, 1);
        let page = server.rest_json(Method::GET, "/audit?tool=generate_image", None).await.1;
        let (hash, other) = (page["items"][0]["prompt_hash"].as_str().unwrap(), format!("sha256:{}", "0".repeat(64)));
        assert_eq!(count(&format!("prompt_hash={hash}&q=hash:{hash},{other}")).await, 1);
        assert_eq!(count(&format!("prompt_hash={hash}&q=hash:{other}")).await, 0, "both are demanded");
    }

    async fn the_readmes_own_line_takes_a_log_that_verifies(on) {
        let server = TestServer::start(on).await;
        server.mcp().image().await;
        let line = include_str!("../../../README.md").lines().find(|line| line.contains("curl") && line.contains("/audit\"")).unwrap();
        let line = line.replace("API_KEY", &server.made.api_key).replace("WORKSPACE", server.made.workspace_id.as_str());
        let line = line.replace("http://127.0.0.1:3000", &server.base);
        let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let (url, headers) = quoted.split_last().unwrap();
        let named = headers.iter().map(|header| header.split_once(": ").unwrap());
        let request = named.fold(server.http.get(*url), |request, (name, value)| request.header(name, value));
        let log = request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
        let mut verifier = Verifier::default();
        log.lines().for_each(|row| verifier.next(&serde_json::from_str(row).unwrap()).unwrap());
        assert!(verifier.rows() > 1, "{log}");
    }

    async fn a_search_is_saved_for_everybody_and_shown(on) {
        let server = TestServer::start(on).await;
        let session = ada(&server).await;
        let workspace = server.made.workspace_id.as_str();
        let body = form(&[("workspace", workspace), ("name", "Dear calls"), ("tab", "calls"), ("query", "cost:>1"), ("shared", "true")]);
        send(&server, "save_search", &body, Some(&session)).await;
        let viewer = browser::session_of(&server, Role::Viewer).await;
        let (_, html) = page(&server, &viewer, "").await;
        assert!(html.contains("Dear calls") && html.contains("Membership changes") && !html.contains("Remove Dear calls"), "{html}");
    }

    async fn the_page_proves_the_log_and_names_the_bad_row(on) {
        let server = TestServer::start(on).await;
        for _ in 0..3 {
            server.mcp().image().await;
        }
        server.clock.advance(HOUR + 2 * MINUTE);
        server.engine.make_checkpoints().await.unwrap();
        let session = ada(&server).await;
        assert!(proven(&server, &session).await.contains("entries hold, up to entry"));
        let (_, list) = page(&server, &session, "").await;
        assert!(list.contains("Chain whole up to entry") && list.contains("signed up to"), "{list}");
        server.tamper("UPDATE log_entries SET cost = 1 WHERE seq = 6").await;
        let html = proven(&server, &session).await;
        assert!(html.contains("Row 6 (") && html.contains("was changed") && html.contains("broken"), "{html}");
        assert!(page(&server, &session, "").await.1.contains("Chain broken at entry 6"));
        server.tamper("DELETE FROM log_entries WHERE seq = 5").await;
        let html = proven(&server, &session).await;
        assert!(html.contains("Row 6 (") && html.contains("does not follow row 4"), "{html}");
    }

    async fn a_request_shows_what_is_known_of_it(on) {
        let server = TestServer::start(on).await;
        let (made, session) = (server.mcp().image().await, ada(&server).await);
        let below = format!("/{}", made["request_id"].as_str().unwrap());
        let (_, html) = page(&server, &session, &below).await;
        let decision = "allowed: tool, model, region, caps and balance";
        let (price, proof) = (["Set aside", "Settled", "Took"], ["Balance after", "In the chain", "prev_hash"]);
        let what = ["a fox", decision, "Provider", "sketch-image-1"];
        for part in [&what[..], &price, &proof].concat() {
            assert!(html.contains(part), "{part}: {html}");
        }
        let viewer = browser::session_of(&server, Role::Viewer).await;
        let (_, html) = page(&server, &viewer, &below).await;
        assert!(!html.contains("a fox") && !html.contains("Balance after"), "a Viewer reads neither prompts nor the ledger");
    }

    async fn an_act_says_who_from_where_and_what_and_none_turns_the_log_off(on) {
        let server = TestServer::start(on).await;
        let act = Some(json!({ "cost_centre": "CC-7" }));
        assert_eq!(server.rest_json(Method::PATCH, "/settings", act).await.0, StatusCode::OK);
        for off in [json!({ "logging": false }), json!({ "audit_log": "off" }), json!({ "log_retention_days": 0 })] {
            let (status, problem) = server.rest_json(Method::PATCH, "/settings", Some(off)).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        }
        let (_, log) = server.rest_json(Method::GET, "/audit?kind=administration", None).await;
        let act = log["items"].as_array().unwrap().iter().find(|row| row["event"] == "settings.changed").unwrap();
        assert!(act["user_id"].as_str().unwrap().starts_with("key_"), "{act}");
        assert_eq!(act["data"]["address"], "127.0.0.1", "{act}");
        assert_eq!((&act["data"]["from"]["cost_centre"], &act["data"]["to"]["cost_centre"]), (&Value::Null, &json!("CC-7")), "{act}");
    }

    async fn entries_come_as_they_are_written(on) {
        let server = TestServer::start(on).await;
        let session = ada(&server).await;
        let path = format!("/w/{}/audit/live?tab=calls&q=tool%3Agenerate_image&zone=Asia/Tokyo", server.made.workspace_id);
        let answer = open(&server, &path, Some(&session)).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let there = agentframer_app::clock_in(server.clock.now(), "Asia/Tokyo");
        let made = server.mcp().image().await;
        let text = heard(answer).await;
        assert!(text.contains(made["request_id"].as_str().unwrap()) && text.contains("agent.growth-bot"), "{text}");
        assert!(text.contains(&there[..12]), "the page’s zone: {there}: {text}");
    }

    async fn who_comes_again_has_missed_nothing(on) {
        let server = TestServer::start(on).await;
        let (session, agent) = (ada(&server).await, server.mcp());
        let path = format!("/w/{}/audit/live?tab=calls&q=tool%3Agenerate_image", server.made.workspace_id);
        let first = agent.image().await["request_id"].as_str().unwrap().to_owned();
        let text = heard(open(&server, &format!("{path}&after=0"), Some(&session)).await).await;
        assert!(text.contains(&first), "{text}");
        let place = text.lines().find_map(|line| line.strip_prefix("id:")).expect("an event has an id").trim();
        let second = agent.image().await["request_id"].as_str().unwrap().to_owned();
        let again = session.request(&server, &format!("{path}&after=0")).header("last-event-id", place);
        let text = heard(again.send().await.unwrap()).await;
        assert!(text.contains(&second) && !text.contains(&first), "{text}");
    }
}

/// What a live log tells up to its first entries, whole.
async fn heard(answer: reqwest::Response) -> String {
    let (mut events, mut text) = (answer.bytes_stream(), String::new());
    while !(text.contains("data:") && text.ends_with("\n\n")) {
        let piece = tokio::time::timeout(Duration::from_secs(20), events.next()).await.unwrap();
        text += &String::from_utf8_lossy(&piece.unwrap().unwrap());
    }
    text
}

/// The proof's page after a run.
async fn proven(server: &TestServer, session: &Session) -> String {
    // Runs follow each other too fast to be taken for anything but a double click.
    let run = server.engine.new_request_id();
    let body = form(&[("workspace", server.made.workspace_id.as_str()), ("run", run.as_str())]);
    let answer = send(server, "verify_log", &body, Some(session)).await;
    assert!(answer.headers()["location"].to_str().unwrap().ends_with("/audit/proof"));
    for _ in 0..200 {
        let path = format!("/w/{}/audit/proof", server.made.workspace_id);
        let page = open(server, &path, Some(session)).await;
        let is_running = page.headers().contains_key("refresh");
        let html = page.text().await.unwrap();
        if !is_running {
            return html;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the verification does not end");
}
