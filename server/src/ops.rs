//! For those who run the server: is it alive, is it ready, what does it count.

use std::net::IpAddr;
use std::sync::OnceLock;

use agentframer::engine::Engine;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, header};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Map, Value, json};

use crate::client_address::FORWARDED_FOR;
use crate::rest::problem::Problem;
use crate::visit::Visit;

/// Seconds at which requests are counted into buckets.
const BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// `/healthz`, `/readyz`, `/metrics`.
pub fn routes(engine: Engine) -> Router {
    recorder();
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(engine)
}

/// One recorder for the process; the first caller installs it.
fn recorder() -> Option<&'static PrometheusHandle> {
    let install = || {
        let buckets = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(buckets, &BUCKETS).ok()?;
        builder.install_recorder().inspect_err(|error| tracing::error!(%error, "no metrics")).ok()
    };
    METRICS.get_or_init(install).as_ref()
}

/// Names every database and bucket, and says 503 as long as one of them does not answer.
async fn ready(State(engine): State<Engine>) -> Response {
    let parts = engine.ready().await;
    let is_ready = parts.iter().all(|(_, answers)| *answers);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let parts: Map<String, Value> = parts.into_iter().map(|(name, answers)| (name, answers.into())).collect();
    (status, Json(json!({ "ready": is_ready, "parts": parts }))).into_response()
}

async fn scrape(
    State(engine): State<Engine>,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
) -> Response {
    if !may_scrape(&engine, visit.address, &headers) {
        let detail = "Metrics are only for this machine and the networks of the setting metrics_allow.";
        return Problem::new(StatusCode::FORBIDDEN, "metrics-not-allowed", "Metrics not allowed", detail)
            .into_response();
    }
    let Some(handle) = recorder() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    handle.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response()
}

fn may_scrape(engine: &Engine, address: IpAddr, headers: &HeaderMap) -> bool {
    // A proxy on this machine that nobody told us to trust looks like loopback, but says whom it speaks for.
    let is_forwarded = headers.contains_key(FORWARDED_FOR) || headers.contains_key(header::FORWARDED);
    let is_local = address.is_loopback() && !is_forwarded;
    is_local || engine.config().metrics_allow.iter().any(|network| network.contains(&address))
}
