//! A PostgreSQL of the tests' own: in a temporary folder, on a free port, gone afterwards.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::failure::{During, Failure, Result};
use crate::workspace::{Workspace, without_our_cargo};
use crate::{debian, process, s3};

/// The variable that gives tests the cluster's URL.
pub const URL_VARIABLE: &str = "AGENTFRAMER_TEST_POSTGRES";

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running cluster; dropping it stops it and removes its folder.
pub struct Cluster {
    bin: PathBuf,
    folder: TempDir,
    server: Child,
    port: u16,
    user: Option<Account>,
}

/// Whom the server runs as: `initdb` refuses root.
struct Account {
    name: &'static str,
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// Creates and starts a cluster; installs PostgreSQL where it is missing.
    pub fn start() -> Result<Self> {
        let bin = bin_dir()?;
        let user = Account::unless_ordinary()?;
        let folder = tempfile::Builder::new().prefix("agentframer-postgres-").tempdir();
        let folder = folder.during("create a folder for PostgreSQL")?;
        if let Some(user) = &user {
            chown(folder.path(), Some(user.uid), Some(user.gid)).during("hand PostgreSQL's folder over")?;
        }
        create_files(&bin, folder.path(), user.as_ref())?;
        let port = free_port()?;
        let server = start_server(&bin, folder.path(), user.as_ref(), port)?;
        let mut cluster = Self { bin, folder, server, port, user };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// Connects as superuser to the database `postgres`; tests create their own databases.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        let port = self.port.to_string();
        loop {
            let mut probe = Command::new(self.bin.join("pg_isready"));
            if process::succeeds(probe.args(["-q", "-h", "127.0.0.1", "-p", &port])) {
                return Ok(());
            }
            let has_ended = self.server.try_wait().during("watch PostgreSQL start")?.is_some();
            if has_ended || began.elapsed() > START_TIMEOUT {
                let log = fs::read_to_string(log_file(self.folder.path())).unwrap_or_default();
                return Err(Failure::new(format!("PostgreSQL did not start; its log says:\n{log}")));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = as_user(self.user.as_ref(), &self.bin.join("pg_ctl"));
        stop.args(["stop", "-s", "-w", "-m", "fast", "-D"]).arg(data_folder(self.folder.path()));
        if !process::succeeds(&mut stop) {
            // Nothing more can be done about a server that is already gone.
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

impl Account {
    /// `postgres` where we are root, else nobody special.
    fn unless_ordinary() -> Result<Option<Self>> {
        if process::output(Command::new("id").arg("-u"))? != "0" {
            return Ok(None);
        }
        let name = "postgres";
        let id = |flag: &str| -> Result<u32> {
            let text = process::output(Command::new("id").args([flag, name]))?;
            text.parse().map_err(|_| {
                Failure::new("PostgreSQL cannot run as root: create the user postgres, or run the tests as another user")
            })
        };
        Ok(Some(Self { name, uid: id("-u")?, gid: id("-g")? }))
    }
}

/// Runs a command beside a fresh cluster and a fresh S3 server and gives back its exit code.
pub fn with(workspace: &Workspace, command: &[&str]) -> Result<ExitCode> {
    let Some((program, args)) = command.split_first() else {
        return Err(Failure::new("name a command: cargo xtask with-postgres -- COMMAND"));
    };
    let (cluster, storage) = (Cluster::start()?, s3::Server::start(workspace)?);
    let mut command = Command::new(program);
    without_our_cargo(&mut command);
    // Beside the target folder: what cargo needs to build the server as xtask does.
    command.env("AGENTFRAMER_SITE", workspace.site());
    storage.describe(&mut command);
    let status = command.args(args).env(URL_VARIABLE, cluster.url()).status();
    let status = status.during(format_args!("start `{program}`"))?;
    // A code above 255 does not exist; no code at all means a signal.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Where `initdb` and `postgres` are; Debian keeps them off the `PATH`.
pub fn bin_dir() -> Result<PathBuf> {
    if let Some(dir) = find_bin_dir() {
        return Ok(dir);
    }
    let other_way = "the tests need PostgreSQL 13 or newer with initdb: install it";
    debian::install(&["postgresql"], other_way)?;
    find_bin_dir().ok_or_else(|| Failure::new(other_way))
}

fn find_bin_dir() -> Option<PathBuf> {
    let version = |dir: &PathBuf| dir.file_name()?.to_str()?.parse::<u32>().ok();
    let debian = fs::read_dir("/usr/lib/postgresql").ok().and_then(|versions| {
        let newest = versions.flatten().map(|entry| entry.path()).max_by_key(version)?;
        Some(newest.join("bin"))
    });
    let on_path = || process::find("initdb")?.parent().map(Path::to_path_buf);
    debian.filter(|dir| dir.join("initdb").is_file()).or_else(on_path)
}

fn create_files(bin: &Path, folder: &Path, user: Option<&Account>) -> Result<()> {
    let mut initdb = as_user(user, &bin.join("initdb"));
    initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]);
    initdb.arg("--pgdata").arg(data_folder(folder));
    process::output(&mut initdb).map(|_| ())
}

fn start_server(bin: &Path, folder: &Path, user: Option<&Account>, port: u16) -> Result<Child> {
    let log = File::create(log_file(folder)).during("create PostgreSQL's log")?;
    let log_too = log.try_clone().during("share PostgreSQL's log")?;
    let mut server = as_user(user, &bin.join("postgres"));
    server.arg("-D").arg(data_folder(folder)).arg("-k").arg(folder);
    server.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-c", "max_connections=300"]);
    server.stdout(log).stderr(log_too).spawn().during("start PostgreSQL")
}

/// A command as `user`, which the kernel stops when we die without a chance to stop it.
fn as_user(user: Option<&Account>, program: &Path) -> Command {
    if process::find("setpriv").is_none() {
        return without_setpriv(user, program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some(user) = user {
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        command.args(["--reuid", &uid, "--regid", &gid, "--init-groups"]);
    }
    command.arg(program).current_dir("/");
    command
}

fn without_setpriv(user: Option<&Account>, program: &Path) -> Command {
    let mut command = match user {
        None => return Command::new(program),
        Some(_) => Command::new("runuser"),
    };
    if let Some(user) = user {
        command.args(["-u", user.name, "--"]).arg(program).current_dir("/");
    }
    command
}

fn data_folder(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// A port that nobody listens on now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).during("find a free port")?;
    Ok(listener.local_addr().during("find a free port")?.port())
}
