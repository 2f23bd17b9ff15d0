//! Signs of life for a client that asked for them while its call runs.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::Peer;
use tokio::time::{Instant, interval};

/// Between two notifications.
const EVERY: Duration = Duration::from_secs(1);

/// Notifies until it is dropped or the client is gone: the value is the seconds since the start, so it always rises.
/// Providers do not tell how far they are, so no total is claimed.
pub async fn report(peer: Peer<RoleServer>, token: ProgressToken) {
    let began = Instant::now();
    let mut beats = interval(EVERY);
    loop {
        beats.tick().await;
        let seconds = began.elapsed().as_secs();
        let message = match seconds {
            0 => "The call has begun.".to_owned(),
            seconds => format!("Running for {seconds} s."),
        };
        let notification =
            ProgressNotificationParam::new(token.clone(), seconds as f64).with_message(message);
        if peer.notify_progress(notification).await.is_err() {
            return;
        }
    }
}
