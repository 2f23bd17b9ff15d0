//! Where a benchmark runs: fresh databases of one kind, with one workspace.

use agentframer::domain::money::Usd;
use agentframer::domain::region::Region;
use agentframer::engine::access::bootstrap::Bootstrap;
use agentframer::engine::config::{Cell, Config};
use tempfile::TempDir;

/// Databases of one kind.
pub struct Place {
    pub folder: TempDir,
    pub urls: Option<[String; 2]>,
    server: Option<(String, String)>,
}

impl Place {
    pub async fn new(on: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if on == "SQLite" {
            return Self { folder, urls: None, server: None };
        }
        let server = std::env::var("AGENTFRAMER_TEST_POSTGRES").expect("run this with `cargo xtask bench`");
        let name = format!("bench_{}", std::process::id());
        statement(
            &server,
            &[format!("CREATE DATABASE {name}_control"), format!("CREATE DATABASE {name}_eu")],
        )
        .await;
        let url = |part: &str| {
            let mut url = url::Url::parse(&server).unwrap();
            url.set_path(&format!("{name}_{part}"));
            url.to_string()
        };
        Self { folder, urls: Some([url("control"), url("eu")]), server: Some((server, name)) }
    }

    pub fn config(&self) -> Config {
        config(self.folder.path().to_str().unwrap(), self.urls.as_ref())
    }

    /// Has the database and the disk write and tidy what was just filled, which would count as a load's otherwise.
    pub async fn settle(&self) {
        let config = self.config();
        let texts: &[&str] = if self.server.is_some() {
            &["VACUUM (ANALYZE)", "CHECKPOINT"]
        } else {
            &["PRAGMA wal_checkpoint(TRUNCATE)"]
        };
        for text in texts {
            statement(&config.cell_url(&config.cells[0]), &[(*text).to_owned()]).await;
        }
        assert!(std::process::Command::new("sync").status().unwrap().success());
    }

    /// What a benchmark fills should not stay.
    pub async fn remove(self) {
        if let Some((server, name)) = self.server {
            statement(
                &server,
                &[format!("DROP DATABASE {name}_eu"), format!("DROP DATABASE {name}_control")],
            )
            .await;
        }
    }
}

/// Settings over a folder or two databases.
pub fn config(folder: &str, urls: Option<&[String; 2]>) -> Config {
    let mut config = Config { data_dir: folder.into(), ..Config::default() };
    config.control.database_url = urls.map(|urls| urls[0].clone());
    let database_url = urls.map(|urls| urls[1].clone());
    config.cells = vec![Cell {
        name: "eu".into(),
        region: Region::EuWest1,
        database_url,
        storage: None,
        exports: None,
        mcp_url: None,
        keys: None,
    }];
    config
}

/// Runs each text.
pub async fn statement(url: &str, texts: &[String]) {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(url).await.unwrap();
    for text in texts {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text.clone())).execute(&pool).await.unwrap();
    }
    pool.close().await;
}

/// One workspace in the EU with one agent and so much money.
pub fn bootstrap(top_up: Usd) -> Bootstrap {
    Bootstrap {
        email: "ada@example.com".into(),
        password: "a long enough passphrase".into(),
        workspace: "Growth".into(),
        region: "eu-west-1".into(),
        top_up,
        agent: "growth-bot".into(),
    }
}
