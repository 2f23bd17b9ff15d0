//! The security panel: sessions, sign-ins, keys, and the report under its confidentiality text.

use std::time::Duration;

use agentframer::domain::access::Role;
use agentframer::domain::time::HOUR;
use agentframer::engine::log::reading::{AuditFilter, Page};
use lopdf::{Dictionary, Document, Object, Stream, dictionary};
use reqwest::{Response, StatusCode};

use super::browser::{self, Session, form, open, send};
use super::support::{Databases, TestServer, both_engines};

/// One page that says nothing.
fn pdf() -> Vec<u8> {
    let mut document = Document::with_version("1.5");
    let (tree, text) = (document.new_object_id(), Stream::new(Dictionary::new(), Vec::new()));
    let contents = document.add_object(text);
    let page =
        document.add_object(dictionary! { "Type" => "Page", "Parent" => tree, "Contents" => contents });
    let pages = dictionary! { "Type" => "Pages", "Count" => 1, "Kids" => vec![page.into()] };
    document.objects.insert(tree, Object::Dictionary(pages));
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => tree });
    document.trailer.set("Root", catalog);
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

/// A server that offers a report.
pub async fn with_report(on: Databases) -> TestServer {
    let file = on.folder.path().join("report.pdf");
    std::fs::write(&file, pdf()).unwrap();
    TestServer::start_with(on, |config| {
        config.security.soc2_report = Some(file);
        config.webhooks.allow_private_addresses = true;
    })
    .await
}

fn own(server: &TestServer) -> String {
    format!("/w/{}/security", server.made.workspace_id)
}

async fn html(server: &TestServer, session: &Session) -> String {
    open(server, &own(server), Some(session)).await.text().await.unwrap()
}

/// The value of the first input of this name.
fn value(html: &str, name: &str) -> String {
    let input = html.split(&format!("name=\"{name}\" value=\"")).nth(1).expect(name);
    input.split('"').next().unwrap().to_owned()
}

async fn download(server: &TestServer, session: &Session) -> Response {
    browser::post(server, &format!("{}/report", own(server)), "", Some(session)).await
}

async fn events(server: &TestServer) -> Vec<String> {
    let log = server.engine.audit(&server.admin().await, &AuditFilter::default(), Page::default()).await;
    log.unwrap().items.into_iter().filter_map(|row| row.entry.event).collect()
}

both_engines! {
    async fn the_panel_tells_each_role_what_it_may_know(on) {
        let server = TestServer::start(on).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let developer = browser::session_of(&server, Role::Developer).await;
        let viewer = browser::session_of(&server, Role::Viewer).await;
        server.clock.advance(2 * HOUR);
        server.engine.make_checkpoints().await.unwrap();
        let page = html(&server, &admin).await;
        for text in ["Where your data lives", "Argon2id", "127.0.0.1", "Covers until", "/reference/keys.json", "/api/end_member_session", "offers no report here"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(!page.contains(server.databases.folder.path().to_str().unwrap()), "a folder of the server is shown");
        let page = html(&server, &developer).await;
        assert!(page.contains("Signed in now") && !page.contains("/api/end_member_session"));
        assert_eq!(open(&server, &own(&server), Some(&viewer)).await.status(), StatusCode::NOT_FOUND);
    }

    async fn an_admin_ends_a_members_session_and_no_strangers(on) {
        let server = TestServer::start(on).await;
        let developer = browser::session_of(&server, Role::Developer).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        server.other().await;
        let stranger = Session::begin(&server, "eve@example.com").await;
        let sessions = server.engine.member_sessions(&server.admin().await).await.unwrap();
        assert_eq!(sessions.len(), 2, "a stranger's session is not listed");
        let of_developer = sessions.into_iter().find(|session| session.name == "Developer").unwrap();
        let end = form(&[("workspace", server.made.workspace_id.as_str()), ("session", &of_developer.handle)]);
        for other in [&stranger, &developer] {
            assert_eq!(send(&server, "end_member_session", &end, Some(other)).await.status(), StatusCode::NOT_FOUND);
        }
        assert_eq!(open(&server, "/", Some(&developer)).await.status(), StatusCode::OK);
        assert_eq!(browser::became(&send(&server, "end_member_session", &end, Some(&admin)).await), "done");
        assert_eq!(open(&server, "/", Some(&developer)).await.headers()["location"], "/login?next=%2F");
        assert_eq!(send(&server, "end_member_session", &browser::later(&end), Some(&admin)).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(events(&server).await.iter().filter(|event| *event == "session.ended").count(), 1);
    }

    async fn sign_ins_are_listed_for_ninety_days(on) {
        let server = TestServer::start(on).await;
        let wrong = form(&[("email", "ada@example.com"), ("password", "not the right one")]);
        send(&server, "sign_in", &wrong, None).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let page = wait_for(&server, &admin, "wrong password").await;
        assert!(page.contains("signed in") && !page.contains("not the right one"));
        assert_eq!(server.engine.recent_sign_ins(&server.admin().await).await.unwrap().len(), 2);
        server.clock.advance(91 * 24 * HOUR);
        server.engine.forget_sign_ins().await.unwrap();
        assert_eq!(server.engine.recent_sign_ins(&server.admin().await).await.unwrap(), []);
    }

    async fn the_report_goes_to_whoever_accepted_the_text_with_the_name_on_it(on) {
        let server = with_report(on).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let developer = browser::session_of(&server, Role::Developer).await;
        let early = download(&server, &admin).await;
        assert_eq!((early.status(), early.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, &*own(&server)));
        let page = html(&server, &admin).await;
        assert!(page.contains("Confidentiality undertaking") && page.contains("I accept"));
        let workspace = server.made.workspace_id.to_string();
        let accept = |hash: &str| form(&[("workspace", &workspace), ("text_sha256", hash)]);
        assert_eq!(browser::became(&send(&server, "accept_nda", &accept("another text's"), Some(&admin)).await), "back");
        let accepted = accept(&value(&page, "text_sha256"));
        assert_eq!(send(&server, "accept_nda", &accepted, Some(&developer)).await.status(), StatusCode::NOT_FOUND);
        for _ in 0..2 {
            assert_eq!(browser::became(&send(&server, "accept_nda", &accepted, Some(&admin)).await), "done");
        }
        assert!(html(&server, &admin).await.contains("Download the PDF"));
        assert_eq!(download(&server, &developer).await.status(), StatusCode::NOT_FOUND);
        let copy = download(&server, &admin).await;
        assert_eq!((copy.status(), &copy.headers()["content-type"]), (StatusCode::OK, &"application/pdf".parse().unwrap()));
        let name = server.engine.user(&server.made.user_id).await.unwrap().unwrap().name.replace(' ', "-");
        assert!(copy.headers()["content-disposition"].to_str().unwrap().contains(&name));
        let copy = Document::load_mem(&copy.bytes().await.unwrap()).unwrap();
        let info = copy.trailer.get_deref(b"Info", &copy).unwrap().as_dict().unwrap();
        assert!(lopdf::decode_text_string(info.get(b"Subject").unwrap()).unwrap().contains("ada@example.com"));
        let events = events(&server).await;
        assert_eq!(events.iter().filter(|event| *event == "nda.accepted").count(), 1);
        assert_eq!(events[0], "report.downloaded");
    }

    async fn another_text_is_accepted_anew_and_a_missing_file_is_told(on) {
        let (text, report) = (on.folder.path().join("nda.txt"), on.folder.path().join("report.pdf"));
        std::fs::write(&text, "Keep it to <yourself>.").unwrap();
        let (nda, pdf) = (text.clone(), report.clone());
        let server = TestServer::start_with(on, |config| {
            (config.security.nda, config.security.soc2_report) = (Some(nda), Some(pdf));
        }).await;
        let admin = Session::begin(&server, "ada@example.com").await;
        let accept = async || {
            let page = html(&server, &admin).await;
            let fields = [("workspace", server.made.workspace_id.as_str()), ("text_sha256", &*value(&page, "text_sha256"))];
            send(&server, "accept_nda", &form(&fields), Some(&admin)).await;
            page
        };
        assert!(accept().await.contains("Keep it to &lt;yourself&gt;."));
        assert_eq!(download(&server, &admin).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        std::fs::write(&report, "no PDF").unwrap();
        assert_eq!(download(&server, &admin).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        std::fs::write(&text, "Keep it to yourself for ever.").unwrap();
        assert_eq!(download(&server, &admin).await.status(), StatusCode::SEE_OTHER);
        accept().await;
        assert_eq!(server.engine.report(&server.admin().await).await.unwrap().unwrap().acceptances.len(), 2);
        std::fs::remove_file(&text).unwrap();
        let page = open(&server, &own(&server), Some(&admin)).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.text().await.unwrap().contains("cannot be read on this server"));
    }
}

/// What is noted behind an answer stands on the page a moment later.
async fn wait_for(server: &TestServer, session: &Session, text: &str) -> String {
    for _ in 0..100 {
        let page = html(server, session).await;
        if page.contains(text) {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{text} never stood on the page");
}
