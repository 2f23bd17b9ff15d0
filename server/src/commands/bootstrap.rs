//! `bootstrap`: the first set-up without a browser.

use std::io::Read;

use agentframer::engine::Engine;
use agentframer::engine::access::bootstrap::Bootstrap;
use agentframer::engine::clock::Clock;
use agentframer::engine::config::Config;
use agentframer::engine::error::Error;

use crate::cli::{BootstrapArgs, Failure, say};

/// Prints one JSON object with the ids and the secrets, which are shown only here.
pub async fn bootstrap(config: Config, args: BootstrapArgs) -> Result<(), Failure> {
    let wanted = Bootstrap {
        email: args.email,
        password: password()?,
        workspace: args.workspace,
        region: args.region,
        top_up: args.top_up,
        agent: args.agent,
    };
    let engine = Engine::open(config, Clock::System).await.map_err(Failure::start)?;
    let done = engine.bootstrap(wanted).await;
    engine.shutdown().await;
    let done = done.map_err(|error| match error {
        Error::Field(fault) => Failure::wrong(format!("{}: {}.", option(&fault.field), fault.message)),
        error => Failure::failed(error),
    })?;
    say(serde_json::to_string(&done).map_err(Failure::failed)?);
    Ok(())
}

/// The option behind an engine's field.
fn option(field: &str) -> String {
    match field {
        "password" => "--password-stdin".to_owned(),
        "workspace_name" => "--workspace".to_owned(),
        "amount_usd" => "--top-up".to_owned(),
        field => format!("--{field}"),
    }
}

/// All of standard input but the line's end, so that `echo` works.
fn password() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|error| Failure::wrong(format!("The password on standard input cannot be read: {error}.")))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
