//! An API server that is a function from requests to answers, and remembers what it was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Response};
use kube::client::Body;
use playbooks::act::Api;
use serde_json::{Value, json};

/// One request as it went over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn is(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.path == path
    }

    /// True for everything that could change something.
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

/// What the server does about it.
pub(crate) enum Answer {
    Json(u16, Value),
    Text(u16, &'static str),
    /// Accepts the request and stays silent.
    Never,
    /// The connection breaks.
    Broken,
}

/// How long a call may take in these tests; the clock is paused where it matters.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// What the server was asked.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<Request>>>);

impl Wire {
    /// A server that answers by `answer`.
    pub(crate) fn new<F>(answer: F) -> (Api, Wire)
    where
        F: FnMut(&Request) -> Answer + Send + 'static,
    {
        let wire = Wire::default();
        let requests = Arc::clone(&wire.0);
        let answer = Arc::new(Mutex::new(answer));
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                let request = Request {
                    method: parts.method,
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    body: serde_json::from_slice(&body).unwrap_or_default(),
                };
                requests.lock().expect("requests").push(request.clone());
                let answer = (answer.lock().expect("answer"))(&request);
                let (code, text) = match answer {
                    Answer::Json(code, value) => (code, value.to_string()),
                    Answer::Text(code, text) => (code, text.to_owned()),
                    Answer::Never => std::future::pending().await,
                    Answer::Broken => return Err("connection reset by peer".into()),
                };
                let response = Response::builder().status(code).body(Body::from(text.into_bytes()));
                Ok::<_, tower::BoxError>(response?)
            }
        });
        let client = kube::Client::new(service, "default");
        (Api::from_client(client, DEADLINE), wire)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.lock().expect("requests").clone()
    }

    pub(crate) fn writes(&self) -> Vec<Request> {
        self.requests().into_iter().filter(Request::is_write).collect()
    }
}

/// The API server's own error.
pub(crate) fn error(code: u16, reason: &str, message: &str) -> Answer {
    Answer::Json(code, status(code, reason, message))
}

pub(crate) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code
    })
}

pub(crate) fn not_found() -> Answer {
    error(404, "NotFound", "pods \"web\" not found")
}

pub(crate) fn list(items: &[Value]) -> Answer {
    Answer::Json(
        200,
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
    )
}
