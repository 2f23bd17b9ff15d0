//! A server on a free port with databases of its own, and clients for each of its doors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agentframer::domain::access::{Permission, Role};
use agentframer::domain::ids::UserId;
use agentframer::domain::region::Region;
use agentframer::domain::time::Time;
use agentframer::engine::Engine;
use agentframer::engine::access::bootstrap::{Bootstrap, Bootstrapped};
use agentframer::engine::access::people::NewPerson;
use agentframer::engine::access::scope::{Origin, Principal, Scope};
use agentframer::engine::calls::providers::{Act, Providers, Scripted};
use agentframer::engine::clock::Clock;
use agentframer::engine::config::{Cell, Config};
use agentframer_server::router::router;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Makes a test on SQLite and one on PostgreSQL of each `async fn NAME(on: Databases)`.
macro_rules! both_engines {
    ($(#[$meta:meta])* async fn $name:ident($on:ident) $body:block $($rest:tt)*) => {
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                run(Databases::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                run(Databases::postgres().await).await;
            }

            $(#[$meta])*
            async fn run($on: Databases) $body
        }
        both_engines!($($rest)*);
    };
    () => {};
}
pub(crate) use both_engines;

/// Midday, so that no test crosses a day by itself.
const START: Time = Time(1_792_000_000_000_000);
pub const NEW: &str = "2026-07-28";
pub const OLD: &str = "2025-11-25";

/// Fresh databases of one kind.
pub struct Databases {
    pub folder: TempDir,
    postgres: Option<(String, String)>,
}

impl Drop for Databases {
    /// Hundreds of databases would fill a small disk.
    fn drop(&mut self) {
        let Some((server, name)) = self.postgres.take() else { return };
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(drop_databases(&server, &name));
        });
        dropping.join().ok();
    }
}

async fn drop_databases(server: &str, name: &str) {
    let Ok(admin) = sqlx::AnyPool::connect(server).await else { return };
    for part in ["control", "eu", "us"] {
        let text = format!("DROP DATABASE IF EXISTS {name}_{part} WITH (FORCE)");
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&admin).await.ok();
    }
    admin.close().await;
}

impl Databases {
    pub fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), postgres: None }
    }

    pub async fn postgres() -> Self {
        let server = std::env::var("AGENTFRAMER_TEST_POSTGRES")
            .expect("run the tests with `make test` or `cargo xtask with-postgres -- cargo test …`");
        let folder = tempfile::tempdir().unwrap();
        let unique = folder.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let name =
            format!("s{}_{}", std::process::id(), unique.replace(|c: char| !c.is_ascii_alphanumeric(), ""));
        sqlx::any::install_default_drivers();
        let admin = sqlx::AnyPool::connect(&server).await.unwrap();
        for part in ["control", "eu", "us"] {
            let create = format!("CREATE DATABASE {name}_{part}");
            sqlx::query(sqlx::AssertSqlSafe(create)).execute(&admin).await.unwrap();
        }
        admin.close().await;
        Self { folder, postgres: Some((server, name)) }
    }

    fn url(&self, part: &str) -> Option<String> {
        let (server, name) = self.postgres.as_ref()?;
        let mut url = url::Url::parse(server).unwrap();
        url.set_path(&format!("{name}_{part}"));
        Some(url.to_string())
    }

    pub fn config(&self) -> Config {
        let mut config = Config { data_dir: self.folder.path().to_path_buf(), ..Config::default() };
        config.control.database_url = self.url("control");
        let cell = |name: &str, region| Cell {
            name: name.to_owned(),
            region,
            database_url: self.url(name),
            storage: None,
            exports: None,
            mcp_url: None,
            keys: None,
        };
        config.cells = vec![cell("eu", Region::EuWest1), cell("us", Region::UsEast1)];
        config
    }

    /// The same for a process that is run in the folder.
    pub fn toml(&self) -> String {
        let config = self.config();
        let mut text = format!("[control]\ndatabase_url = {:?}\n", config.control_url());
        for cell in config.cells() {
            let (name, region, url) = (&cell.name, cell.region.as_str(), config.cell_url(&cell));
            text += &format!("[[cells]]\nname = {name:?}\nregion = {region:?}\ndatabase_url = {url:?}\n");
        }
        text
    }
}

/// A running server with one workspace and one agent.
pub struct TestServer {
    pub base: String,
    pub engine: Engine,
    pub clock: Clock,
    pub made: Bootstrapped,
    pub http: reqwest::Client,
    pub databases: Databases,
}

impl TestServer {
    /// With 100 dollars.
    pub async fn start(databases: Databases) -> Self {
        Self::start_with(databases, |_| {}).await
    }

    pub async fn start_with(databases: Databases, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = databases.config();
        change(&mut config);
        Self::run(databases, config, Providers::default(), "100").await
    }

    pub async fn with_money(databases: Databases, dollars: &str) -> Self {
        let config = databases.config();
        Self::run(databases, config, Providers::default(), dollars).await
    }

    /// With providers that do as they are told.
    pub async fn scripted(databases: Databases, script: impl IntoIterator<Item = Act>) -> Self {
        let (config, scripted) = (databases.config(), Arc::new(Scripted::new(script)));
        let long = Duration::from_secs(30);
        let providers =
            Providers::default().with("local", scripted.clone(), long).with("openai", scripted, long);
        Self::run(databases, config, providers, "100").await
    }

    async fn run(databases: Databases, config: Config, providers: Providers, dollars: &str) -> Self {
        let clock = Clock::manual(START);
        let (base, engine) = serve(config, &clock, providers).await;
        let made = engine.bootstrap(bootstrap("ada@example.com", "Growth", dollars)).await.unwrap();
        Self { base, engine, clock, made, http: client(), databases }
    }

    /// An engine that nobody has set up.
    pub async fn empty(databases: &Databases) -> Engine {
        Engine::open(databases.config(), Clock::manual(START)).await.unwrap()
    }

    /// A running server that nobody has set up, and the path of its set-up page.
    pub async fn bare(databases: &Databases) -> (String, String) {
        let (base, engine) = serve(databases.config(), &Clock::manual(START), Providers::default()).await;
        let token = engine.issue_setup_token().await.unwrap().unwrap();
        (base, format!("/setup?token={token}"))
    }

    /// A second node on the same databases.
    pub async fn second_node(&self, change: impl FnOnce(&mut Config)) -> String {
        let mut config = self.databases.config();
        change(&mut config);
        serve(config, &self.clock, Providers::default()).await.0
    }

    /// Somebody else's workspace on this server.
    pub async fn other(&self) -> Bootstrapped {
        self.engine.bootstrap(bootstrap("eve@example.com", "Elsewhere", "50")).await.unwrap()
    }

    pub fn origin(&self) -> Origin {
        Origin::new(self.engine.new_request_id(), None)
    }

    pub async fn scope(&self, user: &UserId, permission: Permission) -> Scope {
        let principal = Principal::User(user.clone());
        self.engine.scope(&principal, &self.made.workspace_id, permission, self.origin()).await.unwrap()
    }

    pub async fn admin(&self) -> Scope {
        self.scope(&self.made.user_id, Permission::ChangeSettings).await
    }

    /// What the member who came as `role` may do everywhere.
    pub async fn scope_of(&self, role: Role) -> Scope {
        let members = self.engine.members(&self.admin().await).await.unwrap();
        let member = members.iter().find(|member| member.email == format!("{role}@example.com")).unwrap();
        self.scope(&member.user_id, Permission::ReadWorkspace).await
    }

    /// A person with `role`, who came by an invitation.
    pub async fn member(&self, role: Role) -> UserId {
        self.person(&format!("{role}@example.com"), role).await
    }

    /// A person with an address of its own and `role`, who came by an invitation.
    pub async fn person(&self, email: &str, role: Role) -> UserId {
        self.engine.invite(&self.admin().await, email, role.as_str()).await.unwrap();
        let token = self.invitation_for(email);
        let person = NewPerson {
            email: email.into(),
            name: role.title().into(),
            password: "a long enough passphrase".into(),
        };
        self.engine.accept_invitation(&token, None, Some(person), self.origin()).await.unwrap().0.id
    }

    fn invitation_for(&self, email: &str) -> String {
        self.mailed(email, "/invite/")
    }

    /// The token behind `beginning` in a mail that names `email`.
    pub fn mailed(&self, email: &str, beginning: &str) -> String {
        let folder = self.databases.folder.path().join("mail");
        let mails =
            std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        let mut texts =
            mails.map(|mail| String::from_utf8_lossy(&mail).replace("=\r\n", "").replace("=3D", "="));
        let mail = texts.find(|text| text.contains(email) && text.contains(beginning)).unwrap();
        let link = mail.split(beginning).nth(1).unwrap();
        link.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    }

    /// A REST key with `role`.
    pub async fn key(&self, role: Role) -> String {
        self.engine.create_key(&self.admin().await, "test", role.as_str(), None).await.unwrap().key
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The path of something of the workspace in the REST API.
    pub fn rest_path(&self, below: &str) -> String {
        format!("/api/v1/workspaces/{}{below}", self.made.workspace_id)
    }

    /// A REST request as Admin.
    pub fn rest(&self, method: Method, below: &str) -> RequestBuilder {
        self.http.request(method, self.url(&self.rest_path(below))).bearer_auth(&self.made.api_key)
    }

    pub async fn rest_json(&self, method: Method, below: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.rest(method, below);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        read(request.send().await.unwrap()).await
    }

    /// The path of the workspace's MCP URL.
    pub fn mcp_path(&self) -> String {
        path_of(&self.made.mcp_url)
    }

    pub fn mcp(&self) -> Mcp<'_> {
        Mcp {
            http: &self.http,
            url: self.url(&self.mcp_path()),
            token: Some(self.made.agent_token.clone()),
            version: NEW,
        }
    }

    /// Changes the EU cell's database behind the server's back.
    pub async fn tamper(&self, text: &'static str) {
        let cell = self.databases.config().cells[0].clone();
        let url = self.databases.config().cell_url(&cell);
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&url).await.unwrap();
        sqlx::query(text).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// The balance in plain decimals.
    pub async fn balance(&self) -> String {
        self.engine.credits(&self.admin().await).await.unwrap().balance_usd.to_string()
    }
}

async fn serve(mut config: Config, clock: &Clock, providers: Providers) -> (String, Engine) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.listen = listener.local_addr().unwrap();
    let base = format!("http://{}", config.listen);
    let engine = Engine::open_with(config, clock.clone(), providers).await.unwrap();
    let app = router(&engine).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (base, engine)
}

pub fn client() -> reqwest::Client {
    // Fails only where a test before this one did it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub fn bootstrap(email: &str, workspace: &str, top_up: &str) -> Bootstrap {
    Bootstrap {
        email: email.into(),
        password: "a long enough passphrase".into(),
        workspace: workspace.into(),
        region: "eu-west-1".into(),
        top_up: top_up.parse().unwrap(),
        agent: "growth-bot".into(),
    }
}

pub fn path_of(url: &str) -> String {
    url::Url::parse(url).unwrap().path().to_owned()
}

/// The status and the JSON body; null where there is none.
pub async fn read(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// An MCP client of one revision, without a memory.
#[derive(Clone)]
pub struct Mcp<'a> {
    pub http: &'a reqwest::Client,
    pub url: String,
    pub token: Option<String>,
    pub version: &'static str,
}

impl Mcp<'_> {
    pub fn old(self) -> Self {
        Self { version: OLD, ..self }
    }

    /// A request as a client of this revision sends it.
    pub fn request(&self, method: &str, mut params: Value) -> RequestBuilder {
        let request = self.http.post(&self.url).header("accept", "application/json, text/event-stream");
        let mut request = request.header("mcp-protocol-version", self.version);
        if self.version == NEW {
            request = request.header("mcp-method", method);
            let name = params.get("name").or(params.get("taskId")).and_then(Value::as_str).map(str::to_owned);
            if let Some(name) = name {
                request = request.header("mcp-name", name);
            }
            let meta = params.as_object_mut().unwrap().entry("_meta").or_insert(json!({}));
            meta["io.modelcontextprotocol/protocolVersion"] = self.version.into();
            meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "test", "version": "1" });
            if meta.get("io.modelcontextprotocol/clientCapabilities").is_none() {
                meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
            }
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.json(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
    }

    pub async fn send(&self, method: &str, params: Value) -> (StatusCode, Value) {
        read(self.request(method, params).send().await.unwrap()).await
    }

    /// The `result` of a request that is answered with one.
    pub async fn result(&self, method: &str, params: Value) -> Value {
        let (status, body) = self.send(method, params).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body.get("result").cloned().unwrap_or_else(|| panic!("no result: {body}"))
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// A small picture, drawn quickly.
    pub async fn image(&self) -> Value {
        let result =
            self.call("generate_image", json!({ "prompt": "a fox", "width": 64, "height": 64 })).await;
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].clone()
    }
}
