//! Packages of Debian and its relatives.

use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};
use crate::process;

/// Whether this machine installs with `apt-get`.
pub fn is_here() -> bool {
    process::find("apt-get").is_some()
}

/// Installs `packages`; a refusal names them and, in `otherwise`, the other way to get them.
pub fn install(packages: &[&str], otherwise: &str) -> Result<()> {
    let names = packages.join(" ");
    if !is_here() {
        return Err(Failure::new(format!("{otherwise} (on Debian: apt-get install {names})")));
    }
    eprintln!("setup: installing {names} with apt-get");
    // The list may be days old: `install` then asks for files that are gone.
    if !process::succeeds(&mut apt(&["update", "-q"])) {
        eprintln!("setup: apt-get update failed, going on with the package list as it is");
    }
    let mut install = apt(&["install", "-y", "-q", "--no-install-recommends"]);
    process::run(install.args(packages).stdout(Stdio::null()))
        .map_err(|cause| Failure::new(format!("apt-get could not install {names} ({cause}); {otherwise}")))
}

/// As root directly, else through sudo, which must not ask: nobody may be there to answer.
fn apt(args: &[&str]) -> Command {
    let is_root = process::output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0");
    let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
    if !is_root {
        command.args(["-n", "apt-get"]);
    }
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command
}
