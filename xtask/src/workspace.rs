//! Where things are: sources, build output, cached tools.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::failure::{During, Failure, Result};

/// The folders of one checkout.
pub struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's output: `CARGO_TARGET_DIR`, or `target`.
    pub target: PathBuf,
}

impl Workspace {
    /// Found through cargo's variables, or upwards from the current folder.
    pub fn find() -> Result<Self> {
        let start = env::var_os("CARGO_MANIFEST_DIR").map_or_else(env::current_dir, |dir| Ok(dir.into()));
        let start = start.during("read the current folder")?;
        let root = start
            .ancestors()
            .find(|dir| dir.join("xtask/Cargo.toml").is_file())
            .ok_or_else(|| Failure::new("not inside AgentFramer's folder: change into it and try again"))?
            .to_path_buf();
        let current = env::current_dir().during("read the current folder")?;
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) if !dir.is_empty() => current.join(dir),
            _ => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// What the server embeds: pages' WASM, CSS and static files.
    pub fn site(&self) -> PathBuf {
        self.target.join("site")
    }

    /// The release binary.
    pub fn binary(&self) -> PathBuf {
        self.target.join("release/agentframer")
    }

    /// Tools that outlive one checkout: `$XDG_CACHE_HOME/agentframer/tools`.
    pub fn tools(&self) -> PathBuf {
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        cache.map_or_else(|| self.target.join("tools"), |cache| cache.join("agentframer/tools"))
    }

    /// A cargo command that builds as a person's own `cargo` in this folder would.
    pub fn cargo(&self, args: &[&str]) -> Result<Command> {
        fs::create_dir_all(self.site()).during("create the site folder")?;
        let mut command = Command::new("cargo");
        command.args(args).current_dir(&self.root);
        command.env("CARGO_TARGET_DIR", &self.target).env("AGENTFRAMER_SITE", self.site());
        without_our_cargo(&mut command);
        Ok(command)
    }
}

/// `cargo run` has set variables of the package `xtask`; build scripts that watch them (ring's does)
/// would make everything compile again at each change of caller.
pub fn without_our_cargo(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_set_by_cargo_run) {
            command.env_remove(name);
        }
    }
}

fn is_set_by_cargo_run(name: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    let names = ["CARGO", "CARGO_PRIMARY_PACKAGE"];
    names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_person_stay() {
        assert!(is_set_by_cargo_run("CARGO_PKG_VERSION"));
        assert!(is_set_by_cargo_run("CARGO_MANIFEST_DIR"));
        assert!(!is_set_by_cargo_run("CARGO_HOME"));
        assert!(!is_set_by_cargo_run("CARGO_NET_OFFLINE"));
        assert!(!is_set_by_cargo_run("CARGO_TARGET_DIR"));
    }
}
