//! `certificate verify`: the signature of a data request's certificate, checked without a server.

use std::io::Read;
use std::path::Path;

use agentframer::engine::log::signing;
use serde_json::Value;

use crate::cli::{Failure, say};

/// Exit code 1 says why the certificate is not believed; 2 why the file cannot be read.
pub fn verify(file: &Path, keys: Option<&Path>) -> Result<(), Failure> {
    let (certificate, keys) = (read(file)?, keys.map(read).transpose()?);
    let key = signing::verify(&certificate, keys.as_ref())
        .map_err(|why| Failure::failed(format!("The certificate is not good: {why}.")))?;
    let field = |name: &str| certificate[name].as_str().unwrap_or("?").to_owned();
    say(format_args!(
        "Good: {} {}, {}, signed with {key}.",
        field("kind"),
        field("data_request_id"),
        field("state")
    ));
    if keys.is_none() {
        say(
            "Compare that key with /reference/keys.json, or name a copy of it with --keys: a stranger can sign too.",
        );
    }
    Ok(())
}

fn read(file: &Path) -> Result<Value, Failure> {
    let place = file.display();
    let unreadable =
        |error: &dyn std::fmt::Display| Failure::wrong(format!("{place} cannot be read: {error}."));
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    } else {
        text = std::fs::read_to_string(file).map_err(|error| unreadable(&error))?;
    }
    serde_json::from_str(&text).map_err(|error| unreadable(&error))
}
