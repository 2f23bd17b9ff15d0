//! Members, the MCP URL, API keys and one's own account: what changes at once, and what stays safe.

use agentframer::domain::access::{Permission, Role};
use agentframer::domain::time::{HOUR, MINUTE};
use agentframer::engine::config::Config;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::browser::{Session, became, form, open, send, session_of};
use super::support::{Databases, Mcp, TestServer, both_engines, path_of};

async fn events(server: &TestServer) -> Vec<String> {
    let (_, log) = server.rest_json(Method::GET, "/audit?kind=administration&limit=200", None).await;
    let rows = log["items"].as_array().unwrap();
    rows.iter().map(|row| row["event"].as_str().unwrap_or_default().to_owned()).collect()
}

both_engines! {
    async fn the_last_admin_stays_and_others_change_at_once(on) {
        let server = TestServer::start(on).await;
        let me = server.made.user_id.to_string();
        for (method, body) in [(Method::PATCH, Some(json!({ "role": "viewer" }))), (Method::DELETE, None)] {
            let (status, problem) = server.rest_json(method, &format!("/members/{me}"), body).await;
            assert_eq!(status, StatusCode::CONFLICT, "{problem}");
            assert!(problem["detail"].as_str().unwrap().contains("last Admin"));
        }
        let bob = server.person("bob@example.com", Role::Viewer).await;
        let (status, changed) = server.rest_json(Method::PATCH, &format!("/members/{bob}"), Some(json!({ "role": "admin" }))).await;
        assert_eq!((status, &changed["role"]), (StatusCode::OK, &json!("admin")));
        let (status, _) = server.rest_json(Method::PATCH, &format!("/members/{me}"), Some(json!({ "role": "king" }))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let (status, _) = server.rest_json(Method::DELETE, &format!("/members/{bob}"), None).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let (status, _) = server.rest_json(Method::DELETE, &format!("/members/{bob}"), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let events = events(&server).await;
        assert!(events.contains(&"member.role_changed".into()) && events.contains(&"member.removed".into()), "{events:?}");
    }

    async fn two_admins_who_remove_each_other_leave_one(on) {
        let server = TestServer::start(on).await;
        let bob = server.person("bob@example.com", Role::Admin).await;
        let admin = server.admin().await;
        let (one, two) = tokio::join!(
            server.engine.remove_member(&admin, &bob),
            server.engine.remove_member(&admin, &server.made.user_id),
        );
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    }

    async fn a_removed_person_and_that_persons_keys_are_out(on) {
        let server = TestServer::start(on).await;
        let session = session_of(&server, Role::Developer).await;
        let key = server.engine.create_key(&server.scope_of(Role::Developer).await, "nightly", "viewer", None).await.unwrap();
        let by_key = async || {
            let request = server.http.get(server.url(&server.rest_path("/usage"))).bearer_auth(&key.key);
            request.send().await.unwrap().status()
        };
        assert_eq!(by_key().await, StatusCode::OK);
        let page = format!("/w/{}", server.made.workspace_id);
        assert_eq!(open(&server, &page, Some(&session)).await.status(), StatusCode::OK);
        let admin = server.admin().await;
        let members = server.engine.members(&admin).await.unwrap();
        let developer = members.iter().find(|member| member.role == Role::Developer).unwrap();
        server.engine.remove_member(&admin, &developer.user_id).await.unwrap();
        assert_eq!(open(&server, &page, Some(&session)).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(by_key().await, StatusCode::UNAUTHORIZED);
        let listed = server.engine.keys(&admin).await.unwrap();
        assert!(listed.iter().find(|listed| listed.id == key.id).unwrap().ended_at.is_some(), "{listed:?}");
        // Whoever comes back makes new keys.
        let (_, token) = server.engine.make_invitation(&admin, "developer@example.com", "developer").await.unwrap();
        server.engine.accept_invitation(&token, Some(&developer.user_id), None, server.origin()).await.unwrap();
        assert_eq!(open(&server, &page, Some(&session)).await.status(), StatusCode::OK);
        assert_eq!(by_key().await, StatusCode::UNAUTHORIZED);
    }

    async fn who_leaves_takes_the_own_keys_along(on) {
        let server = TestServer::start(on).await;
        let bob = server.person("bob@example.com", Role::Admin).await;
        let key = server.engine.create_key(&server.admin().await, "mine", "viewer", None).await.unwrap();
        let session = Session::begin(&server, "ada@example.com").await;
        let leave = form(&[("workspace", server.made.workspace_id.as_str()), ("user", server.made.user_id.as_str())]);
        assert_eq!(became(&send(&server, "remove_member", &leave, Some(&session)).await), "done");
        let scope = server.scope(&bob, Permission::ReadMembers).await;
        let keys = server.engine.keys(&scope).await.unwrap();
        assert!(keys.iter().any(|listed| listed.id == key.id) && keys.iter().all(|key| key.ended_at.is_some()), "{keys:?}");
    }

    async fn a_mail_that_does_not_go_out_is_told_as_it_is(on) {
        let nobody = |config: &mut Config| config.mail.smtp_url = Some("smtp://127.0.0.1:1".into());
        let server = TestServer::start_with(on, nobody).await;
        let (session, ws) = (Session::begin(&server, "ada@example.com").await, server.made.workspace_id.as_str());
        let text = async |page: &str, session: Session| open(&server, page, Some(&session)).await.text().await.unwrap();
        let members = format!("/w/{ws}/members");
        let invite = form(&[("workspace", ws), ("email", "grace@example.com"), ("role", "viewer")]);
        let answer = send(&server, "invite", &invite, Some(&session)).await;
        let page = text(&members, session.with_flash(&answer)).await;
        assert!(page.contains("The mail to grace@example.com did not go out. Nothing was changed for this person"), "{page}");
        assert!(page.contains("value=\"grace@example.com\"") && !page.contains("Send again"), "{page}");
        server.engine.make_invitation(&server.admin().await, "grace@example.com", "viewer").await.unwrap();
        let list = form(&[("workspace", ws), ("people", "grace@example.com,viewer\nbob@example.com,viewer"), ("send", "yes")]);
        let answer = send(&server, "invite_list", &list, Some(&session)).await;
        let page = text(&members, session.with_flash(&answer)).await;
        assert!(page.contains("The mail to grace@example.com did not go out") && page.contains("Send 2 invitations"), "{page}");
        let (status, problem) = server.rest_json(Method::POST, "/members", Some(json!({ "email": "bob@example.com", "role": "viewer" }))).await;
        assert_eq!((status, problem["type"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("urn:agentframer:problem:unavailable")));
        // A fault of ours asks for the request's id, so it is there.
        let change = form(&[("email", "new@example.com"), ("email_password", "a long enough passphrase")]);
        let answer = send(&server, "change_email", &change, Some(&session)).await;
        let page = text("/account", session.with_flash(&answer)).await;
        assert!(page.contains("tell your operator the request id. It is req_"), "{page}");
    }

    async fn who_joins_and_who_comes_back_was_seen(on) {
        let server = TestServer::start(on).await;
        let seen = async || {
            let members = server.engine.members(&server.admin().await).await.unwrap();
            members.into_iter().find(|member| member.email == "grace@example.com").unwrap().last_seen_at
        };
        server.engine.invite(&server.admin().await, "grace@example.com", "viewer").await.unwrap();
        let token = server.mailed("grace@example.com", "/invite/");
        let join = form(&[("token", &*token), ("name", "Grace"), ("password", "a long enough passphrase")]);
        assert_eq!(became(&send(&server, "accept_invitation", &join, None).await), "done");
        assert_eq!(seen().await, Some(server.clock.now()), "joining is being here");
        server.clock.advance(HOUR);
        let session = Session::begin(&server, "grace@example.com").await;
        for minutes in [6, 30] {
            server.clock.advance(minutes * MINUTE);
            open(&server, "/account", Some(&session)).await;
            assert_eq!(seen().await, Some(server.clock.now()), "{minutes} minutes later");
        }
    }

    async fn invitations_are_listed_sent_again_and_withdrawn(on) {
        let server = TestServer::start(on).await;
        let admin = server.admin().await;
        let list = "email,role\na@example.com,viewer\nb@example.com,developer\n";
        assert_eq!(server.engine.invite_all(&admin, list).await.unwrap().people.len(), 2);
        assert!(server.engine.invite_all(&admin, "ada@example.com,viewer").await.is_err(), "a member already");
        let open = server.engine.invitations(&admin).await.unwrap();
        assert_eq!(open.len(), 2);
        server.engine.resend_invitation(&admin, &open[0].id).await.unwrap();
        server.engine.withdraw_invitation(&admin, &open[1].id).await.unwrap();
        let left = server.engine.invitations(&admin).await.unwrap();
        assert_eq!((left.len(), left[0].email.as_str()), (1, open[0].email.as_str()));
        assert!(server.engine.withdraw_invitation(&admin, &open[1].id).await.is_err());
    }

    async fn a_rotated_address_works_for_its_grace_and_then_is_nobodys(on) {
        let server = TestServer::start(on).await;
        let old = server.mcp_path();
        let (status, rotated) = server.rest_json(Method::POST, "/mcp-url/rotate", Some(json!({ "grace_hours": 2 }))).await;
        assert_eq!(status, StatusCode::OK, "{rotated}");
        let new = url::Url::parse(rotated["mcp_url"].as_str().unwrap()).unwrap().path().to_owned();
        assert_ne!(new, old);
        let status = async |path: &str| {
            let request = server.http.post(server.url(path)).bearer_auth(&server.made.agent_token);
            let request = request.header("accept", "application/json, text/event-stream");
            let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
            request.json(&body).send().await.unwrap().status()
        };
        assert_ne!(status(&old).await, StatusCode::NOT_FOUND);
        assert_ne!(status(&new).await, StatusCode::NOT_FOUND);
        server.clock.advance(2 * HOUR + 1);
        assert_eq!(status(&old).await, StatusCode::NOT_FOUND);
        assert_ne!(status(&new).await, StatusCode::NOT_FOUND);
        let (_, at_once) = server.rest_json(Method::POST, "/mcp-url/rotate", None).await;
        assert!(at_once["mcp_url"].is_string());
        assert_eq!(status(&new).await, StatusCode::NOT_FOUND);
        let (bad, problem) = server.rest_json(Method::POST, "/mcp-url/rotate", Some(json!({ "grace_hours": 169 }))).await;
        assert_eq!((bad, problem["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("grace_hours")), "{problem}");
    }

    async fn each_replaced_address_works_until_its_own_end_or_until_all_end_at_once(on) {
        let server = TestServer::start(on).await;
        let rotate = async |hours: i64| {
            let (status, rotated) = server.rest_json(Method::POST, "/mcp-url/rotate", Some(json!({ "grace_hours": hours }))).await;
            assert_eq!(status, StatusCode::OK, "{rotated}");
            path_of(rotated["mcp_url"].as_str().unwrap())
        };
        let works = async |path: &str| {
            let (status, _) = Mcp { url: server.url(path), ..server.mcp() }.send("tools/list", json!({})).await;
            assert!([StatusCode::OK, StatusCode::NOT_FOUND].contains(&status), "{status}");
            status == StatusCode::OK
        };
        let first = server.mcp_path();
        let second = rotate(5).await;
        let third = rotate(2).await;
        for path in [&first, &second, &third] {
            assert!(works(path).await, "{path}");
        }
        let session = Session::begin(&server, "ada@example.com").await;
        let page = open(&server, &format!("/w/{}/settings", server.made.workspace_id), Some(&session)).await.text().await.unwrap();
        for path in [&first, &second] {
            assert!(page.contains(&format!("…{}</code>", &path[path.len() - 4..])), "{page}");
        }
        server.clock.advance(3 * HOUR);
        assert_eq!((works(&first).await, works(&second).await, works(&third).await), (true, false, true));
        let fourth = rotate(0).await;
        assert_eq!((works(&first).await, works(&third).await, works(&fourth).await), (false, false, true));
        // What ended at once stays so.
        rotate(1).await;
        assert_eq!((works(&first).await, works(&third).await, works(&fourth).await), (false, false, true));
    }

    async fn a_changed_password_ends_every_other_session(on) {
        let server = TestServer::start(on).await;
        let (here, elsewhere) = (Session::begin(&server, "ada@example.com").await, Session::begin(&server, "ada@example.com").await);
        let change = form(&[("current_password", "a long enough passphrase"), ("new_password", "quite another passphrase")]);
        send(&server, "change_password", &change, Some(&here)).await;
        assert_eq!(open(&server, "/account", Some(&elsewhere)).await.status(), StatusCode::SEE_OTHER);
        assert!(server.engine.sign_in("ada@example.com", "a long enough passphrase", server.origin()).await.is_err());
        assert!(server.engine.sign_in("ada@example.com", "quite another passphrase", server.origin()).await.is_ok());
    }

    async fn another_address_takes_effect_when_its_link_is_followed(on) {
        let server = TestServer::start(on).await;
        let ada = Session::begin(&server, "ada@example.com").await;
        let dev = session_of(&server, Role::Developer).await;
        let ask = |password| form(&[("email", "Ada@New.example.com"), ("email_password", password)]);
        assert_eq!(became(&send(&server, "change_email", &ask("a wrong passphrase"), Some(&ada)).await), "back");
        assert_eq!(became(&send(&server, "change_email", &ask("a long enough passphrase"), Some(&ada)).await), "done");
        let token = server.mailed("ada@new.example.com", "/account?confirm=");
        assert!(server.engine.sign_in("ada@new.example.com", "a long enough passphrase", server.origin()).await.is_err());
        let page = |session: Session| {
            let link = format!("/account?confirm={token}");
            let server = &server;
            async move { open(server, &link, Some(&session)).await.text().await.unwrap() }
        };
        assert!(page(ada.clone()).await.contains("Use this address"));
        assert!(page(dev.clone()).await.contains("sent for another account"));
        let confirm = form(&[("token", &*token)]);
        assert_eq!(became(&send(&server, "confirm_email", &confirm, Some(&dev)).await), "back");
        assert_eq!(became(&send(&server, "confirm_email", &confirm, Some(&ada)).await), "done");
        assert!(server.engine.take_email(&server.made.user_id, &token).await.is_err(), "a link works once");
        assert!(server.engine.sign_in("ada@new.example.com", "a long enough passphrase", server.origin()).await.is_ok());
        assert!(server.engine.sign_in("ada@example.com", "a long enough passphrase", server.origin()).await.is_err());
        server.mailed("ada@example.com", "Another e-mail address was asked for");
    }

    async fn a_taken_address_is_told_only_to_who_reads_its_mail(on) {
        let server = TestServer::start(on).await;
        let ada = Session::begin(&server, "ada@example.com").await;
        server.person("grace@example.com", Role::Viewer).await;
        let ask = form(&[("email", "grace@example.com"), ("email_password", "a long enough passphrase")]);
        assert_eq!(became(&send(&server, "change_email", &ask, Some(&ada)).await), "done");
        let token = server.mailed("grace@example.com", "/account?confirm=");
        let taken = send(&server, "confirm_email", &form(&[("token", &*token)]), Some(&ada)).await;
        assert_eq!(became(&taken), "back");
        assert!(server.engine.sign_in("ada@example.com", "a long enough passphrase", server.origin()).await.is_ok());
    }

    async fn a_link_to_another_address_ends_after_a_day(on) {
        let server = TestServer::start(on).await;
        let ada = Session::begin(&server, "ada@example.com").await;
        let ask = form(&[("email", "new@example.com"), ("email_password", "a long enough passphrase")]);
        send(&server, "change_email", &ask, Some(&ada)).await;
        let token = server.mailed("new@example.com", "/account?confirm=");
        server.clock.advance(24 * HOUR);
        assert!(server.engine.take_email(&server.made.user_id, &token).await.is_err());
    }

    async fn the_settings_page_shows_what_a_role_may_do(on) {
        let server = TestServer::start(on).await;
        let page = format!("/w/{}/settings", server.made.workspace_id);
        let admin = Session::begin(&server, "ada@example.com").await;
        let text = open(&server, &page, Some(&admin)).await.text().await.unwrap();
        for shown in ["eu-west-1", "Make a new address", "Delete for good", "Make key"] {
            assert!(text.contains(shown), "{shown}");
        }
        let developer = session_of(&server, Role::Developer).await;
        let text = open(&server, &page, Some(&developer)).await.text().await.unwrap();
        assert!(text.contains("MCP address") && !text.contains("Make a new address") && !text.contains("Delete for good"));
        for facts in ["Cost centre", "eu-west-1", "Models infer"] {
            assert!(text.contains(facts) && !text.contains("disabled"), "{facts}: {text}");
        }
    }

    async fn a_taken_name_is_marked_where_it_was_typed(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        send(&server, "create_workspace", &form(&[("workspace_name", "Second"), ("region", "eu-west-1")]), Some(&session)).await;
        let ws = server.made.workspace_id.as_str();
        let rename = form(&[("workspace", ws), ("name", "Second"), ("cost_centre", "cc"), ("inference", "any")]);
        let answer = send(&server, "set_settings", &rename, Some(&session)).await;
        let page = open(&server, &format!("/w/{ws}/settings"), Some(&session.with_flash(&answer))).await.text().await.unwrap();
        assert!(page.contains("href=\"#name\"") && page.contains("Name is the name of another workspace of yours."), "{page}");
        assert!(page.contains("value=\"Second\"") && page.contains("value=\"cc\""), "{page}");
    }

    async fn a_developer_rotates_no_key_that_may_more(on) {
        let server = TestServer::start(on).await;
        let (session, page) = (session_of(&server, Role::Developer).await, format!("/w/{}/settings", server.made.workspace_id));
        let text = async |session: &Session| open(&server, &page, Some(session)).await.text().await.unwrap();
        assert!(!text(&session).await.contains("Rotate a key"), "there is an Admin’s key only");
        server.key(Role::Developer).await;
        let admins = server.engine.keys(&server.admin().await).await.unwrap().into_iter().find(|key| key.role == Role::Admin).unwrap();
        let shown = text(&session).await;
        assert!(shown.contains("Rotate a key") && !shown.contains(&format!("<option value=\"{}\"", admins.id)), "{shown}");
        let rotate = form(&[("workspace", server.made.workspace_id.as_str()), ("key", admins.id.as_str()), ("overlap_hours", "1")]);
        let answer = send(&server, "rotate_api_key", &rotate, Some(&session)).await;
        let back = text(&session.with_flash(&answer)).await;
        assert!(back.contains("href=\"#key\"") && back.contains("API key is above your own"), "{back}");
    }

    async fn a_key_tells_when_it_ends_and_stays_listed_afterwards(on) {
        let server = TestServer::start(on).await;
        let (session, admin) = (Session::begin(&server, "ada@example.com").await, server.admin().await);
        let base = format!("/w/{}", server.made.workspace_id);
        let text = async |below: &str| open(&server, &format!("{base}{below}"), Some(&session)).await.text().await.unwrap();
        assert!(!text("").await.contains("The API key"));
        let key = server.engine.create_key(&admin, "nightly", "viewer", Some(10)).await.unwrap();
        assert!(text("").await.contains("The API key nightly ends in 10 days. Programs that use it are refused then."));
        let settings = text("/settings").await;
        for shown in ["class=\"tag warn\">in 10 days</span>", "curl -H \"Authorization: Bearer YOUR_KEY\""] {
            assert!(settings.contains(shown), "{shown}: {settings}");
        }
        let new = server.engine.rotate_key(&admin, &key.id, 24).await.unwrap();
        assert!(text("").await.contains("ends in 10 days"), "the new key ends too; the old one is replaced and not told");
        server.engine.end_key(&admin, &new.id).await.unwrap();
        assert!(text("").await.contains("The API key nightly ends in 1 day."));
        server.engine.end_key(&admin, &key.id).await.unwrap();
        assert!(!text("").await.contains("The API key") && text("/settings").await.contains("Ended keys"));
    }

    async fn a_list_says_who_is_new_before_it_is_sent(on) {
        let server = TestServer::start(on).await;
        let (session, ws) = (Session::begin(&server, "ada@example.com").await, server.made.workspace_id.as_str());
        server.engine.invite(&server.admin().await, "open@example.com", "viewer").await.unwrap();
        let looked = async |people: &str| {
            let answer = send(&server, "invite_list", &form(&[("workspace", ws), ("people", people)]), Some(&session)).await;
            open(&server, &format!("/w/{ws}/members"), Some(&session.with_flash(&answer))).await.text().await.unwrap()
        };
        let page = looked("new@example.com,viewer\nopen@example.com,developer").await;
        assert!(page.contains(">new</span>") && page.contains(">invited</span>") && page.contains("Send 2 invitations"), "{page}");
        let page = looked("new@example.com,viewer\nada@example.com,viewer").await;
        assert!(page.contains(">member</span>") && page.contains("Take out who is a member already") && !page.contains("Send 2"), "{page}");
    }

    async fn the_session_in_use_is_marked(on) {
        let server = TestServer::start(on).await;
        let (here, _) = (Session::begin(&server, "ada@example.com").await, Session::begin(&server, "ada@example.com").await);
        let page = open(&server, "/account", Some(&here)).await.text().await.unwrap();
        assert_eq!((page.matches("action=\"/api/end_session\"").count(), page.matches("this one").count()), (2, 1), "{page}");
    }
}
