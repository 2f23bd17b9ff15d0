//! The build of AgentFramer and the tasks around it; `make` calls nothing else.

mod assets;
mod check;
mod css;
mod debian;
mod failure;
mod postgres;
mod process;
mod s3;
mod serve;
mod setup;
mod wasm;
mod workspace;

use std::process::ExitCode;

use failure::{Failure, Result};
use wasm::Build;
use workspace::Workspace;

const USAGE: &str = "usage: cargo xtask COMMAND

  setup                     install what the build needs
  site [--release]          WASM, CSS and static files into target/site
  build                     the release binary target/release/agentframer
  run                       build, then serve 127.0.0.1:3000 from ./data
  demo                      build, then serve ./data-demo with believable traffic
  test                      install what the tests need, run every check
  bench                     the benchmarks
  with-postgres -- COMMAND  run COMMAND beside the tests' PostgreSQL and S3";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["setup"] => setup::for_build(&workspace).map(|_| ())?,
        ["site"] => site(&workspace, Build::Debug)?,
        ["site", "--release"] => site(&workspace, Build::Release)?,
        ["build"] => serve::build(&workspace).map(|_| ())?,
        ["run"] => serve::run(&workspace)?,
        ["demo"] => serve::demo(&workspace)?,
        ["test"] => check::run(&workspace)?,
        ["bench"] => serve::bench(&workspace)?,
        ["with-postgres", "--", command @ ..] => return postgres::with(&workspace, command),
        ["help" | "--help" | "-h"] => println(USAGE),
        _ => return Err(Failure::new(USAGE)),
    }
    Ok(ExitCode::SUCCESS)
}

fn site(workspace: &Workspace, build: Build) -> Result<()> {
    let toolchain = setup::wasm_toolchain(workspace)?;
    assets::build_site(workspace, toolchain, build)
}

#[expect(clippy::print_stdout, reason = "help that was asked for goes to stdout")]
fn println(text: &str) {
    println!("{text}");
}
