//! Whoever is told, on one port of loopback: Slack's incoming webhooks and the findings of Security Command Center, each as
//! strict as the real one is. They can keep their callers waiting.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{patch, post},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::worker::Worker;

/// The source that the examples name.
const SOURCE: &str = "organizations/123/sources/456";

/// What a finding may have, of <https://cloud.google.com/security-command-center/docs/reference/rest/v2/organizations.sources.findings>.
const FINDING: [&str; 9] = [
    "state",
    "category",
    "findingClass",
    "resourceName",
    "severity",
    "eventTime",
    "description",
    "sourceProperties",
    "name",
];

/// Slack's bounds: <https://docs.slack.dev/reference/block-kit/blocks/section-block>.
const LONGEST: usize = 3000;
const MOST_BLOCKS: usize = 50;

#[derive(Clone)]
pub struct Sinks {
    address: String,
    held: Arc<watch::Sender<bool>>,
    asked: Arc<Mutex<usize>>,
    slack: Arc<Mutex<Vec<Value>>>,
    findings: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Sinks {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sinks = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            held: Arc::new(watch::Sender::new(false)),
            asked: Arc::default(),
            slack: Arc::default(),
            findings: Arc::default(),
        };
        let router = Router::new()
            .route("/services/T000/B000/secret", post(take_message))
            .route(&format!("/v2/{SOURCE}/findings/{{id}}"), patch(take_finding))
            .with_state(sinks.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        sinks
    }

    pub fn slack_url(&self) -> String {
        format!("{}/services/T000/B000/secret", self.address)
    }

    /// Of Google's API.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on callers wait.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Waits until somebody calls, answered or not.
    pub async fn called(&self, worker: &Worker) {
        worker
            .wait("somebody is told", async || match *self.asked.lock().unwrap() {
                0 => Err("nobody is".to_owned()),
                _ => Ok(()),
            })
            .await;
    }

    /// The messages that Slack has shown.
    pub fn messages(&self) -> Vec<Value> {
        self.slack.lock().unwrap().clone()
    }

    pub fn findings(&self) -> Vec<Value> {
        self.findings.lock().unwrap().values().cloned().collect()
    }

    async fn turn(&self) {
        *self.asked.lock().unwrap() += 1;
        drop(self.held.subscribe().wait_for(|held| !held).await);
    }
}

async fn take_message(
    State(sinks): State<Sinks>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, &'static str) {
    sinks.turn().await;
    let is_json = headers.get("content-type").is_some_and(|kind| kind == "application/json");
    let Some(message) = serde_json::from_str::<Value>(&body).ok().filter(|_| is_json) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload");
    };
    if message["text"].as_str().is_none_or(str::is_empty) {
        return (StatusCode::BAD_REQUEST, "no_text");
    }
    let blocks = message["blocks"].as_array();
    if !blocks.is_none_or(|blocks| blocks.len() <= MOST_BLOCKS && blocks.iter().all(is_block)) {
        return (StatusCode::BAD_REQUEST, "invalid_blocks");
    }
    sinks.slack.lock().unwrap().push(message);
    (StatusCode::OK, "ok")
}

fn is_block(block: &Value) -> bool {
    let is_text = |text: &Value| {
        text["type"] == "mrkdwn"
            && text["text"].as_str().is_some_and(|text| (1..=LONGEST).contains(&text.len()))
    };
    match block["type"].as_str() {
        Some("section") => is_text(&block["text"]),
        Some("context") => {
            block["elements"].as_array().is_some_and(|elements| elements.iter().all(is_text))
        }
        _ => false,
    }
}

async fn take_finding(
    State(sinks): State<Sinks>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(mut finding): Json<Value>,
) -> (StatusCode, Json<Value>) {
    sinks.turn().await;
    let refused = |code: StatusCode, why: &str| {
        (code, Json(json!({"error": {"code": code.as_u16(), "message": why}})))
    };
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    if token.is_none_or(|token| !token.starts_with("Bearer ")) {
        return refused(StatusCode::UNAUTHORIZED, "Request is missing required authentication");
    }
    if !(1..=32).contains(&id.len()) || !id.chars().all(|letter| letter.is_ascii_alphanumeric()) {
        return refused(StatusCode::BAD_REQUEST, "Invalid finding id");
    }
    let Some(fields) = finding.as_object() else {
        return refused(StatusCode::BAD_REQUEST, "Invalid JSON payload received");
    };
    if let Some(unknown) = fields.keys().find(|key| !FINDING.contains(&key.as_str())) {
        return refused(StatusCode::BAD_REQUEST, &format!("Unknown name {unknown:?}"));
    }
    let is_one_of = |key: &str, known: &[&str]| {
        finding[key].as_str().is_some_and(|value| known.contains(&value))
    };
    let time = finding["eventTime"].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
    if !is_one_of("state", &["ACTIVE", "INACTIVE"])
        || !is_one_of("severity", &["CRITICAL", "HIGH", "MEDIUM", "LOW"])
        || !is_one_of("findingClass", &["THREAT"])
        || time.is_none()
    {
        return refused(StatusCode::BAD_REQUEST, "Invalid value");
    }
    finding["name"] = format!("{SOURCE}/findings/{id}").into();
    sinks.findings.lock().unwrap().insert(id, finding.clone());
    (StatusCode::OK, Json(finding))
}
