//! What the dashboard's pages do beyond REST: policies by controls, models per workspace, generations deleted early, the
//! starting checklist, the palette, the reader's zone.

use agentframer::domain::access::Role;
use agentframer::domain::holds::HoldTarget;
use agentframer::domain::policy::{Policy, Tool};
use agentframer::domain::time::DAY;
use agentframer::engine::log::reading::{GenerationFilter, GenerationView, Page};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::browser::{Session, became, form, later, open, send, session_of};
use super::html::Page as Html;
use super::support::{Databases, TestServer, both_engines};

async fn ada(server: &TestServer) -> Session {
    Session::begin(server, "ada@example.com").await
}

async fn html(server: &TestServer, path: &str, session: &Session) -> String {
    let answer = open(server, path, Some(session)).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.text().await.unwrap()
}

fn place(server: &TestServer, below: &str) -> String {
    format!("/w/{}{below}", server.made.workspace_id)
}

async fn policy(server: &TestServer) -> Policy {
    server.engine.agent(&server.admin().await, &server.made.agent_id).await.unwrap().policy
}

/// The controls of the policy with some changed.
fn controls(server: &TestServer, changed: &[(&str, &str)]) -> String {
    let (workspace, agent) = (server.made.workspace_id.to_string(), server.made.agent_id.to_string());
    let standard = [
        ("workspace", workspace.as_str()),
        ("agent", &agent),
        ("tools[generate_image]", "permit"),
        ("tools[generate_video]", "deny"),
        ("tools[get_credits]", "permit"),
        ("tools[top_up_balance]", "none"),
        ("which_models", "any"),
        ("ip_allowlist", ""),
        ("day_usd", ""),
        ("month_usd", ""),
        ("call_usd", ""),
        ("token_rotation_days", "90"),
    ];
    let kept = standard.into_iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    form(&kept.chain(changed.iter().copied()).collect::<Vec<_>>())
}

async fn newest(server: &TestServer) -> GenerationView {
    let admin = server.admin().await;
    let page =
        server.engine.generations(&admin, &GenerationFilter::default(), Page::default()).await.unwrap();
    page.items.into_iter().next().unwrap()
}

async fn found(server: &TestServer, session: &Session, text: &str) -> Vec<(String, String, String)> {
    found_at(server, &place(server, "/find"), session, text).await
}

async fn found_at(
    server: &TestServer,
    path: &str,
    session: &Session,
    text: &str,
) -> Vec<(String, String, String)> {
    let answer = open(server, &format!("{path}?q={text}"), Some(session)).await;
    let hits: Vec<Value> = answer.json().await.unwrap();
    let field = |hit: &Value, name: &str| hit[name].as_str().unwrap().to_owned();
    hits.iter().map(|hit| (field(hit, "kind"), field(hit, "label"), field(hit, "href"))).collect()
}

both_engines! {
    async fn controls_and_json_say_the_same(on) {
        let server = TestServer::start(on).await;
        let session = ada(&server).await;
        let sent = controls(&server, &[
            ("which_models", "some"), ("models[sketch-image-1]", "on"),
            ("ip_allowlist", "127.0.0.0/8\r\n10.1.2.3"), ("day_usd", "12.50"), ("token_rotation_days", "30"),
        ]);
        assert_eq!(became(&send(&server, "set_policy", &sent, Some(&session)).await), "done");
        let now = policy(&server).await;
        assert_eq!(now.permissions, [Tool::GenerateImage, Tool::GetCredits]);
        assert_eq!(now.denied, [Tool::GenerateVideo]);
        assert_eq!((now.models.clone().unwrap(), now.token_rotation_days), (vec!["sketch-image-1".to_owned()], 30));
        assert_eq!(serde_json::to_value(now.limits()).unwrap(), json!({ "day_usd": 12.5 }));
        let page = html(&server, &place(&server, &format!("/agents/{}", server.made.agent_id)), &session).await;
        for shown in ["127.0.0.0/8\n10.1.2.3/32", "value=\"12.5\"", "value=\"30\"", "Denied wins"] {
            assert!(page.contains(shown), "{shown}");
        }
    }

    async fn a_wrong_control_is_named_and_nothing_typed_is_lost(on) {
        let server = TestServer::start(on).await;
        let (session, before) = (ada(&server).await, policy(&server).await);
        let wrong = [("ip_allowlist", "10.0.0.0/8 nowhere"), ("day_usd", "much"), ("token_rotation_days", "0")];
        let answer = send(&server, "set_policy", &controls(&server, &wrong), Some(&session)).await;
        assert_eq!(became(&answer), "back");
        let said = session.with_flash(&answer);
        let page = html(&server, &place(&server, &format!("/agents/{}", server.made.agent_id)), &said).await;
        for shown in ["Network “nowhere” is not a network", "This “nowhere” is not a network", "value=\"much\"", "nowhere</textarea>"] {
            assert!(page.contains(shown), "{shown}");
        }
        assert_eq!(policy(&server).await, before);
    }

    async fn a_choice_of_models_that_is_not_clear_is_never_guessed(on) {
        let server = TestServer::start(on).await;
        let (session, before) = (ada(&server).await, policy(&server).await);
        let path = place(&server, &format!("/agents/{}", server.made.agent_id));
        let ticked = [("which_models", "any"), ("models[sketch-image-1]", "on"), ("day_usd", "7")];
        let none = [("which_models", "some"), ("day_usd", "7"), ("step", "try")];
        for (sent, which, ticks, says) in [(ticked, "any", 1, "Models are ticked, but"), (none, "some", 0, "Models are missing")] {
            let answer = send(&server, "set_policy", &controls(&server, &sent), Some(&session)).await;
            assert_eq!(became(&answer), "back", "{says}");
            let page = html(&server, &path, &session.with_flash(&answer)).await;
            assert_eq!(page.matches(says).count(), 2, "in the summary and beside the field: {page}");
            assert!(page.contains("href=\"#models\"") && page.contains("value=\"7\""), "{page}");
            assert!(page.contains("closed by its vendor"), "sora-2 is: {page}");
            let page = Html::read(&page);
            assert!(page.all("fieldset", None).any(|one| one.get("id") == Some("models") && one.get("autofocus").is_some()), "{says}");
            let inputs = |name: &'static str| page.all("input", None).filter(move |one| one.get("name").is_some_and(|own| own.starts_with(name)) && one.get("checked").is_some());
            assert_eq!(inputs("which_models").map(|one| one.get("value").unwrap()).collect::<Vec<_>>(), [which]);
            assert_eq!(inputs("models[").count(), ticks, "{says}");
        }
        assert_eq!(policy(&server).await, before);
    }

    async fn a_fault_in_the_json_leads_to_its_input(on) {
        let server = TestServer::start(on).await;
        let (session, before) = (ada(&server).await, policy(&server).await);
        let (workspace, agent) = (server.made.workspace_id.to_string(), server.made.agent_id.to_string());
        let typed = r#"{ "permissions": ["fly"], "denied": [], "token_rotation_days": 90 }"#;
        let form = form(&[("workspace", &workspace), ("agent", &agent), ("policy", typed)]);
        let answer = send(&server, "update_policy", &form, Some(&session)).await;
        let page = html(&server, &place(&server, &format!("/agents/{agent}")), &session.with_flash(&answer)).await;
        assert!(page.contains("href=\"#policy\"") && page.contains("permissions[0]"), "{page}");
        assert_eq!(policy(&server).await, before);
    }

    async fn a_policy_is_tried_before_it_is_saved(on) {
        let server = TestServer::start(on).await;
        let (session, before) = (ada(&server).await, policy(&server).await);
        server.mcp().image().await;
        let stricter = [("tools[generate_image]", "deny"), ("step", "try")];
        let answer = send(&server, "set_policy", &controls(&server, &stricter), Some(&session)).await;
        let page = html(&server, &place(&server, &format!("/agents/{}", server.made.agent_id)), &session.with_flash(&answer)).await;
        assert!(page.contains("Not saved yet. Of 1 successful call in the last 30 days: generate_image is denied (1 call, $0.042)."), "{page}");
        assert_eq!(policy(&server).await, before);
    }

    async fn a_trial_holds_each_cap_against_what_was_done_and_says_what_it_cannot_try(on) {
        let server = TestServer::start(on).await;
        server.mcp().image().await;
        server.clock.advance(DAY);
        server.mcp().image().await;
        let session = ada(&server).await;
        let path = place(&server, &format!("/agents/{}", server.made.agent_id));
        let tried = async |changed: &[(&str, &str)]| {
            let sent = controls(&server, &[changed, &[("step", "try")]].concat());
            let answer = send(&server, "set_policy", &sent, Some(&session)).await;
            html(&server, &path, &session.with_flash(&answer)).await
        };
        let page = tried(&[("call_usd", "0.04"), ("day_usd", "0.041"), ("month_usd", "0.05"), ("ip_allowlist", "10.0.0.0/8")]).await;
        let says = "Of 2 successful calls in the last 30 days: a call above $0.04 (2 calls, $0.084); \
            2 days over the cap of $0.041, the dearest of $0.042; 1 month over the cap of $0.05, the dearest of $0.084. \
            Networks are not tried: the addresses of calls are not kept.";
        assert!(page.contains(says), "{page}");
        let none = "It would have refused none of 2 successful calls in the last 30 days.";
        assert!(tried(&[("call_usd", "0.042"), ("day_usd", "0.042")]).await.contains(&format!("Not saved yet. {none}")));
        assert!(html(&server, &path, &session).await.contains(none), "the policy in force is tried on its page, always");
    }

    async fn an_agents_page_shows_spend_calls_and_refusals(on) {
        let server = TestServer::start(on).await;
        let session = ada(&server).await;
        server.mcp().image().await;
        server.mcp().call("top_up_balance", json!({ "amount_usd": 5, "reference": "x" })).await;
        let page = html(&server, &place(&server, &format!("/agents/{}", server.made.agent_id)), &session).await;
        for shown in ["Spend by day and model", "sketch-image-1", "refused · tool_denied", "$0.042", "Breadcrumbs", "Try on the last 30 days"] {
            assert!(page.contains(shown), "{shown}");
        }
        let overview = html(&server, &place(&server, ""), &session).await;
        assert!(overview.contains("Top agents") && overview.contains("/models/sketch-image-1"));
    }

    async fn a_forbidden_model_is_refused_until_it_is_allowed(on) {
        let server = TestServer::start(on).await;
        let (session, workspace) = (ada(&server).await, server.made.workspace_id.to_string());
        let say = |allowed| form(&[("workspace", &workspace), ("model", "sketch-image-1"), ("allowed", allowed)]);
        assert_eq!(became(&send(&server, "set_model_allowed", &say("no"), Some(&session)).await), "done");
        let refused = server.mcp().call("generate_image", json!({ "prompt": "a fox", "width": 64, "height": 64 })).await;
        let error = &refused["structuredContent"]["error"];
        assert_eq!((&error["code"], &error["model"]), (&json!("model_not_allowed"), &json!("sketch-image-1")));
        assert!(error["message"].as_str().unwrap().starts_with("This workspace does not allow"), "{error}");
        let page = html(&server, &place(&server, "/models/sketch-image-1"), &session).await;
        assert!(page.contains("forbidden") && page.contains("Allow in this workspace") && page.contains("belong to the workspace"));
        send(&server, "set_model_allowed", &say("yes"), Some(&session)).await;
        server.mcp().image().await;
        assert!(html(&server, &place(&server, "/models/sketch-image-1"), &session).await.contains("$0.042 this month in 1 call"));
        assert_eq!(open(&server, &place(&server, "/models/nothing"), Some(&session)).await.status(), StatusCode::NOT_FOUND);
    }

    async fn who_was_removed_can_download_nothing(on) {
        let server = TestServer::start(on).await;
        server.mcp().image().await;
        let (viewer, admin) = (session_of(&server, Role::Viewer).await, server.admin().await);
        let files = place(&server, &format!("/generations/{}/files", newest(&server).await.generation_id));
        let file = open(&server, &format!("{files}/1"), Some(&viewer)).await;
        assert!(file.headers()["content-disposition"].to_str().unwrap().starts_with("attachment; filename=\""));
        assert!(file.bytes().await.unwrap().starts_with(b"\x89PNG"));
        for wrong in ["0", "2", "x"] {
            assert_eq!(open(&server, &format!("{files}/{wrong}"), Some(&viewer)).await.status(), 404, "{wrong}");
        }
        let members = server.engine.members(&admin).await.unwrap();
        let user = members.iter().find(|member| member.role == Role::Viewer).unwrap().user_id.clone();
        server.engine.remove_member(&admin, &user).await.unwrap();
        assert_eq!(open(&server, &format!("{files}/1"), Some(&viewer)).await.status(), 404);
    }

    async fn a_generation_goes_before_its_time_and_its_entry_stays(on) {
        let server = TestServer::start(on).await;
        let (session, admin) = (ada(&server).await, server.admin().await);
        server.mcp().image().await;
        let made = newest(&server).await;
        let fields = [("workspace", server.made.workspace_id.as_str()), ("generation", made.generation_id.as_str())];
        let hold = server.engine.place_hold(&admin, HoldTarget::Workspace, "case 7").await.unwrap();
        assert_eq!(became(&send(&server, "delete_generation", &form(&fields), Some(&session)).await), "back");
        assert!(newest(&server).await.deleted_at.is_none());
        server.engine.lift_hold(&admin, &hold.id, None).await.unwrap();
        let link = made.result_urls[0].clone();
        assert_eq!(server.http.get(&link).send().await.unwrap().status(), StatusCode::OK);
        assert!(html(&server, &place(&server, "/generations"), &session).await.contains("Delete now"));
        assert_eq!(became(&send(&server, "delete_generation", &later(&form(&fields)), Some(&session)).await), "done");
        let after = newest(&server).await;
        assert!(after.deleted_at.is_some() && after.result_urls.is_empty());
        assert_eq!(server.http.get(&link).send().await.unwrap().status(), StatusCode::NOT_FOUND);
        assert_eq!(server.engine.prompt(&admin, &made.request_id).await.unwrap(), None);
        assert_eq!(became(&send(&server, "delete_generation", &form(&fields), Some(&session)).await), "404");
        assert!(html(&server, &place(&server, &format!("/audit/{}", made.request_id)), &session).await.contains("generate_image"));
        assert!(server.engine.check().await.unwrap().is_empty());
    }

    async fn generations_are_filtered(on) {
        let server = TestServer::start(on).await;
        let session = ada(&server).await;
        server.mcp().image().await;
        let made = newest(&server).await.request_id;
        let shows = async |query: &str| {
            html(&server, &place(&server, &format!("/generations?{query}")), &session).await.contains(made.as_str())
        };
        assert!(shows("model=sketch-image-1&tool=generate_image&agent=").await);
        assert!(!shows("model=sketch-video-1").await && !shows("agent=nobody").await && !shows("tool=generate_video").await);
        let page = html(&server, &place(&server, "/generations?tool=sing"), &session).await;
        for shown in [made.as_str(), "href=\"#tool\"", "This is not generate_image or generate_video.", "<option value=\"sing\" selected"] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
    }

    async fn the_checklist_follows_what_is_so(on) {
        let server = TestServer::start(on).await;
        let (session, workspace) = (ada(&server).await, form(&[("workspace", server.made.workspace_id.as_str())]));
        let counted = async || {
            let page = html(&server, &place(&server, ""), &session).await;
            let at = page.find(" of 6</span>").map(|at| page[at - 1..at].to_owned());
            at.and_then(|digit| digit.parse::<u32>().ok())
        };
        assert_eq!(counted().await, Some(2), "the region and the agent");
        let caps = serde_json::from_value(json!({ "workspace_month_usd": 50, "preflight_required": true })).unwrap();
        server.engine.set_caps(&server.admin().await, &caps).await.unwrap();
        assert_eq!(counted().await, Some(4));
        send(&server, "keep_retention", &workspace, Some(&session)).await;
        assert_eq!(counted().await, Some(5));
        server.engine.rotate_agent(&server.admin().await, &server.made.agent_id, Some(0)).await.unwrap();
        assert_eq!(counted().await, Some(5));
        server.engine.revoke_agent(&server.admin().await, &server.made.agent_id).await.unwrap();
        assert_eq!(counted().await, Some(4), "an agent is missing");
    }

    async fn a_dismissed_checklist_is_gone_and_viewers_never_see_it(on) {
        let server = TestServer::start(on).await;
        let (session, workspace) = (ada(&server).await, form(&[("workspace", server.made.workspace_id.as_str())]));
        let viewer = session_of(&server, Role::Viewer).await;
        assert!(html(&server, &place(&server, ""), &session).await.contains("Starting checklist"));
        assert!(!html(&server, &place(&server, ""), &viewer).await.contains("Starting checklist"));
        send(&server, "dismiss_checklist", &workspace, Some(&session)).await;
        assert!(!html(&server, &place(&server, ""), &session).await.contains("Starting checklist"));
    }

    async fn the_palette_finds_what_its_reader_may_see(on) {
        let server = TestServer::start(on).await;
        let (session, viewer) = (ada(&server).await, session_of(&server, Role::Viewer).await);
        server.mcp().image().await;
        let request = newest(&server).await.request_id;
        let kinds = |hits: &[(String, String, String)]| hits.iter().map(|hit| hit.0.clone()).collect::<Vec<_>>();
        let agents = found(&server, &session, "growth").await;
        assert_eq!(kinds(&agents), ["agent"], "{agents:?}");
        assert!(open(&server, &agents[0].2, Some(&session)).await.status().is_success());
        assert!(found(&server, &viewer, "growth").await.is_empty());
        let members = found(&server, &session, "ada%40example").await;
        assert_eq!(kinds(&members), ["member"]);
        let (page, person) = members[0].2.split_once('#').unwrap();
        assert!(html(&server, page, &session).await.contains(&format!("<tr id=\"{person}\">")), "{person}");
        let calls = found(&server, &viewer, request.as_str()).await;
        assert_eq!((kinds(&calls), calls[0].1.as_str()), (vec!["request".to_owned()], request.as_str()));
        let pages = async |session: &Session| found(&server, session, "").await.into_iter().map(|hit| hit.1).collect::<Vec<_>>();
        assert!(pages(&session).await.contains(&"Billing".to_owned()));
        for reader in [&session, &viewer] {
            let pages = pages(reader).await;
            assert!(["Proof of the log", "Account", "Reference", "All workspaces"].iter().all(|name| pages.contains(&(*name).to_owned())));
        }
        let visible = pages(&viewer).await;
        assert!(["Billing", "Statement"].iter().all(|name| !visible.contains(&(*name).to_owned())), "{visible:?}");
        server.other().await;
        let eve = Session::begin(&server, "eve@example.com").await;
        assert_eq!(open(&server, &place(&server, "/find?q=growth"), Some(&eve)).await.status(), StatusCode::NOT_FOUND);
    }

    async fn the_palette_outside_a_workspace_finds_the_readers_own_and_pages(on) {
        let server = TestServer::start(on).await;
        let session = ada(&server).await;
        server.other().await;
        let all = found_at(&server, "/find", &session, "").await;
        let names: Vec<&str> = all.iter().map(|(_, name, _)| name.as_str()).collect();
        assert_eq!(names, ["Growth", "All workspaces", "Account", "Reference"]);
        let growth = ("workspace".to_owned(), "Growth".to_owned(), place(&server, ""));
        assert_eq!(found_at(&server, "/find", &session, "gro").await, [growth]);
        for path in ["/", "/account", "/reference"] {
            assert!(html(&server, path, &session).await.contains("palette-open"), "{path}");
        }
        let public = open(&server, "/reference", None).await.text().await.unwrap();
        assert!(!public.contains("palette-open"), "who is not signed in finds nothing");
    }

    async fn a_reader_sees_the_own_clock_with_utc_behind_it(on) {
        let server = TestServer::start(on).await;
        let session = ada(&server).await;
        assert!(html(&server, &place(&server, "/members"), &session).await.contains(" UTC</time>"));
        let answer = send(&server, "set_zone", &form(&[("zone", "Asia/Tokyo")]), Some(&session)).await;
        let cookies = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        assert!(cookies.into_iter().any(|cookie| cookie.starts_with("zone=Asia/Tokyo;")));
        let there = session.with("zone=Asia/Tokyo");
        let page = html(&server, &place(&server, "/members"), &there).await;
        assert!(page.contains(" JST</time>") && page.contains(" UTC\""), "{page}");
        assert!(html(&server, &place(&server, "/billing"), &there).await.contains("Time (Asia/Tokyo)"));
        let elsewhere = ada(&server).await;
        let page = html(&server, &place(&server, "/members"), &elsewhere).await;
        assert!(page.contains(" JST</time>") && !page.contains("OwnZone"), "the choice is the person’s: {page}");
        let viewer = session_of(&server, Role::Viewer).await;
        assert!(html(&server, &place(&server, "/members"), &viewer).await.contains("OwnZone"), "the browser says where it is");
        let guessed = viewer.with("zone=Asia/Tokyo");
        assert!(html(&server, &place(&server, "/members"), &guessed).await.contains(" JST</time>"));
        let bad = send(&server, "set_zone", &form(&[("zone", "x; Path=/; Domain=evil")]), Some(&session)).await;
        assert_eq!(became(&bad), "back");
    }

    async fn more_workspaces_can_be_switched_to_and_many_get_a_filter(on) {
        let server = TestServer::start(on).await;
        let session = ada(&server).await;
        let switches = async || html(&server, &place(&server, ""), &session).await;
        assert!(!switches().await.contains("All workspaces"));
        for number in 1..=7 {
            let new = form(&[("workspace_name", &*format!("Team {number}")), ("region", "eu-west-1")]);
            send(&server, "create_workspace", &new, Some(&session)).await;
            let page = switches().await;
            assert!(page.contains(&format!("Team {number}")) && page.contains("All workspaces"));
            assert_eq!(page.contains("aria-label=\"Filter\""), number == 7, "{number}");
        }
    }
}
