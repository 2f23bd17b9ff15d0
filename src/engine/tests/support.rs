//! An engine on databases of its own, and the macro that runs each test on both kinds.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::domain::access::{Permission, Role};
use crate::domain::audit::Entry;
use crate::domain::money::Usd;
use crate::domain::policy::Tool;
use crate::domain::region::Region;
use crate::domain::time::Time;
use crate::engine::Engine;
use crate::engine::access::bootstrap::{Bootstrap, Bootstrapped};
use crate::engine::access::identify::AgentCaller;
use crate::engine::access::people::NewPerson;
use crate::engine::access::scope::{Origin, Principal, Scope};
use crate::engine::access::workspaces::NewWorkspace;
use crate::engine::calls::gateway::CallError;
use crate::engine::calls::providers::{Providers, Scripted};
use crate::engine::clock::Clock;
use crate::engine::config::{Cell, Config};
use crate::engine::log::reading::{AuditFilter, EntryKind, Page};
use crate::engine::random;

/// Makes `sqlite_NAME` and `postgres_NAME` of each `async fn NAME(on: Databases)`.
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
pub(crate) const START: Time = Time(1_792_000_000_000_000);

/// Fresh databases of one kind.
pub(crate) struct Databases {
    folder: TempDir,
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
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), postgres: None }
    }

    pub(crate) async fn postgres() -> Self {
        let server = std::env::var("AGENTFRAMER_TEST_POSTGRES")
            .expect("run the tests with `make test` or `cargo xtask with-postgres -- cargo test …`");
        let name = format!("t{}", hex::encode(random::bytes::<6>()));
        sqlx::any::install_default_drivers();
        let admin = sqlx::AnyPool::connect(&server).await.unwrap();
        for part in ["control", "eu", "us"] {
            let create = format!("CREATE DATABASE {name}_{part}");
            sqlx::query(sqlx::AssertSqlSafe(create)).execute(&admin).await.unwrap();
        }
        admin.close().await;
        Self { folder: tempfile::tempdir().unwrap(), postgres: Some((server, name)) }
    }

    /// Fresh databases of the other kind.
    pub(crate) async fn of_the_other_kind(&self) -> Self {
        if self.postgres.is_some() { Self::sqlite() } else { Self::postgres().await }
    }

    fn url(&self, part: &str) -> Option<String> {
        let (server, name) = self.postgres.as_ref()?;
        let mut url = url::Url::parse(server).unwrap();
        url.set_path(&format!("{name}_{part}"));
        Some(url.to_string())
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config { data_dir: self.folder.path().to_path_buf(), ..Config::default() };
        config.limits.calls_per_minute_per_agent = 1_000_000;
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

    /// A node on these databases. Several may run at once on PostgreSQL.
    pub(crate) async fn node(&self, clock: &Clock, providers: Providers) -> Engine {
        Engine::open_with(self.config(), clock.clone(), providers).await.unwrap()
    }
}

/// A node with one workspace, one agent and a clock that stands still.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    pub(crate) made: Bootstrapped,
    /// Kept for as long as the test lasts.
    pub(crate) _databases: Databases,
}

impl World {
    /// With the built-in providers and this much money.
    pub(crate) async fn with_money(databases: Databases, balance: &str) -> Self {
        Self::new(databases, balance, Providers::default()).await
    }

    /// The scripted provider stands in for the built-in one.
    pub(crate) async fn scripted(databases: Databases, balance: &str, scripted: &Arc<Scripted>) -> Self {
        let providers = Providers::default().with("local", scripted.clone(), Duration::from_secs(5));
        Self::new(databases, balance, providers).await
    }

    pub(crate) async fn new(databases: Databases, balance: &str, providers: Providers) -> Self {
        let clock = Clock::manual(START);
        let engine = databases.node(&clock, providers).await;
        let made = engine.bootstrap(bootstrap(balance)).await.unwrap();
        Self { engine, clock, made, _databases: databases }
    }

    /// With other settings.
    pub(crate) async fn with_config(
        databases: Databases,
        balance: &str,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let (clock, mut config) = (Clock::manual(START), databases.config());
        change(&mut config);
        let engine = Engine::open(config, clock.clone()).await.unwrap();
        let made = engine.bootstrap(bootstrap(balance)).await.unwrap();
        Self { engine, clock, made, _databases: databases }
    }

    /// The given buckets stand in for those of the cells with these names.
    pub(crate) async fn with_buckets(
        databases: Databases,
        balance: &str,
        buckets: &[(&str, &crate::engine::tests::faults::Faulty)],
    ) -> Self {
        let clock = Clock::manual(START);
        let mut engine = databases.node(&clock, Providers::default()).await;
        for (cell, bucket) in buckets {
            bucket.replace(&mut engine, cell);
        }
        let made = engine.bootstrap(bootstrap(balance)).await.unwrap();
        Self { engine, clock, made, _databases: databases }
    }

    pub(crate) async fn caller(&self) -> AgentCaller {
        caller(&self.engine, &self.made).await
    }

    pub(crate) async fn call(&self, tool: Tool, arguments: Value) -> Result<Value, CallError> {
        let caller = self.caller().await;
        self.engine.call_tool(&caller, tool, arguments, self.engine.new_request_id()).await
    }

    pub(crate) async fn image(&self, arguments: Value) -> Result<Value, CallError> {
        self.call(Tool::GenerateImage, arguments).await
    }

    pub(crate) async fn admin(&self) -> Scope {
        let origin = Origin::new(self.engine.new_request_id(), None);
        let user = Principal::User(self.made.user_id.clone());
        self.engine.scope(&user, &self.made.workspace_id, Permission::ChangeSettings, origin).await.unwrap()
    }

    /// Another workspace of the same person, in the same cell.
    pub(crate) async fn another_workspace(&self, name: &str) -> Scope {
        let new = NewWorkspace { name: name.into(), region: "eu-west-1".into() };
        let origin = || Origin::new(self.engine.new_request_id(), None);
        let made = self.engine.create_workspace(&self.made.user_id, new, origin()).await.unwrap();
        let user = Principal::User(self.made.user_id.clone());
        self.engine.scope(&user, &made.id, Permission::ChangeSettings, origin()).await.unwrap()
    }

    /// The administrative acts in the log, the oldest first.
    pub(crate) async fn acts(&self) -> Vec<Entry> {
        let filter = AuditFilter { kind: Some(EntryKind::Administration), ..AuditFilter::default() };
        let page = Page { limit: Some(200), cursor: None };
        let rows = self.engine.audit(&self.admin().await, &filter, page).await.unwrap().items;
        rows.into_iter().rev().map(|row| row.entry).collect()
    }

    /// Balance, reserved.
    pub(crate) async fn money(&self) -> (Usd, Usd) {
        let credits = self.engine.credits(&self.admin().await).await.unwrap();
        (credits.balance_usd, credits.reserved_usd)
    }

    pub(crate) async fn assert_whole(&self) {
        assert_eq!(self.engine.check().await.unwrap(), Vec::<String>::new());
    }
}

pub(crate) async fn caller(engine: &Engine, made: &Bootstrapped) -> AgentCaller {
    let key = made.mcp_url.rsplit('/').next().unwrap();
    engine.identify(Some(&made.agent_token), made.workspace_id.as_str(), key, None).await.unwrap()
}

pub(crate) fn bootstrap(balance: &str) -> Bootstrap {
    Bootstrap {
        email: "ada@example.com".into(),
        password: "a long enough passphrase".into(),
        workspace: "Growth".into(),
        region: "eu-west-1".into(),
        top_up: balance.parse().unwrap(),
        agent: "growth-bot".into(),
    }
}

pub(crate) fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// Every mail that was sent, as text.
pub(crate) async fn mails(world: &World) -> Vec<String> {
    let folder = world.engine.config().data_dir.join("mail");
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace("=\r\n", "");
    files.map(|file| text(std::fs::read(file.unwrap().path()).unwrap())).collect()
}

/// A person who came by an invitation.
pub(crate) async fn add_member(world: &World, email: &str, role: Role) {
    world.engine.invite(&world.admin().await, email, role.as_str()).await.unwrap();
    let mail = mails(world).await.into_iter().find(|mail| mail.contains(email)).unwrap();
    let link = mail.split("/invite/").nth(1).unwrap();
    let token: String = link.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let person = NewPerson {
        email: email.into(),
        name: role.title().into(),
        password: "a long enough passphrase".into(),
    };
    let origin = Origin::new(world.engine.new_request_id(), None);
    world.engine.accept_invitation(&token, None, Some(person), origin).await.unwrap();
}
