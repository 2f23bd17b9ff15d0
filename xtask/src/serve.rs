//! The release binary, and starting it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{During, Failure, Result};
use crate::postgres::{self, Cluster};
use crate::wasm::Build;
use crate::workspace::Workspace;
use crate::{assets, process, setup};

const LISTEN: &str = "127.0.0.1:3000";

/// Builds the one file that is AgentFramer; returns where it is.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let toolchain = setup::for_build(workspace)?;
    assets::build_site(workspace, toolchain, Build::Release)?;
    build_binary(workspace)?;
    Ok(workspace.binary())
}

/// Compiles the server around a site that is already built.
pub fn build_binary(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["build", "--release", "--package", "agentframer-server"])?)
}

/// `make run`: serves `./data`; returns only when it cannot.
pub fn run(workspace: &Workspace) -> Result<()> {
    let binary = build(workspace)?;
    serve(workspace, &binary, "./data")
}

/// `make demo`: as `run`, on a data folder of its own that is filled once.
pub fn demo(workspace: &Workspace) -> Result<()> {
    let binary = build(workspace)?;
    let folder = workspace.root.join("data-demo");
    let filled = folder.join(".filled");
    if folder.exists() && !filled.exists() {
        return Err(Failure::new(
            "./data-demo was not filled to its end: delete it and run `make demo` again",
        ));
    }
    if filled.exists() {
        eprintln!("demo: ./data-demo is filled already; delete it to begin anew");
        eprint!("{}", fs::read_to_string(&filled).during("read the demo's sign-in")?);
    } else {
        fill(workspace, &binary, &filled)?;
    }
    serve(workspace, &binary, "./data-demo")
}

/// Keeps what the command printed, so that the next start can show the sign-in again.
fn fill(workspace: &Workspace, binary: &Path, filled: &Path) -> Result<()> {
    eprintln!("demo: filling ./data-demo with 120 days of traffic");
    let mut command = Command::new(binary);
    let printed =
        process::output(command.args(["demo", "--data", "./data-demo"]).current_dir(&workspace.root))?;
    eprintln!("{printed}");
    fs::write(filled, format!("{printed}\n")).during("note that ./data-demo is filled")
}

fn serve(workspace: &Workspace, binary: &Path, data: &str) -> Result<()> {
    let mut command = Command::new(binary);
    let error =
        command.args(["serve", "--listen", LISTEN, "--data", data]).current_dir(&workspace.root).exec();
    Err(Failure::new(format!("could not start {}: {error}", binary.display())))
}

/// `make bench`: the benchmark programs print the table and write the results.
pub fn bench(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    let results = workspace.target.join("bench");
    fs::create_dir_all(&results).during("create the folder of the results")?;
    let cluster = Cluster::start()?;
    let mut bench = workspace.cargo(&["bench", "--package", "agentframer-server"])?;
    bench.env(postgres::URL_VARIABLE, cluster.url()).env("AGENTFRAMER_BINARY", workspace.binary());
    process::run(bench.env("AGENTFRAMER_BENCH_RESULTS", results))
}
