//! Small commands for operators.

use agentframer::engine::clock::Clock;
use agentframer::engine::config::Config;
use agentframer::engine::{Engine, check_settings};

use crate::cli::{Failure, say};
use crate::rest;

/// Opening brings the tables up to date; this does it before the servers of a new version start.
pub async fn migrate(config: Config) -> Result<(), Failure> {
    let engine = Engine::open(config, Clock::System).await.map_err(Failure::start)?;
    engine.shutdown().await;
    say("The databases are up to date.");
    Ok(())
}

/// Prints each fault on a line.
pub async fn check(config: Config) -> Result<(), Failure> {
    let engine = Engine::open(config, Clock::System).await.map_err(Failure::start)?;
    let faults = engine.check().await;
    engine.shutdown().await;
    let faults = faults.map_err(Failure::failed)?;
    faults.iter().for_each(say);
    match faults.len() {
        0 => {
            say("Clean: every invariant holds.");
            Ok(())
        }
        1 => Err(Failure::failed("The check found 1 fault.")),
        many => Err(Failure::failed(format!("The check found {many} faults."))),
    }
}

/// The settings in force, and the files that they name. Nothing is opened or made.
pub fn config(config: &Config) -> Result<(), Failure> {
    check_settings(config).map_err(Failure::start)?;
    say(format_args!(
        "The settings are good. The server listens on {} and is reached at {}.",
        config.listen,
        config.public_url()
    ));
    for cell in config.cells() {
        say(format_args!("Cell {} in {}.", cell.name, cell.region));
    }
    Ok(())
}

/// The document that `/api/v1/openapi.json` serves.
pub fn openapi() -> Result<(), Failure> {
    say(rest::document().to_pretty_json().map_err(Failure::failed)?);
    Ok(())
}
