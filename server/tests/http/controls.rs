//! Every page as every role, without a browser: it has the controls that `end2end/pages.table` says, and its forms go to
//! functions that the role may call and send what these take. So no control is forgotten and no form broken in silence.

use std::collections::{BTreeMap, BTreeSet};

use agentframer::domain::access::Role;
use agentframer::domain::holds::HoldTarget;
use agentframer::domain::ids::DataRequestId;
use agentframer::engine::access::scope::Scope;
use agentframer::engine::alerts::AlertChange;
use agentframer::engine::log::saved_searches::NewSearch;
use agentframer::engine::webhooks::EndpointChange;
use axum::Router;
use axum::http::StatusCode;
use serde_json::json;

use super::access::endpoints;
use super::browser::{Session, form, open, send, session_of};
use super::html::{Element, Form, Page};
use super::security;
use super::support::{Databases, TestServer, client};

const TABLE: &str = include_str!("../../../end2end/pages.table");
/// The columns of the table that are signed in, and the last one.
const ROLES: [Option<Role>; 4] = [Some(Role::Admin), Some(Role::Developer), Some(Role::Viewer), None];
/// What a role may do with what is its own, although the expectation, which takes another's, says no.
const OWN: [&str; 2] = ["cancel_data_request", "delete_search"];
/// What a function takes and can do without.
const OPTIONAL: [(&str, &[&str]); 11] = [
    ("accept_invitation", &["name", "password"]),
    ("change_webhook", &["remove_headers"]),
    ("invite_list", &["send"]),
    ("replay_webhook", &["failed_days", "from_seq", "to_seq"]),
    ("save_search", &["shared"]),
    ("set_alerts", &["remove_slack"]),
    ("set_caps", &["preflight_required"]),
    ("set_policy", &["models", "step"]),
    ("sign_in", &["kept", "next"]),
    ("top_up", &["again"]),
    ("update_policy", &["step"]),
];

/// A control of the table, with one word a role: `yes`, `no`, or `may` where it depends on more than the role.
struct Control {
    kind: &'static str,
    name: &'static str,
    seen: [&'static str; 4],
}

impl Control {
    /// By its whole name, in which `*` stands for anything at the end.
    fn is(&self, name: &str) -> bool {
        self.name.strip_suffix('*').map_or(self.name == name, |beginning| name.starts_with(beginning))
    }
}

struct Line {
    path: &'static str,
    controls: Vec<Control>,
}

impl Line {
    fn control(&self, kind: &str, name: &str) -> Option<&Control> {
        let fits = |control: &&Control| control.kind == kind && control.is(name);
        let exact = self.controls.iter().filter(fits).find(|control| control.name == name);
        exact.or_else(|| self.controls.iter().find(fits))
    }
}

fn table() -> Vec<Line> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).skip(1);
    let mut table: Vec<Line> = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        match cells.as_slice() {
            [kind, name, seen @ ..] if line.starts_with(' ') => {
                let seen = seen.try_into().unwrap_or_else(|_| panic!("{line}"));
                table.last_mut().unwrap().controls.push(Control { kind, name, seen });
            }
            [path, ..] => table.push(Line { path, controls: Vec::new() }),
            [] => (),
        }
    }
    table
}

/// A server whose pages have something to show, and a browser for each role.
struct World {
    server: TestServer,
    sessions: BTreeMap<Role, Session>,
    /// What stands for a place in a path.
    ids: BTreeMap<&'static str, Vec<String>>,
    /// Pages in a state that no path alone has: the table's line, who opens it, where, with which cookies.
    visits: Vec<(&'static str, Role, String, Session)>,
}

impl World {
    async fn start() -> Self {
        let server = security::with_report(Databases::sqlite()).await;
        let mut sessions = BTreeMap::from([(Role::Admin, Session::begin(&server, "ada@example.com").await)]);
        for role in [Role::Developer, Role::Viewer] {
            sessions.insert(role, session_of(&server, role).await);
        }
        let made = BTreeMap::from([
            ("ws", vec![server.made.workspace_id.to_string()]),
            ("agent", vec![server.made.agent_id.to_string()]),
            ("model", vec!["sketch-image-1".to_owned()]),
        ]);
        let mut world = Self { server, sessions, ids: made, visits: Vec::new() };
        world.fill().await;
        world
    }

    /// As the browser's world is filled (`end2end/support/world.js`).
    async fn fill(&mut self) {
        let (server, admin) = (&self.server, self.server.admin().await);
        let new = json!({ "url": refusing().await, "format": "generic", "headers": { "x-team": "growth" } });
        let hook = server.engine.create_webhook(&admin, serde_json::from_value(new).unwrap()).await.unwrap();
        let image = json!({ "prompt": "a fox", "width": 64, "height": 64, "subject": "customer-42" });
        let made = server.mcp().call("generate_image", image).await;
        let request = made["structuredContent"]["request_id"].as_str().unwrap().to_owned();
        let done = filed(server, &admin, "customer-42", "access").await;
        server.engine.approve_data_request(&admin, &done, Some("passport")).await.unwrap();
        server.engine.execute_data_requests().await.unwrap();
        let open = filed(server, &admin, "customer-42", "erasure").await;
        let held = HoldTarget::Subject("customer-7".into());
        server.engine.place_hold(&admin, held, "case 7").await.unwrap();
        server.engine.invite(&admin, "invited@example.com", "viewer").await.unwrap();
        while server.engine.deliver_webhooks().await.unwrap() > 0 {}
        let invite = server.mailed("invited@example.com", "/invite/");
        self.ids.extend([
            ("request", vec![request]),
            ("done", vec![done.to_string()]),
            ("data_request", vec![open.to_string()]),
            ("webhook", vec![hook.endpoint.id.to_string()]),
            ("invite", vec![invite]),
        ]);
    }

    /// The states that come later.
    async fn go_on(&mut self) {
        let (server, admin) = (&self.server, self.server.admin().await);
        let batches = json!({ "url": refusing().await, "format": "datadog", "token": "key" });
        let batches = serde_json::from_value(batches).unwrap();
        let batches = server.engine.create_webhook(&admin, batches).await.unwrap().endpoint.id;
        server.key(Role::Viewer).await;
        let paused = server.engine.create_agent(&admin, "paused", None).await.unwrap().agent.id;
        server.engine.pause_agent(&admin, &paused).await.unwrap();
        let hook = self.ids["webhook"][0].parse().unwrap();
        let pause = EndpointChange { state: Some("paused".into()), ..EndpointChange::default() };
        server.engine.change_webhook(&admin, &hook, pause).await.unwrap();
        server.engine.set_daily_export(&admin, true).await.unwrap();
        let text = server.engine.report(&admin).await.unwrap().unwrap().text_sha256;
        server.engine.accept_nda(&admin, &text).await.unwrap();
        let slack_url = Some("https://hooks.slack.com/services/T0/B0/x".into());
        let settings = server.engine.alerts(&admin).await.unwrap().settings;
        server.engine.set_alerts(&admin, AlertChange { settings, slack_url }).await.unwrap();
        server.engine.set_model_allowed(&admin, "sketch-image-1", false).await.unwrap();
        server.engine.place_hold(&admin, HoldTarget::Workspace, "case 8").await.unwrap();
        let blocked = filed(server, &admin, "customer-42", "erasure").await;
        server.engine.approve_data_request(&admin, &blocked, None).await.unwrap();
        server.engine.execute_data_requests().await.unwrap();
        let mut requests = vec![blocked.to_string()];
        for role in [Role::Developer, Role::Viewer] {
            let own = server.scope_of(role).await;
            requests.push(filed(server, &own, "customer-42", "access").await.to_string());
            let search = NewSearch {
                name: format!("of {role}"),
                tab: "calls".into(),
                query: "cost:>1".into(),
                shared: false,
            };
            server.engine.save_search(&own, search).await.unwrap();
        }
        let admins =
            NewSearch { name: "all".into(), tab: "calls".into(), query: "cost:>1".into(), shared: true };
        server.engine.save_search(&admin, admins).await.unwrap();
        while server.engine.deliver_webhooks().await.unwrap() > 0 {}
        self.ids.get_mut("webhook").unwrap().push(batches.to_string());
        self.ids.get_mut("agent").unwrap().push(paused.to_string());
        self.ids.get_mut("data_request").unwrap().extend(requests);
        self.look().await;
    }

    /// Forms with two steps, the top-up that is sent twice, and the link to another address.
    async fn look(&mut self) {
        let top_up = [("amount_usd", "5"), ("reference", "INV-1")];
        let once_more = [&top_up[..], &[("later", "yes")]].concat();
        let empty = ["user_id", "request_ids", "prompt_text", "from", "to", "note"].map(|name| (name, ""));
        let about = [("step", "preview"), ("kind", "access"), ("subject", "customer-42")];
        let told = [("received_on", "2026-10-14"), ("requested_by", "Grace")];
        let request = [&about[..], &told, &empty].concat();
        let days = [("step", "preview"), ("media_retention_days", "20"), ("log_retention_days", "2557")];
        self.after_form(Role::Admin, "/w/{ws}/billing", "top_up", &top_up).await;
        self.after_form(Role::Admin, "/w/{ws}/billing", "top_up", &once_more).await;
        self.after_form(Role::Admin, "/w/{ws}/members", "invite_list", &[("people", "new@example.com")])
            .await;
        self.after_form(Role::Admin, "/w/{ws}/retention", "set_retention", &days).await;
        for role in Role::ALL {
            self.after_form(role, "/w/{ws}/data-requests", "file_data_request", &request).await;
        }
        let address = [("email", "other@example.com"), ("email_password", "a long enough passphrase")];
        self.after_form(Role::Admin, "/account", "change_email", &address).await;
        let token = self.server.mailed("other@example.com", "/account?confirm=");
        let session = self.sessions[&Role::Admin].clone();
        self.visits.push(("/account", Role::Admin, format!("/account?confirm={token}"), session));
    }

    async fn after_form(&mut self, role: Role, page: &'static str, endpoint: &str, fields: &[(&str, &str)]) {
        let ws = self.server.made.workspace_id.as_str();
        let body = form(&[&[("workspace", ws)], fields].concat());
        let answer = send(&self.server, endpoint, &body, Some(&self.sessions[&role])).await;
        let session = self.sessions[&role].with_flash(&answer);
        self.visits.push((page, role, page.replace("{ws}", ws), session));
    }

    /// Where the pages of a line are.
    fn paths(&self, line: &Line) -> Vec<String> {
        let mut paths = vec![line.path.to_owned()];
        for (place, ids) in &self.ids {
            let fill = |path: &String| {
                ids.iter().map(|id| path.replace(&format!("{{{place}}}"), id)).collect::<BTreeSet<_>>()
            };
            paths = paths.iter().flat_map(fill).collect();
        }
        match line.path {
            "/login" => paths.push("/login?next=%2Faccount".to_owned()),
            "/w/{ws}/audit" => paths.push(format!("{}?tab=calls&q=tool:generate_image", paths[0])),
            _ => (),
        }
        paths
    }
}

async fn filed(server: &TestServer, scope: &Scope, subject: &str, kind: &str) -> DataRequestId {
    let new = json!({
        "kind": kind, "match": { "subject": subject }, "requested_by": "Grace Hopper",
        "received_on": server.clock.now().date().to_string(),
    });
    server.engine.file_data_request(scope, serde_json::from_value(new).unwrap()).await.unwrap().id
}

/// A receiver that wants none of it.
async fn refusing() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().fallback(|| async { StatusCode::BAD_REQUEST });
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// What was found on the pages.
#[derive(Default)]
struct Found {
    /// Line, column and control of the table.
    seen: BTreeSet<(&'static str, usize, &'static str)>,
    /// Each function with the optional names that its forms have.
    sent: BTreeSet<(String, String)>,
    wrong: BTreeSet<String>,
}

impl Found {
    async fn walk(&mut self, world: &World, table: &[Line]) {
        for line in table {
            for (column, role) in ROLES.into_iter().enumerate() {
                for path in world.paths(line) {
                    self.open(world, line, column, &path, role.map(|role| &world.sessions[&role])).await;
                }
            }
        }
        for (page, role, path, session) in &world.visits {
            let line = table.iter().find(|line| line.path == *page).unwrap();
            let column = ROLES.iter().position(|known| known == &Some(*role)).unwrap();
            self.open(world, line, column, path, Some(session)).await;
        }
    }

    async fn open(
        &mut self,
        world: &World,
        line: &Line,
        column: usize,
        path: &str,
        session: Option<&Session>,
    ) {
        let html = open(&world.server, path, session).await.text().await.unwrap();
        self.read(line, column, &html);
    }

    fn read(&mut self, line: &Line, column: usize, html: &str) {
        let page = Page::read(html);
        self.controls(line, column, &page);
        for form in page.forms() {
            self.form(line, column, &form);
        }
        if page.all("fieldset", None).any(|group| group.get("disabled").is_some()) {
            self.wrong.insert(format!("{}: a whole group is shown that nobody can use", line.path));
        }
    }

    /// The frame's controls stand under the overview alone.
    fn controls(&mut self, line: &Line, column: usize, page: &Page) {
        let outside = (line.path != "/w/{ws}").then_some("side");
        for button in page.all("button", outside).map(Element::label) {
            match line.control("button", &button) {
                Some(control) => self.note(line, column, control),
                None => {
                    self.wrong.insert(format!("{}: the table lacks the button “{button}”", line.path));
                }
            }
        }
        for (tag, kind) in [("a", "link"), ("h2", "heading"), ("h3", "heading")] {
            for name in page.all(tag, None).map(Element::label) {
                line.control(kind, &name).into_iter().for_each(|control| self.note(line, column, control));
            }
        }
    }

    fn note(&mut self, line: &Line, column: usize, control: &Control) {
        self.seen.insert((line.path, column, control.name));
        if control.seen[column] == "no" {
            let name = control.name;
            self.wrong.insert(format!("{}: “{name}” is there for column {column}", line.path));
        }
    }

    /// The function may be called by the role, and takes what the form sends.
    fn form(&mut self, line: &Line, column: usize, form: &Form) {
        // The report's path is a line of its own in the expectation, and has no fields.
        let Some(function) = form.action.strip_prefix("/api/") else { return };
        let endpoint =
            endpoints().into_iter().find(|endpoint| endpoint.method == "form" && endpoint.place == function);
        let Some(endpoint) = endpoint else {
            self.wrong.insert(format!("{}: there is no function {function}", line.path));
            return;
        };
        let is_own = OWN.contains(&function);
        if ROLES[column].is_some_and(|role| endpoint.of(role) == "404") && !is_own {
            self.wrong.insert(format!("{}: column {column} may not send {function}", line.path));
        }
        let taken: BTreeSet<String> = endpoint.fields();
        let optional =
            OPTIONAL.iter().find(|(name, _)| *name == function).map_or(&[][..], |(_, names)| names);
        let is_optional = |name: &String| optional.contains(&name.as_str());
        for name in taken.iter().filter(|name| !is_optional(name) && !form.names.contains(*name)) {
            self.wrong.insert(format!("{}: {function} needs {name}", line.path));
        }
        for name in &form.names {
            if is_optional(name) {
                self.sent.insert((function.to_owned(), name.clone()));
            } else if !taken.contains(name) {
                self.wrong.insert(format!("{}: {function} does not take {name}", line.path));
            }
        }
    }

    /// What the table promises with this word and no page had.
    fn missing(&mut self, table: &[Line], word: &str) {
        for line in table {
            for control in
                line.controls.iter().filter(|one| ["button", "link", "heading"].contains(&one.kind))
            {
                for column in (0..ROLES.len()).filter(|column| control.seen[*column] == word) {
                    if !self.seen.contains(&(line.path, column, control.name)) {
                        let (path, name) = (line.path, control.name);
                        self.wrong.insert(format!("{path}: “{name}” is missing for column {column}"));
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_has_the_tables_controls_and_forms_that_work() {
    let (table, mut world, mut found) = (table(), World::start().await, Found::default());
    found.walk(&world, &table).await;
    found.missing(&table, "yes");
    let databases = Databases::sqlite();
    let (bare, set_up) = TestServer::bare(&databases).await;
    let html = client().get(format!("{bare}{set_up}")).send().await.unwrap().text().await.unwrap();
    let line = table.iter().find(|line| line.path.starts_with("/setup")).unwrap();
    found.read(line, ROLES.len() - 1, &html);
    world.go_on().await;
    found.walk(&world, &table).await;
    found.missing(&table, "may");
    let unsent =
        OPTIONAL.iter().flat_map(|(function, names)| names.iter().map(move |name| (*function, *name)));
    for (function, name) in
        unsent.filter(|(function, name)| !found.sent.contains(&((*function).into(), (*name).into())))
    {
        found.wrong.insert(format!("no page sends {name} to {function}"));
    }
    assert!(found.wrong.is_empty(), "{:#?}", found.wrong);
}
