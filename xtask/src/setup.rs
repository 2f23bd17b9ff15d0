//! Installing what is missing. Every step says what it does, and does nothing twice.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::failure::{During, Failure, Result};
use crate::wasm::{TARGET, Toolchain};
use crate::workspace::Workspace;
use crate::{debian, postgres, process, s3};

const DEBIAN_TOOLCHAIN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const BINARYEN: &str = "binaryen@132.0.0";
const CARGO_DENY: &str = "cargo-deny";

/// What the release build needs.
pub fn for_build(workspace: &Workspace) -> Result<Toolchain> {
    let toolchain = wasm_toolchain(workspace)?;
    if wasm_opt(workspace).is_none() {
        eprintln!(
            "setup: without wasm-opt the pages' WASM is about twice as large; install Node.js and npm for it"
        );
    }
    Ok(toolchain)
}

/// What `make test` needs beyond the build.
pub fn for_tests(workspace: &Workspace) -> Result<()> {
    node()?;
    for_build(workspace)?;
    postgres::bin_dir().map(|_| ())?;
    if !["chromium", "chromium-browser", "google-chrome"].iter().any(|name| process::find(name).is_some()) {
        debian::install(&["chromium", "fonts-liberation"], "the browser tests need Chromium: install it")?;
    }
    if process::find("chromedriver").is_none() {
        debian::install(&["chromium-driver"], "the browser tests need chromedriver: install it")?;
    }
    python()?;
    s3::install(workspace).map(|_| ())?;
    cargo_deny(workspace).map(|_| ())
}

/// The compiler for the browser: rustup's target, or Debian's `rustc-web` building `std` itself.
pub fn wasm_toolchain(workspace: &Workspace) -> Result<Toolchain> {
    let record = workspace.target.join("xtask/wasm-toolchain");
    if fs::read_to_string(&record).is_ok_and(|name| name == "debian") && debian_toolchain_is_here() {
        return Ok(Toolchain::Debian);
    }
    let toolchain = if target_is_installed() { Toolchain::Own } else { install_wasm_toolchain()? };
    fs::create_dir_all(workspace.target.join("xtask")).during("create the folder for xtask's notes")?;
    fs::write(&record, toolchain.name()).during("note the chosen toolchain")?;
    Ok(toolchain)
}

fn install_wasm_toolchain() -> Result<Toolchain> {
    eprintln!("setup: adding Rust's {TARGET} target with rustup");
    if process::run(Command::new("rustup").args(["target", "add", TARGET])).is_ok() && target_is_installed() {
        return Ok(Toolchain::Own);
    }
    eprintln!("setup: rustup could not add {TARGET}; trying Debian's compiler for the web instead");
    if !debian_toolchain_is_here() {
        debian::install(
            &DEBIAN_TOOLCHAIN,
            "the pages need Rust's wasm32-unknown-unknown target: get it with `rustup target add \
             wasm32-unknown-unknown`, or from your distribution's rust-std package for wasm32",
        )?;
    }
    Ok(Toolchain::Debian)
}

fn target_is_installed() -> bool {
    let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]));
    sysroot.is_ok_and(|sysroot| PathBuf::from(sysroot).join("lib/rustlib").join(TARGET).join("lib").is_dir())
}

fn debian_toolchain_is_here() -> bool {
    let programs = ["/usr/bin/cargo", "/usr/bin/rustc", "/usr/bin/wasm-ld-22"];
    programs.iter().all(|program| PathBuf::from(program).is_file())
        && process::succeeds(Command::new("dpkg").args(["-s", "rust-web-src"]))
}

/// The command line that optimises WASM, installed by npm on first use; `None` without Node.js.
pub fn wasm_opt(workspace: &Workspace) -> Option<PathBuf> {
    let folder = workspace.tools().join("npm");
    let program = folder.join("node_modules/binaryen/bin/wasm-opt");
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|name| name == BINARYEN) && program.is_file() {
        return process::find("node").map(|_| program);
    }
    process::find("npm")?;
    eprintln!("setup: installing {BINARYEN} with npm, for wasm-opt");
    fs::create_dir_all(&folder).ok()?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--silent", "--prefix"])
        .arg(&folder)
        .arg(BINARYEN);
    if let Err(failure) = process::run(&mut npm) {
        eprintln!("setup: {failure}; the npm package binaryen is missing");
        return None;
    }
    fs::write(stamp, BINARYEN).ok()?;
    program.is_file().then_some(program)
}

/// The checker of licences, advisories and sources, compiled once into the cache.
pub fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(program) = process::find(CARGO_DENY) {
        return Ok(program);
    }
    let folder = workspace.tools();
    let program = folder.join("bin").join(CARGO_DENY);
    if program.is_file() {
        return Ok(program);
    }
    eprintln!("setup: compiling {CARGO_DENY} with cargo, once");
    let mut locked = workspace.cargo(&["install", "--locked", CARGO_DENY])?;
    let mut unlocked = workspace.cargo(&["install", CARGO_DENY])?;
    let into_cache = |command: &mut Command| {
        process::run(command.env("CARGO_TARGET_DIR", folder.join("build")).arg("--root").arg(&folder))
    };
    into_cache(&mut locked).or_else(|_| into_cache(&mut unlocked)).map_err(|cause| {
        Failure::new(format!("{cause}; install the crate {CARGO_DENY} yourself (cargo install {CARGO_DENY})"))
    })?;
    // Hundreds of megabytes that nothing reads again.
    fs::remove_dir_all(folder.join("build")).during("remove cargo-deny's build folder")?;
    Ok(program)
}

fn node() -> Result<()> {
    let other_way = "the end-to-end tests need Node.js 20 or newer with npm: install it";
    if process::find("node").is_none() {
        debian::install(&["nodejs"], other_way)?;
    }
    if process::find("npm").is_none() {
        debian::install(&["npm"], other_way)?;
    }
    let version = process::output(Command::new("node").arg("--version"))?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= 20 => Ok(()),
        _ => Err(Failure::new(format!("{other_way} (found {version})"))),
    }
}

fn python() -> Result<()> {
    if process::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        return Ok(());
    }
    debian::install(
        &["python3", "python3-venv"],
        "the end-to-end tests need Python 3.10 or newer with venv: install it",
    )
}
