//! A browser without scripts: sessions, pages and forms.

use std::collections::BTreeSet;

use agentframer::domain::access::Role;
use agentframer_app::App;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use leptos::server_fn::axum::server_fn_paths;
use leptos_axum::generate_route_list;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::support::{Databases, TestServer, both_engines};

const PASSWORD: &str = "a long enough passphrase";

/// A browser that is signed in.
#[derive(Clone)]
pub struct Session(String);

impl Session {
    pub async fn begin(server: &TestServer, email: &str) -> Self {
        let answer = send(server, "sign_in", &form(&[("email", email), ("password", PASSWORD)]), None).await;
        let cookies = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let cookie = cookies.into_iter().find(|cookie| cookie.starts_with("af=")).expect("a session");
        Self(cookie.split(';').next().unwrap().to_owned())
    }

    /// A request for a page.
    pub fn request(&self, server: &TestServer, path: &str) -> reqwest::RequestBuilder {
        server.http.get(server.url(path)).header("accept", "text/html").header("cookie", &self.0)
    }

    /// With one more cookie.
    pub fn with(&self, cookie: &str) -> Self {
        Self(format!("{}; {cookie}", self.0))
    }

    /// With what a form's answer has to say on the next page.
    pub fn with_flash(&self, answer: &Response) -> Self {
        let mut cookies = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let flash = cookies.find(|cookie| cookie.starts_with("af_flash=")).expect("something to say");
        self.with(flash.split(';').next().unwrap())
    }
}

/// Opens a page.
pub async fn open(server: &TestServer, path: &str, session: Option<&Session>) -> Response {
    let request = server.http.get(server.url(path)).header("accept", "text/html");
    let request = session.into_iter().fold(request, |request, session| request.header("cookie", &session.0));
    request.send().await.unwrap()
}

/// The same form again, not by a double click: that would get the first answer once more.
pub fn later(body: &str) -> String {
    format!("{body}&later=yes")
}

/// Sends a form as a browser does from our own page.
pub async fn send(server: &TestServer, endpoint: &str, body: &str, session: Option<&Session>) -> Response {
    post(server, &format!("/api/{endpoint}"), body, session).await
}

/// As [`send`], to any path.
pub async fn post(server: &TestServer, path: &str, body: &str, session: Option<&Session>) -> Response {
    let request = server
        .http
        .post(server.url(path))
        .header("accept", "text/html")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &server.base)
        .header("sec-fetch-site", "same-origin")
        .header("referer", format!("{}/form", server.base))
        .body(body.to_owned());
    let request = session.into_iter().fold(request, |request, session| request.header("cookie", &session.0));
    request.send().await.unwrap()
}

/// The fields as a form's body.
pub fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What became of a form: `done`, `back` to the form with an error, `login`, or the status.
pub fn became(answer: &Response) -> String {
    if answer.status() != StatusCode::SEE_OTHER {
        return answer.status().as_u16().to_string();
    }
    match (answer.headers()["location"].to_str().unwrap(), said(answer)) {
        (to, _) if to == "/login" || to.starts_with("/login?") => "login",
        (_, Some(said)) if said["problem"].is_string() => "back",
        _ => "done",
    }
    .to_owned()
}

/// What the next page will say.
fn said(answer: &Response) -> Option<Value> {
    let mut cookies = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let text = cookies.find_map(|cookie| cookie.strip_prefix("af_flash="))?.split(';').next()?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).ok()
}

/// Every page and server function of the app, as the expectation names them.
pub fn present() -> BTreeSet<String> {
    let named = ["{agent}", "{webhook}", "{data_request}", "{*model}"].map(|own| (own, "{id}"));
    let named = named.into_iter().chain([("{workspace}", "{ws}")]);
    let named: Vec<_> = named.collect();
    let pages = generate_route_list(App).into_iter().map(|route| {
        let path = named.iter().fold(route.path().to_owned(), |path, (from, to)| path.replace(from, to));
        format!("page {path}")
    });
    let forms = server_fn_paths().map(|(path, _)| format!("form {}", path.trim_start_matches("/api/")));
    pages.chain(forms).collect()
}

both_engines! {
    async fn a_form_of_another_site_changes_nothing(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let request = server.http.post(server.url("/api/create_workspace")).header("cookie", &session.0);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("origin", "https://evil.example").header("sec-fetch-site", "cross-site");
        let answer = request.body(form(&[("workspace_name", "Theirs"), ("region", "eu-west-1")])).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(server.engine.workspaces_of(&server.made.user_id).await.unwrap().len(), 1);
    }

    async fn a_page_lets_only_its_own_scripts_run_and_is_not_kept(on) {
        let server = TestServer::start(on).await;
        let page = open(&server, "/login", None).await;
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert_eq!(page.headers()["cache-control"], "no-store");
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let html = page.text().await.unwrap();
        assert_eq!(html.matches("<script").count(), html.matches(&format!("nonce=\"{nonce}\"")).count());
        assert!(!html.contains("style="), "{html}");
    }

    async fn a_wrong_password_is_told_once_and_never_shown(on) {
        let server = TestServer::start(on).await;
        let wrong = form(&[("email", "ada@example.com"), ("password", "not the right one")]);
        let answer = send(&server, "sign_in", &wrong, None).await;
        assert_eq!(answer.headers()["location"], "/form");
        let cookies = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let flash = Session(cookies.into_iter().find(|cookie| cookie.starts_with("af_flash=")).unwrap().split(';').next().unwrap().to_owned());
        let page = open(&server, "/login", Some(&flash)).await;
        let ended = page.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(ended.starts_with("af_flash=;") && ended.contains("Max-Age=0"), "{ended}");
        let html = page.text().await.unwrap();
        assert!(html.contains("E-mail or password is not right."), "{html}");
        assert!(html.contains("ada@example.com") && !html.contains("not the right one"));
    }

    async fn a_form_from_before_an_update_comes_back_with_a_sentence(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let ws = server.made.workspace_id.as_str();
        let answer = send(&server, "top_up", &form(&[("workspace", ws), ("amount_usd", "5")]), Some(&session)).await;
        assert_eq!((became(&answer).as_str(), answer.headers()["location"].to_str().unwrap()), ("back", &*format!("{}/form", server.base)));
        let page = open(&server, &format!("/w/{ws}/billing"), Some(&session.with_flash(&answer))).await.text().await.unwrap();
        assert!(page.contains("The server could not read this form") && page.contains("$100.00"), "{page}");
    }

    async fn who_signs_in_for_a_file_comes_back_to_it(on) {
        let server = TestServer::start(on).await;
        let ws = server.made.workspace_id.as_str();
        let file = open(&server, &format!("/w/{ws}/billing/export?kind=charge"), None).await;
        assert_eq!(file.headers()["location"], format!("/login?next=%2Fw%2F{ws}%2Fbilling%2Fexport%3Fkind%3Dcharge"));
        let report = post(&server, &format!("/w/{ws}/security/report"), "", None).await;
        assert_eq!(report.headers()["location"], format!("/login?next=%2Fw%2F{ws}%2Fsecurity"));
    }

    async fn a_used_set_up_link_says_so(on) {
        let server = TestServer::start(on).await;
        let page = open(&server, "/setup?token=setup_old", None).await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST);
        assert!(page.text().await.unwrap().contains("This set-up link was used or is over."));
    }

    async fn signing_out_ends_the_session_itself(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        assert_eq!(open(&server, "/", Some(&session)).await.status(), StatusCode::OK);
        send(&server, "sign_out", "", Some(&session)).await;
        assert_eq!(open(&server, "/", Some(&session)).await.headers()["location"], "/login?next=%2F");
    }

    async fn a_new_agents_token_is_shown_once(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let body = form(&[("workspace", server.made.workspace_id.as_str()), ("name", "poster-bot")]);
        let answer = send(&server, "create_agent", &body, Some(&session)).await;
        let (page, said) = (answer.headers()["location"].to_str().unwrap(), said(&answer).unwrap());
        let token = said["secret"].as_str().unwrap().to_owned();
        assert!(token.starts_with("af_agent_"), "{token}");
        let again = open(&server, page, Some(&session)).await.text().await.unwrap();
        assert!(again.contains("poster-bot") && !again.contains(&token));
    }
}

/// Roles that come by an invitation.
pub async fn session_of(server: &TestServer, role: Role) -> Session {
    server.member(role).await;
    Session::begin(server, &format!("{role}@example.com")).await
}
