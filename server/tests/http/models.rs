//! The model library's pages: every model has one, and what its vendor has closed is shown as closed.

use agentframer::domain::catalog::Catalog;
use reqwest::StatusCode;

use super::browser::{Session, became, form, open, send};
use super::html::Page;
use super::support::{Databases, TestServer, both_engines};

const WITH_SLASH: &str = "black-forest-labs/flux-1.1-pro";
/// Before the day on which the tests begin.
const CLOSED: &str = "sora-2";

async fn html(server: &TestServer, path: &str, session: &Session) -> String {
    let answer = open(server, path, Some(session)).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.text().await.unwrap()
}

fn library(server: &TestServer) -> String {
    format!("/w/{}/models", server.made.workspace_id)
}

both_engines! {
    async fn every_model_of_the_catalogue_has_a_page(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let (list, below, catalog) = (library(&server), format!("{}/", library(&server)), Catalog::built_in());
        let page = Page::read(&html(&server, &list, &session).await);
        let links = page.all("a", None).filter_map(|link| link.get("href")).filter(|href| href.starts_with(&below));
        let links: Vec<&str> = links.collect();
        assert_eq!(links.len(), catalog.models().len(), "{links:?}");
        for (link, model) in links.iter().zip(catalog.models()) {
            let page = Page::read(&html(&server, link, &session).await);
            assert_eq!(page.all("h1", None).next().unwrap().label(), model.id);
        }
        let escaped = format!("{list}/{}", WITH_SLASH.replace('/', "%2F"));
        assert!(html(&server, &escaped, &session).await.contains(WITH_SLASH));
        let unknown = format!("{list}/black-forest-labs/nothing");
        assert_eq!(open(&server, &unknown, Some(&session)).await.status(), StatusCode::NOT_FOUND);
    }

    async fn a_model_with_a_slash_is_forbidden_and_allowed_on_its_page(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let (workspace, page) = (server.made.workspace_id.as_str(), format!("{}/{WITH_SLASH}", library(&server)));
        for (allowed, offers) in [("no", "Allow in this workspace"), ("yes", "Forbid in this workspace")] {
            let change = form(&[("workspace", workspace), ("model", WITH_SLASH), ("allowed", allowed)]);
            let answer = send(&server, "set_model_allowed", &change, Some(&session)).await;
            assert_eq!((&*became(&answer), answer.headers()["location"].to_str().unwrap()), ("done", &*page));
            assert!(html(&server, &page, &session).await.contains(offers), "{offers}");
        }
    }

    async fn a_closed_model_says_so_and_cannot_be_allowed(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let list = html(&server, &library(&server), &session).await;
        assert_eq!(list.matches(">closed</span>").count(), 1, "{list}");
        let page = html(&server, &format!("{}/{CLOSED}", library(&server)), &session).await;
        let says = "sora-2 was closed by its vendor on 2026-09-24; use blackforestlabs/flux-3-max/text-to-video instead. No call can use it.";
        assert!(page.contains(says) && page.contains(">closed</span>") && !page.contains(">allowed</span>"), "{page}");
        assert!(!page.contains("Forbid in this workspace") && !page.contains("Allow in this workspace"), "{page}");
        let allow = form(&[("workspace", server.made.workspace_id.as_str()), ("model", CLOSED), ("allowed", "yes")]);
        assert_eq!(became(&send(&server, "set_model_allowed", &allow, Some(&session)).await), "back");
    }
}
