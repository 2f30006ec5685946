//! An HTTP server on loopback that a sink, or a client, can send to.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::IntoResponse,
};

/// One request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A status, a text, and `Retry-After`.
pub(crate) type Scripted = (u16, &'static str, Option<&'static str>);

/// What is answered next; when it runs out, 200 and `ok` as Slack does.
pub(crate) type Script = Vec<Scripted>;

#[derive(Clone, Default)]
pub(crate) struct Receiver {
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<VecDeque<Scripted>>>,
    address: String,
}

impl Receiver {
    pub(crate) async fn start(script: Script) -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let receiver = Receiver {
            script: Arc::new(Mutex::new(script.into())),
            address,
            ..Receiver::default()
        };
        // Events can be larger than what axum takes by itself.
        let router = Router::new()
            .fallback(receive)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    /// A URL whose path is a secret, as Slack's are.
    pub(crate) fn url(&self) -> String {
        format!("{}/services/T000/B000/topsecret", self.address)
    }

    /// Where it listens, without a path.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().expect("received").clone()
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    receiver.received.lock().expect("received").push(Received {
        method: method.to_string(),
        path: uri.path().to_owned(),
        headers,
        body,
    });
    let (code, text, retry_after) =
        receiver.script.lock().expect("script").pop_front().unwrap_or((200, "ok", None));
    let headers: HeaderMap = retry_after
        .map(|wait| ("retry-after".parse().expect("a name"), wait.parse().expect("a value")))
        .into_iter()
        .collect();
    (StatusCode::from_u16(code).expect("a status"), headers, text)
}

/// A server that sends everyone elsewhere.
pub(crate) async fn redirecting(to: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(async move || axum::response::Redirect::temporary(&to));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A server that always answers with one status; how often it was asked.
pub(crate) async fn always(code: u16) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let hits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&hits);
    let router = Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { StatusCode::from_u16(code).expect("a status") }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, hits)
}
