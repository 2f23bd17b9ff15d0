//! The pages' islands as WASM: compile, bind, shrink.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use wasm_bindgen_cli_support::Bindgen;

use crate::failure::{During, Failure, Result};
use crate::workspace::Workspace;
use crate::{process, setup};

/// The compiler's name for the browser.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What Chromium, Firefox and Safari of the last three years all read. `--all-features` would write
/// compact imports, which Chromium refuses.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-reference-types",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-multivalue",
];

/// How much work goes into a small result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// Fast to build.
    Debug,
    /// Small to download.
    Release,
}

impl Build {
    fn profile(self) -> &'static str {
        match self {
            Self::Debug => "dev",
            Self::Release => "wasm-release",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "wasm-release",
        }
    }
}

/// Which compiler makes WASM here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The one that compiles everything else.
    Own,
    /// Debian's `rustc-web`, which compiles the standard library for the browser too.
    Debian,
}

impl Toolchain {
    /// As it is noted in the target folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Debian => "debian",
        }
    }

    fn cargo(self, workspace: &Workspace) -> Result<Command> {
        let own = workspace.cargo(&[])?;
        if self == Self::Own {
            return Ok(own);
        }
        let mut debian = Command::new("/usr/bin/cargo");
        debian.current_dir(&workspace.root);
        for (name, value) in own.get_envs() {
            match value {
                Some(value) => debian.env(name, value),
                None => debian.env_remove(name),
            };
        }
        debian.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
        debian.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-22");
        Ok(debian)
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Own => &[],
            Self::Debian => &["-Zbuild-std=std,panic_abort"],
        }
    }
}

/// A cargo command on the pages for the browser, in its own folder so that features do not fight
/// with the native build. `verb` is `build`, `clippy`…
pub fn cargo(workspace: &Workspace, toolchain: Toolchain, verb: &str) -> Result<Command> {
    let mut command = toolchain.cargo(workspace)?;
    command.args([verb, "--package", "agentframer-app", "--lib", "--no-default-features"]);
    command.args(["--features", "hydrate", "--target", TARGET]).args(toolchain.flags());
    command.arg("--target-dir").arg(workspace.target.join("wasm"));
    Ok(command)
}

/// Compiles and binds the islands; returns the folder with the finished files.
///
/// The names are what leptos's `HydrationScripts` asks for: `agentframer.js`, `agentframer_bg.wasm`.
pub fn build(workspace: &Workspace, toolchain: Toolchain, build: Build) -> Result<PathBuf> {
    process::run(cargo(workspace, toolchain, "build")?.args(["--profile", build.profile()]))?;
    let raw = workspace.target.join("wasm").join(TARGET).join(build.folder()).join("agentframer_app.wasm");
    let finished = workspace.target.join("wasm/pkg").join(build.folder());
    let optimiser = if build == Build::Release { setup::wasm_opt(workspace) } else { None };
    let stamp = finished.with_extension("stamp");
    let flags = optimiser.as_ref().map(|_| FEATURES.concat());
    let fingerprint = format!("{} {flags:?}", fingerprint(&raw)?);
    if fs::read_to_string(&stamp).is_ok_and(|old| old == fingerprint) {
        return Ok(finished);
    }
    bind(&raw, &finished, build)?;
    if let Some(program) = optimiser {
        shrink(&program, &finished.join("agentframer_bg.wasm"))?;
    }
    fs::write(&stamp, fingerprint).during("note what was built")?;
    Ok(finished)
}

/// Changes whenever cargo has written the file anew.
fn fingerprint(file: &Path) -> Result<String> {
    let metadata = fs::metadata(file).during(format_args!("read {}", file.display()))?;
    let changed = metadata.modified().during("read a file's time")?;
    let age = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{} {}", metadata.len(), age.as_nanos()))
}

fn bind(raw: &Path, folder: &Path, build: Build) -> Result<()> {
    eprintln!("site: binding WASM to JavaScript");
    if folder.exists() {
        fs::remove_dir_all(folder).during("empty the folder of the bound WASM")?;
    }
    let mut bindgen = Bindgen::new();
    bindgen.input_path(raw).out_name("agentframer").typescript(false);
    bindgen.keep_debug(build == Build::Debug).debug(false);
    bindgen.remove_name_section(build == Build::Release).remove_producers_section(true);
    let bound = bindgen.web(true).and_then(|bindgen| bindgen.generate(folder));
    bound.map_err(|error| Failure::new(format!("wasm-bindgen could not read the compiled pages: {error:#}")))
}

fn shrink(program: &Path, wasm: &Path) -> Result<()> {
    eprintln!("site: shrinking WASM with wasm-opt");
    let small = wasm.with_extension("small");
    let mut node = Command::new("node");
    node.arg(program).arg("-Oz").args(FEATURES).arg(wasm).arg("-o").arg(&small);
    process::run(&mut node)?;
    fs::rename(&small, wasm).during("replace the WASM by the small one")
}
