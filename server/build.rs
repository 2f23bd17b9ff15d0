//! Tells the pages' files apart from the code: which folder is embedded, and when to embed it again.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const SITE: &str = "AGENTFRAMER_SITE";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed={SITE}");
    let site = env::var_os(SITE).map_or_else(beside_the_target_folder, PathBuf::from);
    // A build without `cargo xtask site` before it embeds nothing and still compiles.
    fs::create_dir_all(&site)?;
    let site = fs::canonicalize(&site)?;
    println!("cargo::rerun-if-changed={}", site.display());
    println!("cargo::rustc-env={SITE}={}", site.display());
    Ok(())
}

fn beside_the_target_folder() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    package.parent().unwrap_or(Path::new(".")).join("target/site")
}
