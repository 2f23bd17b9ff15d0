//! `make test`: every check in order, each with its time; the first that fails ends the run.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::assets::{build_site, files_below};
use crate::failure::{During, Failure, Result};
use crate::postgres::{self, Cluster};
use crate::wasm::{self, Build, Toolchain};
use crate::workspace::Workspace;
use crate::{process, s3, serve, setup};

/// The same for lints and tests, so that dependencies are compiled once.
const FEATURES: &str = "agentframer/engine,agentframer-app/ssr";

/// The one file that may write a text area: leptos 0.8 does not escape its children.
const TEXT_AREA: &str = "app/src/components/text_area.rs";

/// Runs all checks: the reading ones to their end, then the running ones up to the first failure.
pub fn run(workspace: &Workspace) -> Result<()> {
    let began = Instant::now();
    step("set-up", || setup::for_tests(workspace))?;
    let toolchain = setup::wasm_toolchain(workspace)?;
    read_the_code(workspace, toolchain)?;
    step("site", || build_site(workspace, toolchain, Build::Release))?;
    let (cluster, storage) = (Cluster::start()?, s3::Server::start(workspace)?);
    step("tests", || tests(workspace, &cluster, &storage))?;
    step("release build", || serve::build_binary(workspace))?;
    step("end to end", || end_to_end(workspace, &cluster))?;
    eprintln!("── all checks passed in {} s", began.elapsed().as_secs());
    Ok(())
}

/// One run names every kind of fault.
fn read_the_code(workspace: &Workspace, toolchain: Toolchain) -> Result<()> {
    let results = [
        step("format", || format(workspace)),
        step("text areas", || only_the_shared_text_area(&workspace.root)),
        step("dependencies", || dependencies(workspace)),
        step("lints", || lints(workspace)),
        step("lints of the islands", || lints_of_islands(workspace, toolchain)),
    ];
    let failures: Vec<String> =
        results.into_iter().filter_map(Result::err).map(|failure| failure.to_string()).collect();
    if failures.is_empty() { Ok(()) } else { Err(Failure::new(failures.join("\nxtask: "))) }
}

fn step(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("── {name}");
    let began = Instant::now();
    let result = check();
    let word = if result.is_ok() { "passed" } else { "FAILED" };
    eprintln!("── {name}: {word} in {:.1} s", began.elapsed().as_secs_f64());
    result
}

fn format(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["fmt", "--all", "--check", "--", "-l"])?)
        .map_err(|_| Failure::new("the files named above are not formatted: run `cargo fmt --all`"))
}

fn only_the_shared_text_area(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for file in files_below(&root.join("app/src"))? {
        if file == root.join(TEXT_AREA) {
            continue;
        }
        let text = fs::read_to_string(&file).during(format_args!("read {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        faults.extend(lines_with_text_area(&text).map(|line| format!("{name}:{line}")));
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "leptos 0.8 writes the children of a text area unescaped; use the component of {TEXT_AREA} at {}",
        faults.join(", ")
    )))
}

fn lines_with_text_area(text: &str) -> impl Iterator<Item = usize> {
    let is_fault = |line: &str| line.contains("<textarea") || line.contains("textarea(");
    text.lines().enumerate().filter(move |(_, line)| is_fault(line)).map(|(index, _)| index + 1)
}

fn dependencies(workspace: &Workspace) -> Result<()> {
    let deny = setup::cargo_deny(workspace)?;
    let check = |what: &[&str]| {
        process::run(
            Command::new(&deny).current_dir(&workspace.root).args(["--log-level", "error"]).args(what),
        )
    };
    check(&["check", "bans", "licenses", "sources"])?;
    if check(&["fetch", "db"]).is_err() {
        eprintln!(
            "dependencies: the advisory database could not be fetched; known advisories are NOT checked"
        );
        return Ok(());
    }
    check(&["check", "--disable-fetch", "advisories"])
}

fn lints(workspace: &Workspace) -> Result<()> {
    let mut clippy = workspace.cargo(&["clippy", "--workspace", "--all-targets", "--features", FEATURES])?;
    process::run(clippy.args(["--", "-D", "warnings"]))
}

fn lints_of_islands(workspace: &Workspace, toolchain: Toolchain) -> Result<()> {
    if toolchain == Toolchain::Debian {
        eprintln!("lints: Debian's compiler for the web has no clippy; the islands are only compiled");
        return Ok(());
    }
    process::run(wasm::cargo(workspace, toolchain, "clippy")?.args(["--", "-D", "warnings"]))
}

fn tests(workspace: &Workspace, cluster: &Cluster, storage: &s3::Server) -> Result<()> {
    let mut tests = workspace.cargo(&["test", "--workspace", "--features", FEATURES])?;
    process::run(storage.describe(&mut tests).env(postgres::URL_VARIABLE, cluster.url()))
}

/// `end2end/run` gets the binary and the cluster by environment.
fn end_to_end(workspace: &Workspace, cluster: &Cluster) -> Result<()> {
    let script = workspace.root.join("end2end/run");
    if !script.is_file() {
        return Err(Failure::new("end2end/run is missing: the browser and MCP-client tests cannot run"));
    }
    let mut run = Command::new(script);
    run.current_dir(&workspace.root).env("AGENTFRAMER_BINARY", workspace.binary());
    process::run(run.env(postgres::URL_VARIABLE, cluster.url()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_text_areas_are_found() {
        let text = "view! {\n  <textarea name=\"a\">{value}</textarea>\n}\nlet b = textarea().child(c);\n";
        assert_eq!(lines_with_text_area(text).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn the_shared_component_is_no_fault() {
        assert_eq!(lines_with_text_area("<TextArea name=\"a\"/>\nuse text_area::TextArea;").count(), 0);
    }
}
