//! An OpenTelemetry collector for tests: what it is sent by OTLP over HTTP, decoded.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value,
};
use prost::Message as _;

/// A span, its ids in hex.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "not every test looks at every part")]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

#[allow(dead_code, reason = "as the span")]
impl Span {
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// The collector.
pub struct Collector {
    spans: Spans,
    url: String,
}

impl Collector {
    pub async fn start() -> Self {
        let spans = Spans::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(take)).with_state(spans.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { spans, url }
    }

    /// As `OTEL_EXPORTER_OTLP_ENDPOINT` names it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What has come so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

async fn take(State(spans): State<Spans>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let scopes = request.resource_spans.into_iter().flat_map(|it| it.scope_spans);
    let taken = scopes.flat_map(|it| it.spans).map(|span| Span {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        attributes: span
            .attributes
            .into_iter()
            .map(|it| (it.key, text(it.value.and_then(|it| it.value))))
            .collect(),
    });
    spans.lock().unwrap().extend(taken);
    StatusCode::OK
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
