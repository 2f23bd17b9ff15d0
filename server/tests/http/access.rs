//! The checked-in expectation of who gets what, `tests/access.txt`, against the server.

use std::collections::{BTreeSet, HashMap};

use agentframer::domain::access::Role;
use agentframer::domain::holds::HoldTarget;
use agentframer::domain::ids::UserId;
use agentframer::domain::time::MINUTE;
use agentframer::engine::access::bootstrap::Bootstrapped;
use agentframer::engine::calls::tools::definitions;
use agentframer::engine::log::reading::{AuditFilter, GenerationFilter, Page};
use agentframer::engine::log::saved_searches::NewSearch;
use agentframer_server::rest::document;
use agentframer_server::{downloads, find};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::browser::{self, Session};
use super::security;
use super::support::{Databases, Mcp, TestServer, both_engines, read};

const FILE: &str = include_str!("../access.txt");
/// The columns, in the order in which they are driven: who may least comes first.
const CALLERS: [Caller; 6] =
    [Caller::Nobody, Caller::Other, Caller::Agent, Caller::Viewer, Caller::Developer, Caller::Admin];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Caller {
    Admin,
    Developer,
    Viewer,
    Agent,
    Other,
    Nobody,
}

/// A line of the file.
pub struct Endpoint {
    /// A method, or `tool`.
    pub method: &'static str,
    /// A path with places to fill, or a tool's name.
    pub place: &'static str,
    /// In the order of the columns.
    expected: Vec<&'static str>,
    body: Option<&'static str>,
}

impl Endpoint {
    fn read(line: &'static str) -> Self {
        let mut words = line.split_whitespace();
        let (method, place) = (words.next().unwrap(), words.next().unwrap());
        let expected: Vec<&str> = words.by_ref().take(6).collect();
        assert_eq!(expected.len(), 6, "{line}");
        let body = line.find("  {\"").or(line.find(" {\"")).or(line.find(" {}"));
        Self { method, place, expected, body: body.map(|at| line[at..].trim()) }
    }

    pub fn is_rest(&self) -> bool {
        self.place.starts_with("/api/")
    }

    /// What somebody of this role gets.
    pub fn of(&self, role: Role) -> &'static str {
        let caller = match role {
            Role::Admin => Caller::Admin,
            Role::Developer => Caller::Developer,
            Role::Viewer => Caller::Viewer,
        };
        self.expected[caller as usize]
    }

    /// The names of what a form sends; `tools` for `tools[generate_image]`.
    pub fn fields(&self) -> BTreeSet<String> {
        let body = self.body(0).unwrap_or_default();
        let names = body.as_object().into_iter().flatten().map(|(name, _)| name);
        names.map(|name| name.split('[').next().unwrap_or(name).to_owned()).collect()
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.place)
    }

    /// The body with a number of its own.
    pub fn body(&self, number: usize) -> Option<Value> {
        let text = self.body?.replace("{n}", &number.to_string());
        Some(serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{}: {fault}", self.name())))
    }
}

/// Every line of the file.
pub fn endpoints() -> Vec<Endpoint> {
    let lines = FILE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(Endpoint::read).collect()
}

/// What the server has: the routes of the OpenAPI document and the tools.
fn present() -> BTreeSet<String> {
    let document = serde_json::to_value(document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let routes = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let tools = definitions().into_iter().map(|definition| format!("tool {}", definition.tool));
    let downloads =
        downloads::PATHS.concat().into_iter().chain(find::PATHS).map(|path| format!("download {path}"));
    let report = format!("report {}", downloads::papers::REPORT);
    routes.chain(tools).chain(downloads).chain([report]).chain(browser::present()).collect()
}

#[tokio::test]
async fn the_file_names_everything_once_and_nothing_else() {
    let named: Vec<String> = endpoints().iter().map(Endpoint::name).collect();
    let once: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(named.len(), once.len(), "a line stands there twice");
    let present = present();
    let missing: Vec<_> = present.difference(&once).collect();
    let unknown: Vec<_> = once.difference(&present).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing in access.txt: {missing:?}; not there: {unknown:?}"
    );
}

/// A server with a proof for each caller.
struct World {
    server: TestServer,
    other: Bootstrapped,
    developer: String,
    viewer: String,
    sessions: HashMap<Caller, Session>,
}

impl World {
    async fn start(on: Databases) -> Self {
        let server = security::with_report(on).await;
        let (other, developer) = (server.other().await, server.key(Role::Developer).await);
        let viewer = server.key(Role::Viewer).await;
        let sessions = HashMap::from([
            (Caller::Admin, Session::begin(&server, "ada@example.com").await),
            (Caller::Other, Session::begin(&server, "eve@example.com").await),
            (Caller::Developer, browser::session_of(&server, Role::Developer).await),
            (Caller::Viewer, browser::session_of(&server, Role::Viewer).await),
        ]);
        Self { server, other, developer, viewer, sessions }
    }

    fn key(&self, caller: Caller) -> Option<&str> {
        match caller {
            Caller::Admin => Some(&self.server.made.api_key),
            Caller::Developer => Some(&self.developer),
            Caller::Viewer => Some(&self.viewer),
            Caller::Agent => Some(&self.server.made.agent_token),
            Caller::Other => Some(&self.other.api_key),
            Caller::Nobody => None,
        }
    }

    /// What `caller` gets at `endpoint`.
    async fn outcome(&self, endpoint: &Endpoint, caller: Caller, number: usize) -> String {
        match endpoint.method {
            "tool" => self.tool(endpoint, caller, number).await,
            "page" | "download" => self.page(endpoint, caller, number).await.to_string(),
            "form" => self.form(endpoint, caller, number).await,
            "report" => self.report(endpoint, caller).await.to_string(),
            _ => self.route(endpoint, caller, number).await.to_string(),
        }
    }

    async fn route(&self, endpoint: &Endpoint, caller: Caller, number: usize) -> u16 {
        let path = filled(&self.server, endpoint.place, number).await;
        let request = self.server.http.request(endpoint.method.parse().unwrap(), self.server.url(&path));
        let request = self.key(caller).into_iter().fold(request, |request, key| request.bearer_auth(key));
        let request = endpoint.body(number).into_iter().fold(request, |request, body| request.json(&body));
        request.send().await.unwrap().status().as_u16()
    }

    async fn page(&self, endpoint: &Endpoint, caller: Caller, number: usize) -> u16 {
        let path = filled(&self.server, endpoint.place, number).await;
        let newest = Page { limit: Some(1), cursor: None };
        let log = self.server.engine.audit(&self.server.admin().await, &AuditFilter::default(), newest).await;
        let request = log.unwrap().items.remove(0).entry.request_id;
        let path = path.replace("{request}", request.as_str()).replace("{token}", "inv_unknown");
        browser::open(&self.server, &path, self.sessions.get(&caller)).await.status().as_u16()
    }

    async fn form(&self, endpoint: &Endpoint, caller: Caller, number: usize) -> String {
        let fields = endpoint.body(number).unwrap();
        let mut pairs = Vec::new();
        for (name, value) in fields.as_object().unwrap() {
            pairs.push((name.clone(), self.value(value.as_str().unwrap(), caller, number).await));
        }
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        let session = self.sessions.get(&caller);
        browser::became(&browser::send(&self.server, endpoint.place, &browser::form(&pairs), session).await)
    }

    async fn report(&self, endpoint: &Endpoint, caller: Caller) -> u16 {
        let path = endpoint.place.replace("{ws}", self.server.made.workspace_id.as_str());
        browser::post(&self.server, &path, "", self.sessions.get(&caller)).await.status().as_u16()
    }

    /// What stands for `{…}` in a form: something new of that kind, so that only the role decides.
    async fn value(&self, value: &str, caller: Caller, number: usize) -> String {
        let (server, admin) = (&self.server, self.server.admin().await);
        let new = async |collection: &str| {
            filled(server, &format!("{collection}/{{id}}"), number)
                .await
                .replace(&format!("{collection}/"), "")
        };
        match value {
            "{agent}" => new("agents").await,
            "{data_request}" => new("data-requests").await,
            "{generation}" => new("generations").await,
            "{hold}" => new("holds").await,
            "{member}" => new("members").await,
            "{webhook}" => new("webhooks").await,
            "{invitation}" => {
                let email = format!("invited-{number}@example.com");
                server.engine.invite(&admin, &email, "viewer").await.unwrap().id.to_string()
            }
            "{key}" => {
                server.engine.create_key(&admin, "target", "viewer", None).await.unwrap().id.to_string()
            }
            "{nda}" => server.engine.report(&admin).await.unwrap().unwrap().text_sha256,
            "{search}" => {
                let name = format!("target-{number}");
                let search = NewSearch { name, tab: "calls".into(), query: String::new(), shared: true };
                server.engine.save_search(&admin, search).await.unwrap().id.to_string()
            }
            "{session}" => {
                let email = format!("signed-in-{number}@example.com");
                let user = server.person(&email, Role::Viewer).await;
                self.session_id(&user, &email).await;
                let all = server.engine.member_sessions(&admin).await.unwrap();
                all.into_iter().find(|session| session.user_id == user).unwrap().handle
            }
            "{own_session}" => match self.person(caller).await {
                Some((user, email)) => self.session_id(&user, &email).await,
                None => String::new(),
            },
            value => value.replace("{ws}", server.made.workspace_id.as_str()),
        }
    }

    /// Signs in once more; the id under which that session is listed.
    async fn session_id(&self, user: &UserId, email: &str) -> String {
        let known = self.server.engine.sessions_of(user).await.unwrap();
        // The forms with wrong passwords slow this address down.
        self.server.clock.advance(10 * MINUTE);
        Session::begin(&self.server, email).await;
        let all = self.server.engine.sessions_of(user).await.unwrap();
        all.into_iter().map(|session| session.id).find(|id| known.iter().all(|old| old.id != *id)).unwrap()
    }

    async fn person(&self, caller: Caller) -> Option<(UserId, String)> {
        let members = self.server.engine.members(&self.server.admin().await).await.unwrap();
        let member = |role: Role| {
            let email = format!("{role}@example.com");
            let found = members.iter().find(|member| member.email == email)?;
            Some((found.user_id.clone(), email.clone()))
        };
        match caller {
            Caller::Admin => Some((self.server.made.user_id.clone(), "ada@example.com".into())),
            Caller::Other => Some((self.other.user_id.clone(), "eve@example.com".into())),
            Caller::Developer => member(Role::Developer),
            Caller::Viewer => member(Role::Viewer),
            Caller::Agent | Caller::Nobody => None,
        }
    }

    async fn tool(&self, endpoint: &Endpoint, caller: Caller, number: usize) -> String {
        let token = if caller == Caller::Other { Some(&*self.other.agent_token) } else { self.key(caller) };
        let mcp = Mcp { token: token.map(str::to_owned), ..self.server.mcp() };
        let call = json!({ "name": endpoint.place, "arguments": endpoint.body(number) });
        let (status, answer) = read(mcp.request("tools/call", call).send().await.unwrap()).await;
        let result = &answer["result"];
        match (status, result["isError"].as_bool()) {
            (StatusCode::OK, Some(false)) => "ok".to_owned(),
            (StatusCode::OK, _) => result["structuredContent"]["error"]["code"].as_str().unwrap().to_owned(),
            (status, _) => status.as_u16().to_string(),
        }
    }
}

/// The path in this server's workspace, with something new behind each `{id}`.
pub async fn filled(server: &TestServer, place: &str, number: usize) -> String {
    let path = place.replace("{ws}", server.made.workspace_id.as_str());
    let Some((before, _)) = path.split_once("/{id}") else { return path };
    let id = match before.rsplit('/').next().unwrap() {
        "agents" => {
            let name = format!("target-{number}");
            server.engine.create_agent(&server.admin().await, &name, None).await.unwrap().agent.id.to_string()
        }
        "models" => "sketch-image-1".to_owned(),
        "members" => server.person(&format!("target-{number}@example.com"), Role::Viewer).await.to_string(),
        "webhooks" => {
            let new = json!({ "url": format!("https://siem{number}.example.com/"), "format": "generic" });
            let new = serde_json::from_value(new).unwrap();
            let admin = server.admin().await;
            let made = server.engine.create_webhook(&admin, new).await.unwrap();
            // Not more than a workspace may have.
            let others = server.engine.webhooks(&admin).await.unwrap();
            if let Some(old) = others.iter().filter(|other| other.id != made.endpoint.id).nth(40) {
                server.engine.delete_webhook(&admin, &old.id).await.unwrap();
            }
            made.endpoint.id.to_string()
        }
        "holds" => {
            let target = HoldTarget::Subject(format!("target-{number}"));
            server.engine.place_hold(&server.admin().await, target, "case").await.unwrap().id.to_string()
        }
        "data-requests" => {
            let new = json!({
                "kind": "access", "match": { "subject": format!("target-{number}") },
                "received_on": server.clock.now().date().to_string(), "requested_by": "Grace Hopper",
            });
            let new = serde_json::from_value(new).unwrap();
            server.engine.file_data_request(&server.admin().await, new).await.unwrap().id.to_string()
        }
        "generations" => {
            server.mcp().image().await;
            let (admin, newest) = (server.admin().await, Page { limit: Some(1), cursor: None });
            let made = server.engine.generations(&admin, &GenerationFilter::default(), newest).await;
            made.unwrap().items.remove(0).generation_id.to_string()
        }
        collection => panic!("teach this test to make one of {collection}"),
    };
    path.replace("{id}", &id)
}

both_engines! {
    async fn everyone_gets_what_the_file_says(on) {
        let world = World::start(on).await;
        let mut wrong = Vec::new();
        let mut number = 0;
        for endpoint in endpoints() {
            for caller in CALLERS {
                number += 1;
                let outcome = world.outcome(&endpoint, caller, number).await;
                let expected = endpoint.expected[caller as usize];
                if outcome != expected {
                    wrong.push(format!("{} as {caller:?}: {outcome}, not {expected}", endpoint.name()));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(world.server.engine.check().await.unwrap().is_empty());
    }
}
