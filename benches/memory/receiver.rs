//! A webhook receiver that takes its time, so that a worker holds as much as it may.

use std::time::Duration;

use axum::{Router, extract::DefaultBodyLimit, routing::post};

/// How long it takes to answer.
const PAUSE: Duration = Duration::from_millis(200);

/// Its URL.
pub async fn start() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let receive = post(async |_: axum::body::Bytes| tokio::time::sleep(PAUSE).await);
    let router = Router::new().route("/", receive).layer(DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}
