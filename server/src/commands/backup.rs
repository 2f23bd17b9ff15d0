//! `backup` and `restore`.

use std::path::Path;

use agentframer::engine::Engine;
use agentframer::engine::clock::Clock;
use agentframer::engine::config::Config;

use super::maintenance;
use crate::cli::{Failure, say};

/// Works beside a running server.
pub async fn backup(config: Config, folder: &Path) -> Result<(), Failure> {
    let engine = Engine::open(config, Clock::System).await.map_err(Failure::start)?;
    let written = engine.backup(folder).await;
    engine.shutdown().await;
    let manifest = written.map_err(Failure::failed)?;
    let rows: u64 = manifest.databases.values().flat_map(|tables| tables.values()).sum();
    say(format_args!("Backup {} holds {rows} rows in {}.", manifest.backup_id, folder.display()));
    say("Media and data keys stay in the cells' storage: back that up apart, and keep the master key.");
    Ok(())
}

/// Proves itself: the restored databases are opened anew and checked.
pub async fn restore(config: Config, folder: &Path) -> Result<(), Failure> {
    let engine = Engine::open(config.clone(), Clock::System).await.map_err(Failure::start)?;
    let restored = engine.restore(folder).await;
    engine.shutdown().await;
    let report = restored.map_err(Failure::failed)?;
    say(format_args!(
        "Restored {} rows and {} data keys; {} calls, people and workspaces that were erased since stay erased.",
        report.rows, report.keys, report.erased_again
    ));
    maintenance::check(config).await
}
