//! The retention page, as a browser without scripts has it.

use agentframer::domain::access::{Permission, Role};
use agentframer::domain::retention::Retention;
use agentframer::domain::settings::Inference;
use agentframer::domain::time::DAY;
use agentframer::engine::access::scope::Principal;
use agentframer::engine::data::purge::Purged;
use agentframer::engine::log::reading::{AuditFilter, Page};
use reqwest::Response;
use serde_json::json;

use super::browser::{self, Session, became, form, open, send};
use super::support::{Databases, TestServer, both_engines};

fn own(server: &TestServer) -> String {
    format!("/w/{}/retention", server.made.workspace_id)
}

async fn html(server: &TestServer, session: &Session) -> String {
    open(server, &own(server), Some(session)).await.text().await.unwrap()
}

/// The page after a form, with what the form left to say.
async fn after(server: &TestServer, answer: &Response, session: &Session) -> String {
    html(server, &session.with_flash(answer)).await
}

async fn change(server: &TestServer, endpoint: &str, fields: &[(&str, &str)], session: &Session) -> Response {
    let workspace = [("workspace", server.made.workspace_id.as_str())];
    send(server, endpoint, &form(&[&workspace, fields].concat()), Some(session)).await
}

async fn periods(server: &TestServer) -> Retention {
    server.engine.retention(&server.admin().await).await.unwrap().retention
}

fn days<'a>(step: &'a str, media: &'a str, log: &'a str) -> [(&'a str, &'a str); 3] {
    [("step", step), ("media_retention_days", media), ("log_retention_days", log)]
}

both_engines! {
    async fn a_change_says_what_it_deletes_before_it_is_saved(on) {
        let server = TestServer::start(on).await;
        let fox = json!({ "prompt": "a fox", "width": 64, "height": 64 });
        assert_eq!(server.mcp().call("generate_image", fox).await["isError"], false);
        server.clock.advance(3 * DAY);
        let admin = Session::begin(&server, "ada@example.com").await;
        let page = html(&server, &admin).await;
        assert!(page.contains("Show what this deletes") && !page.contains("value=\"save\""), "{page}");
        let looked = change(&server, "set_retention", &days("preview", "2", "400"), &admin).await;
        let page = after(&server, &looked, &admin).await;
        for text in ["1 result with 1 file ", "and 0 log rows", "not saved yet", "value=\"2\"", "value=\"400\"", "cannot be brought back"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert_eq!(periods(&server).await, Retention::default(), "looking changes nothing");
        let saved = change(&server, "set_retention", &days("save", "2", "400"), &admin).await;
        assert!(after(&server, &saved, &admin).await.contains("within the hour"));
        assert_eq!(periods(&server).await.media_retention_days, 2);
        let other = server.other().await;
        server.engine.purge().await.unwrap();
        let theirs = server.engine.scope(&Principal::User(other.user_id), &other.workspace_id, Permission::ChangeSettings, server.origin()).await.unwrap();
        let seen = server.engine.retention(&theirs).await.unwrap().last_purge.unwrap().report.unwrap();
        assert_eq!(seen.purged, Purged::default(), "what goes in one workspace is no other’s business");
        assert!(html(&server, &admin).await.contains("1 result and 0 log rows of this workspace deleted"));
    }

    async fn a_change_says_what_a_hold_keeps(on) {
        let server = TestServer::start(on).await;
        server.mcp().image().await;
        server.clock.advance(3 * DAY);
        let admin = Session::begin(&server, "ada@example.com").await;
        change(&server, "place_hold", &[("kind", "workspace"), ("target", ""), ("reason", "case 7")], &admin).await;
        let looked = change(&server, "set_retention", &days("preview", "2", "400"), &admin).await;
        let page = after(&server, &looked, &admin).await;
        assert!(page.contains("Nothing is deleted now.") && page.contains("1 result more would go, but a legal hold"), "{page}");
    }

    async fn periods_out_of_range_come_back_at_their_input(on) {
        let server = TestServer::start(on).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let cases = [("0", "2557", "Media and prompts, in days"), ("soon", "2557", "is not a number of days"), ("30", "10", "Audit log, in days"), ("400", "365", "Audit log, in days")];
        for (media, log, words) in cases {
            for step in ["preview", "save"] {
                let back = change(&server, "set_retention", &days(step, media, log), &admin).await;
                assert_eq!(became(&back), "back");
                let page = after(&server, &back, &admin).await;
                let typed = format!("value=\"{media}\"");
                assert!(page.contains(words) && page.contains(&typed) && page.contains("aria-invalid=\"true\""), "{words}: {page}");
            }
        }
        assert_eq!(periods(&server).await, Retention::default());
    }

    async fn a_hold_is_placed_and_lifted_with_a_reason(on) {
        let server = TestServer::start(on).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let developer = browser::session_of(&server, Role::Developer).await;
        let back = change(&server, "place_hold", &[("kind", "agent"), ("target", ""), ("reason", "case 7")], &admin).await;
        let page = after(&server, &back, &admin).await;
        assert!(page.contains("Agent or subject ") && page.contains("value=\"case 7\""), "{page}");
        let placed = change(&server, "place_hold", &[("kind", "subject"), ("target", "customer-42"), ("reason", "case 7")], &admin).await;
        assert_eq!(became(&placed), "done");
        let page = html(&server, &developer).await;
        assert!(page.contains("case 7") && page.contains("one data subject") && page.contains("1 in force"));
        assert!(!page.contains("customer-42") && !page.contains("/api/lift_hold") && !page.contains("/api/set_retention"));
        let hold = server.engine.holds(&server.admin().await).await.unwrap().remove(0).id.to_string();
        let back = change(&server, "lift_hold", &[("hold", &hold), ("lift_reason", " ")], &admin).await;
        assert!(after(&server, &back, &admin).await.contains("Reason "));
        let lifted = change(&server, "lift_hold", &[("hold", &hold), ("lift_reason", "settled out of court")], &admin).await;
        assert_eq!(became(&lifted), "done");
        assert!(html(&server, &developer).await.contains("settled out of court"));
    }

    async fn residency_is_changed_and_told(on) {
        let server = TestServer::start(on).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let page = html(&server, &admin).await;
        assert!(page.contains("No copy of the media stands anywhere else.") && !page.contains("Copies of the media · us-east-1"));
        for (inference, copies) in [("any", "mars-1"), ("any", "eu-west-1"), ("some", "us-east-1")] {
            let back = change(&server, "set_residency", &[("inference", inference), ("replicate_to", copies)], &admin).await;
            assert_eq!(became(&back), "back", "{inference} {copies}");
        }
        let set = change(&server, "set_residency", &[("inference", "any"), ("replicate_to", "us-east-1")], &admin).await;
        assert_eq!(became(&set), "done");
        assert_eq!(server.engine.settings(&server.admin().await).await.unwrap().inference, Inference::Any);
        let log = server.engine.audit(&server.admin().await, &AuditFilter::default(), Page::default()).await.unwrap();
        let told = log.items[0].entry.data.clone().unwrap();
        assert_eq!((&told["from"]["inference"], &told["to"]["inference"]), (&json!("region_only"), &json!("any")), "{told}");
        let page = html(&server, &admin).await;
        for text in ["In us-east-1: copies of", "us-east-1 · folder on this server", "who may infer elsewhere"] {
            assert!(page.contains(text), "{text}: {page}");
        }
    }
}
