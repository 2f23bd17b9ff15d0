//! A server of the tests' own that speaks S3: moto, from PyPI, on a free port, gone afterwards.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{During, Failure, Result};
use crate::postgres::free_port;
use crate::process;
use crate::workspace::Workspace;

const MOTO: &str = "moto[s3,server]==5.2.5";
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server; dropping it stops it.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts a server; installs it on first use.
    pub fn start(workspace: &Workspace) -> Result<Self> {
        let program = install(workspace)?;
        let port = free_port()?;
        let mut command = as_child(&program);
        command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().during("start the S3 server")?;
        let mut server = Self { child, port };
        server.wait_until_ready().map(|()| server)
    }

    /// Gives `command` the variables that the storage reads.
    pub fn describe<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let has_ended = self.child.try_wait().during("watch the S3 server start")?.is_some();
            if has_ended || began.elapsed() > START_TIMEOUT {
                return Err(Failure::new("the tests' S3 server did not start"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing more can be done about a server that is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that the kernel stops when we die without a chance to stop it.
fn as_child(program: &PathBuf) -> Command {
    if process::find("setpriv").is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// `moto_server` in an environment of its own.
pub fn install(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.tools().join("s3");
    let (program, stamp) = (folder.join("bin/moto_server"), folder.join("installed"));
    if std::fs::read_to_string(&stamp).is_ok_and(|name| name == MOTO) && program.is_file() {
        return Ok(program);
    }
    eprintln!("setup: installing {MOTO} with pip, for tests of storage on S3");
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    process::run(pip.args(["install", "--quiet", "--disable-pip-version-check", MOTO]))
        .map_err(|cause| Failure::new(format!("{cause}; the tests need the PyPI package {MOTO}")))?;
    std::fs::write(stamp, MOTO).during("note that moto is installed")?;
    Ok(program)
}
