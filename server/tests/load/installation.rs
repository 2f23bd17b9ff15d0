//! Settings and databases that server processes and commands share.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_agentframer");

/// A data folder with settings and databases; dropping it removes a folder that it made.
pub struct Installation {
    folder: PathBuf,
    _made: Option<TempDir>,
}

/// What `bootstrap` prints, as far as it is used here.
#[derive(Deserialize)]
pub struct Made {
    pub workspace_id: String,
    pub mcp_url: String,
    pub agent_token: String,
    pub api_key: String,
}

impl Installation {
    /// On the embedded databases; `settings` are the lines of `agentframer.toml`.
    pub fn sqlite(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("agentframer.toml"), settings).unwrap();
        Self { folder: folder.path().to_owned(), _made: Some(folder) }
    }

    /// One that was filled before; its `agentframer.toml` names the databases where they are not embedded.
    pub fn existing(folder: &str) -> Self {
        Self { folder: folder.into(), _made: None }
    }

    /// On PostgreSQL.
    pub async fn postgres(settings: &str) -> Self {
        let server = std::env::var("AGENTFRAMER_TEST_POSTGRES")
            .unwrap_or_else(|_| panic!("run this with `cargo xtask with-postgres -- cargo …`"));
        let installation = Self::sqlite("");
        let name = installation.database_name();
        let url = |part: &str| {
            let mut url = url::Url::parse(&server).unwrap();
            url.set_path(&format!("{name}_{part}"));
            url
        };
        create_databases(&server, &["control", "eu", "us"].map(|part| format!("{name}_{part}"))).await;
        let mut settings = format!("{settings}\n[control]\ndatabase_url = \"{}\"\n", url("control"));
        for (part, region) in [("eu", "eu-west-1"), ("us", "us-east-1")] {
            let url = url(part);
            settings +=
                &format!("[[cells]]\nname = \"{part}\"\nregion = \"{region}\"\ndatabase_url = \"{url}\"\n");
        }
        std::fs::write(installation.path().join("agentframer.toml"), settings).unwrap();
        installation
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Unique like the folder's name, and a plain word.
    fn database_name(&self) -> String {
        let unique = self.path().file_name().unwrap().to_string_lossy().to_lowercase();
        format!("l{}_{}", std::process::id(), unique.replace(|c: char| !c.is_ascii_alphanumeric(), ""))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).args(["--data", "."]).current_dir(self.path());
        // Settings of the person who runs this are not the installation's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AGENTFRAMER_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// A server process on a free port, ready to answer.
    pub fn start(&self) -> Node {
        let log = tempfile::Builder::new().prefix("log-").tempfile_in(self.path()).unwrap();
        let (log, path) = log.keep().unwrap();
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let base = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("AgentFramer serves ").map(str::to_owned));
        let base = base.unwrap_or_else(|| panic!("no start: {}", std::fs::read_to_string(path).unwrap()));
        Node { process, base }
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command(args);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// A workspace with `dollars` and one agent.
    pub fn bootstrap(&self, dollars: &str) -> Made {
        let who = ["bootstrap", "--email", "ada@example.com", "--password-stdin", "--workspace", "Growth"];
        let what = ["--top-up", dollars, "--agent", "growth-bot"];
        let output = self.run(&[&who[..], &what].concat(), "a long enough passphrase");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Fails with what `agentframer check` found.
    pub fn expect_clean(&self) {
        let output = self.run(&["check"], "");
        let found = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&found));
    }
}

async fn create_databases(server: &str, names: &[String]) {
    sqlx::any::install_default_drivers();
    let admin = sqlx::AnyPool::connect(server).await.unwrap();
    for name in names {
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&admin).await.unwrap();
    }
    admin.close().await;
}

/// A server process; dropping it kills it.
pub struct Node {
    process: Child,
    pub base: String,
}

impl Node {
    /// `kill -9`.
    pub fn kill(&mut self) -> ExitStatus {
        self.process.kill().unwrap();
        self.process.wait().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
