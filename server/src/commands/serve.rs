//! `serve`: from the settings to a server that stops cleanly.

use std::net::SocketAddr;
use std::time::Duration;

use agentframer::engine::Engine;
use agentframer::engine::clock::Clock;
use agentframer::engine::config::Config;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{Failure, say};
use crate::router::router;

/// How long open connections may finish after a signal; calls in progress settle in any case.
const LAST_ANSWERS: Duration = Duration::from_secs(20);

/// Serves until SIGINT or SIGTERM.
pub async fn serve(mut config: Config) -> Result<(), Failure> {
    let stopped = on_signal()?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        Failure::failed(format!(
            "Cannot listen on {}: {error}. Choose another address with --listen.",
            config.listen
        ))
    })?;
    // Port 0 means any free one: links need the real one.
    config.listen = listener.local_addr().map_err(Failure::failed)?;
    let engine = Engine::open(config, Clock::System).await.map_err(Failure::start)?;
    refuse_half_restored(&engine).await?;
    engine.start_background();
    greet(&engine).await?;
    let served = accept(listener, &engine, stopped).await;
    engine.shutdown().await;
    tracing::info!("stopped");
    served
}

/// Until a restore has ended, data that was erased since the backup may be there.
async fn refuse_half_restored(engine: &Engine) -> Result<(), Failure> {
    match engine.half_restored().await.map_err(Failure::failed)? {
        None => Ok(()),
        Some(backup_id) => Err(Failure::failed(format!(
            "A restore of the backup {backup_id} was broken off, so nothing is served. Run “agentframer restore DIR” with that backup once more."
        ))),
    }
}

/// The token of the first start goes to the terminal only: the log redacts it.
async fn greet(engine: &Engine) -> Result<(), Failure> {
    let public_url = engine.config().public_url();
    if let Some(token) = engine.issue_setup_token().await.map_err(Failure::failed)? {
        say(format_args!("Set up at {public_url}/setup?token={token}"));
    }
    say(format_args!("AgentFramer serves {public_url}"));
    Ok(())
}

async fn accept(listener: TcpListener, engine: &Engine, stopped: CancellationToken) -> Result<(), Failure> {
    let app = router(engine).into_make_service_with_connect_info::<SocketAddr>();
    let late = {
        let stopped = stopped.clone();
        async move {
            stopped.cancelled().await;
            tokio::time::sleep(LAST_ANSWERS).await;
        }
    };
    let server = axum::serve(listener, app).with_graceful_shutdown(stopped.cancelled_owned());
    tokio::select! {
        served = server => served.map_err(|error| Failure::failed(format!("The server stopped: {error}."))),
        () = late => Ok(()),
    }
}

fn on_signal() -> Result<CancellationToken, Failure> {
    let heard = |error| Failure::failed(format!("Cannot listen for signals: {error}."));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(heard)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(heard)?;
    let stopped = CancellationToken::new();
    let stop = stopped.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping: no new connections; calls in progress settle");
        stop.cancel();
    });
    Ok(stopped)
}
