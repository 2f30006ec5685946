//! The probes and the metrics: a port that only tells.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    port,
    worker::{Worker, readiness::Readiness},
};

/// What the port tells of.
#[derive(Clone)]
pub struct Health {
    /// What it counts, and its outages, which make it unready and never unhealthy: a restart would not end them.
    pub worker: Arc<Worker>,
    /// Which subscriptions are up.
    pub readiness: Arc<Readiness>,
}

/// What `/readyz` says.
#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    /// Why not, a line each.
    waiting: Vec<String>,
    /// What is not promised though it is ready, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Serves `/healthz`, `/readyz` and `/metrics` until stopped. Returns the bound address at once.
///
/// # Errors
/// The address can't be bound.
pub async fn serve(
    listen: SocketAddr,
    health: Health,
    stop: CancellationToken,
) -> std::io::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health);
    Ok((address, tokio::spawn(port::serve(listener, router, stop))))
}

async fn readyz(State(health): State<Health>) -> Response {
    let (vital, others): (Vec<_>, Vec<_>) =
        health.worker.outages.current().into_iter().partition(|(what, _)| what.is_vital());
    let line = |(what, why)| format!("{what}: {why}");
    let waiting: Vec<_> = vital.into_iter().map(line).chain(health.readiness.waiting()).collect();
    let warnings = others.into_iter().map(line).chain(health.readiness.warnings()).collect();
    let ready = waiting.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, waiting, warnings })).into_response()
}

async fn metrics(State(health): State<Health>) -> Response {
    match health.worker.scrape(&health.readiness) {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics can't be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
