//! Members, the MCP URL, API keys and one's own account: what changes at once, and what stays safe.

use agentframer::domain::access::Role;
use agentframer::domain::time::HOUR;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::browser::{Session, became, form, open, send, session_of};
use super::support::{Databases, TestServer, both_engines};

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
        let page = format!("/w/{}", server.made.workspace_id);
        assert_eq!(open(&server, &page, Some(&session)).await.status(), StatusCode::OK);
        let admin = server.admin().await;
        let members = server.engine.members(&admin).await.unwrap();
        let developer = members.iter().find(|member| member.role == Role::Developer).unwrap();
        server.engine.remove_member(&admin, &developer.user_id).await.unwrap();
        assert_eq!(open(&server, &page, Some(&session)).await.status(), StatusCode::NOT_FOUND);
    }

    async fn invitations_are_listed_sent_again_and_withdrawn(on) {
        let server = TestServer::start(on).await;
        let admin = server.admin().await;
        let list = "email,role\na@example.com,viewer\nb@example.com,developer\n";
        assert_eq!(server.engine.invite_all(&admin, list).await.unwrap(), 2);
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
    }
}
