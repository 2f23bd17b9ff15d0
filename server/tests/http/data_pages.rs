//! The pages of data requests, as a browser without scripts has them.

use agentframer::domain::access::Role;
use agentframer::domain::holds::HoldTarget;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::browser::{self, Session, became, form, open, send};
use super::support::{Databases, TestServer, both_engines};

const RECEIVED: &str = "2026-10-14";

/// A request's form, with these fields instead of its own.
fn request(server: &TestServer, step: &str, change: &[(&'static str, &str)]) -> String {
    let empty = ["user_id", "request_ids", "prompt_text", "from", "to", "note"].map(|name| (name, ""));
    let own = [
        ("workspace", server.made.workspace_id.as_str()),
        ("step", step),
        ("kind", "erasure"),
        ("subject", "customer-42"),
        ("received_on", RECEIVED),
        ("requested_by", "Grace Hopper"),
    ];
    let mut fields: Vec<(&str, &str)> = own.into_iter().chain(empty).collect();
    for (name, value) in change {
        fields.iter_mut().find(|field| field.0 == *name).expect(name).1 = value;
    }
    form(&fields)
}

async fn portrait(server: &TestServer, subject: &str) {
    let arguments = json!({ "prompt": "a portrait", "width": 64, "height": 64, "subject": subject });
    assert_eq!(server.mcp().call("generate_image", arguments).await["isError"], false);
}

fn list(server: &TestServer) -> String {
    format!("/w/{}/data-requests", server.made.workspace_id)
}

fn location(answer: &Response) -> String {
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// The page after a form, with what the form left to say.
async fn after(server: &TestServer, path: &str, answer: &Response, session: &Session) -> String {
    open(server, path, Some(&session.with_flash(answer))).await.text().await.unwrap()
}

async fn html(server: &TestServer, path: &str, session: &Session) -> String {
    open(server, path, Some(session)).await.text().await.unwrap()
}

/// Sends one of the forms of the request's page.
async fn step(
    server: &TestServer,
    endpoint: &str,
    page: &str,
    extra: &[(&str, &str)],
    session: &Session,
) -> Response {
    let id = page.rsplit('/').next().unwrap();
    let own = [("workspace", server.made.workspace_id.as_str()), ("request", id)];
    send(server, endpoint, &form(&[&own, extra].concat()), Some(session)).await
}

both_engines! {
    async fn a_prompt_that_is_too_long_to_come_back_takes_nothing_else_along(on) {
        let server = TestServer::start(on).await;
        let viewer = browser::session_of(&server, Role::Viewer).await;
        let prompt: String = (0..9_000_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
        let typed = [("prompt_text", prompt.as_str()), ("note", "By letter."), ("from", "2026-10-01")];
        let looked = send(&server, "file_data_request", &request(&server, "preview", &typed), Some(&viewer)).await;
        assert_eq!(became(&looked), "back");
        let page = after(&server, &list(&server), &looked, &viewer).await;
        let kept = ["value=\"customer-42\"", "value=\"Grace Hopper\"", "By letter.</textarea>", "value=\"2026-10-01\""];
        for text in [&kept[..], &["href=\"#prompt_text\"", "Prompt text was too long to come back: type it again."]].concat() {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(!page.contains(&prompt));
    }

    async fn looking_shows_what_matches_and_stores_nothing(on) {
        let server = TestServer::start(on).await;
        portrait(&server, "customer-42").await;
        let viewer = browser::session_of(&server, Role::Viewer).await;
        let looked = send(&server, "file_data_request", &request(&server, "preview", &[]), Some(&viewer)).await;
        assert_eq!((became(&looked).as_str(), location(&looked)), ("done", list(&server)));
        assert!(!location(&looked).contains("customer"), "no subject in a URL");
        let page = after(&server, &list(&server), &looked, &viewer).await;
        for text in ["1 prompt, 1 result and 1 log row", "every call of the workspace", "File request", "14 Nov 2026", "value=\"customer-42\"", "Grace Hopper", "one Admin"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(page.contains("No request yet") && !html(&server, &list(&server), &viewer).await.contains("id=\"preview\""));
        let nobody = request(&server, "preview", &[("subject", "nobody")]);
        let looked = send(&server, "file_data_request", &nobody, Some(&viewer)).await;
        assert!(after(&server, &list(&server), &looked, &viewer).await.contains("Nothing matches."));
    }

    async fn wrong_input_comes_back_with_what_was_typed(on) {
        let server = TestServer::start(on).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        // Too long for a cookie, however it is packed.
        let long: String = (0..400u32).map(|n| hex::encode(Sha256::digest(n.to_be_bytes()))).collect();
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&[("subject", "")], "The request names nothing"),
            (&[("received_on", "2030-01-01")], "Received on"),
            (&[("from", "2026-02-02"), ("to", "2026-01-01")], "To day"),
            (&[("from", "soon")], "From day is not a day"),
            (&[("note", "by letter"), ("kind", "everything")], "What is asked is not access or erasure"),
            (&[("requested_by", " ")], "Who asked"),
        ];
        for (change, words) in cases {
            for button in ["preview", "file"] {
                let back = send(&server, "file_data_request", &request(&server, button, change), Some(&admin)).await;
                assert_eq!(became(&back), "back", "{words}");
                let page = after(&server, &list(&server), &back, &admin).await;
                assert!(page.contains(words) && page.contains(change[0].1), "{words}: {page}");
            }
        }
        for field in ["subject", "prompt_text"] {
            let back = send(&server, "file_data_request", &request(&server, "preview", &[(field, &long)]), Some(&admin)).await;
            assert_eq!(became(&back), "back", "{field}");
        }
        assert!(html(&server, &list(&server), &admin).await.contains("No request yet"));
    }

    async fn an_erasure_goes_from_the_form_to_a_certificate_to_print(on) {
        let server = TestServer::start(on).await;
        portrait(&server, "customer-42").await;
        let viewer = browser::session_of(&server, Role::Viewer).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let filed = send(&server, "file_data_request", &request(&server, "file", &[("note", "by letter")]), Some(&viewer)).await;
        let own = location(&filed);
        assert!(own.starts_with(&format!("{}/dr_", list(&server))), "{own}");
        let page = html(&server, &own, &viewer).await;
        assert!(page.contains("An Admin decides") && page.contains("Withdraw") && !page.contains("Approve and run"));
        let page = html(&server, &own, &admin).await;
        for text in ["Grace Hopper", "by letter", "customer-42", "waits for approval", "Approve and run", "Extend the due date", "one Admin"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert_eq!(open(&server, &format!("{own}/certificate"), Some(&admin)).await.status(), StatusCode::NOT_FOUND);
        let back = step(&server, "reject_data_request", &own, &[("reason", " ")], &admin).await;
        assert!(after(&server, &own, &back, &admin).await.contains("Reason "));
        let extended = step(&server, "extend_data_request", &own, &[("extension", "many files")], &admin).await;
        assert!(after(&server, &own, &extended, &admin).await.contains("14 Jan 2027"));
        assert_eq!(became(&step(&server, "approve_data_request", &own, &[("identity", "passport")], &admin).await), "done");
        server.engine.execute_data_requests().await.unwrap();

        let page = html(&server, &own, &admin).await;
        assert!(page.contains("two people stood behind it") && page.contains("/certificate") && !page.contains("customer-42"), "{page}");
        let page = html(&server, &format!("{own}/certificate"), &viewer).await;
        for text in ["Certificate of erasure", "rows deleted, data keys destroyed", "What stays, and why", "Ed25519", "nothing left this installation", "certificate.json"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        let json = open(&server, &format!("{own}/certificate.json"), Some(&viewer)).await;
        assert!(json.headers()["content-disposition"].to_str().unwrap().contains("certificate-dr_"));
        let signed: Value = serde_json::from_str(&json.text().await.unwrap()).unwrap();
        let id = own.rsplit('/').next().unwrap().parse().unwrap();
        assert_eq!(signed, server.engine.data_request_certificate(&server.admin().await, &id).await.unwrap());
        server.other().await;
        let stranger = Session::begin(&server, "eve@example.com").await;
        for path in [own.clone(), format!("{own}/certificate"), format!("{own}/certificate.json")] {
            assert_eq!(open(&server, &path, Some(&stranger)).await.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(open(&server, &path, None).await.status(), StatusCode::SEE_OTHER, "{path}");
        }
    }

    async fn a_hold_is_shown_where_it_blocks_and_the_request_runs_once_it_is_lifted(on) {
        let server = TestServer::start(on).await;
        portrait(&server, "customer-42").await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let hold = server.engine.place_hold(&server.admin().await, HoldTarget::Workspace, "case 7").await.unwrap();
        let looked = send(&server, "file_data_request", &request(&server, "preview", &[]), Some(&admin)).await;
        assert!(after(&server, &list(&server), &looked, &admin).await.contains("A legal hold keeps 1 of the results"));
        let own = location(&send(&server, "file_data_request", &request(&server, "file", &[]), Some(&admin)).await);
        step(&server, "approve_data_request", &own, &[("identity", "")], &admin).await;
        server.engine.execute_data_requests().await.unwrap();
        let page = html(&server, &own, &admin).await;
        for text in ["blocked by a legal hold", "nothing was deleted", "case 7", "Run once more", "one person filed and approved it"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        server.engine.lift_hold(&server.admin().await, &hold.id, None).await.unwrap();
        assert_eq!(became(&step(&server, "retry_data_request", &own, &[], &admin).await), "done");
        server.engine.execute_data_requests().await.unwrap();
        assert!(html(&server, &own, &admin).await.contains("/certificate"));
    }

    async fn an_archives_link_is_for_who_may_read_prompts_and_the_filer_does_not_approve(on) {
        let server = TestServer::start(on).await;
        portrait(&server, "customer-42").await;
        let viewer = browser::session_of(&server, Role::Viewer).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let second = browser::session_of(&server, Role::Admin).await;
        let access = request(&server, "file", &[("kind", "access")]);
        let own = location(&send(&server, "file_data_request", &access, Some(&admin)).await);
        assert!(html(&server, &own, &admin).await.contains("another Admin has to approve it"));
        assert_eq!(became(&step(&server, "approve_data_request", &own, &[("identity", "")], &admin).await), "back");
        assert_eq!(became(&step(&server, "approve_data_request", &own, &[("identity", "")], &second).await), "done");
        server.engine.execute_data_requests().await.unwrap();
        assert!(html(&server, &own, &admin).await.contains("Download the archive"));
        assert!(!html(&server, &own, &viewer).await.contains("Download the archive"));
        assert!(html(&server, &format!("{own}/certificate"), &viewer).await.contains("What was handed out"));
        let withdrawn = location(&send(&server, "file_data_request", &access, Some(&viewer)).await);
        assert_eq!(became(&step(&server, "cancel_data_request", &withdrawn, &[], &viewer).await), "done");
        assert!(html(&server, &list(&server), &viewer).await.contains("withdrawn"));
    }
}
