//! An API server whose namespaces `shop-NUMBER` have a pod `web` each: sockets that answer after a while, and count.
//!
//! What else is written, Responses and ConfigMaps, is kept as the API server would, as far as versions go. It is this lean so
//! that the processors are the worker's.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::Book;

/// It ends when this is dropped.
pub struct Cluster {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    book: Book,
    answer: Duration,
    requests: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    kept: Mutex<HashMap<String, Value>>,
}

/// One request, read whole.
struct Request {
    method: String,
    path: String,
    body: Value,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// One that takes so long for an answer, up to half of it more or less.
    pub async fn start(book: Book, answer: Duration) -> Cluster {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, now, most, kept) = Default::default();
        let shared = Arc::new(Shared { book, answer, requests, now, most, kept });
        let task = tokio::spawn({
            let shared = shared.clone();
            async move {
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    socket.set_nodelay(true).unwrap();
                    tokio::spawn(converse(socket, shared.clone()));
                }
            }
        });
        Cluster { address, shared, task }
    }

    pub fn url(&self) -> axum::http::Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::Relaxed)
    }
}

/// Answers one request after the other, and notes from when to when each kept its event waiting.
async fn converse(mut socket: TcpStream, shared: Arc<Shared>) {
    let mut bytes = Vec::new();
    let mut began = None;
    let mut part = [0; 16 << 10];
    loop {
        let read = socket.read(&mut part).await.unwrap_or(0);
        if read == 0 {
            return;
        }
        let began_at = *began.get_or_insert_with(Instant::now);
        bytes.extend_from_slice(&part[..read]);
        let Some(request) = Request::read(&bytes) else { continue };
        bytes.clear();
        began = None;
        shared.requests.fetch_add(1, Ordering::Relaxed);
        let now = shared.now.fetch_add(1, Ordering::Relaxed) + 1;
        shared.most.fetch_max(now, Ordering::Relaxed);
        // No two answers take alike, or all that wait would go on in the same moment.
        tokio::time::sleep(shared.answer.mul_f64(0.5 + fastrand::f64())).await;
        let (status, body) = shared.answer(&request);
        let body = body.to_string();
        let said = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        shared.now.fetch_sub(1, Ordering::Relaxed);
        if let Some(number) = shared.about(&request) {
            shared.book.lock().unwrap()[number].waited += began_at.elapsed();
        }
        socket.write_all(said.as_bytes()).await.unwrap();
    }
}

impl Request {
    /// `None` as long as something is missing.
    fn read(bytes: &[u8]) -> Option<Request> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let body = &bytes[end + 4..];
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
        });
        if body.len() < length.unwrap_or(0) {
            return None;
        }
        let mut words = head.split(' ');
        let method = words.next().unwrap().to_owned();
        let path = words.next().unwrap().split('?').next().unwrap().to_owned();
        Some(Request { method, path, body: serde_json::from_slice(body).unwrap_or_default() })
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> (u16, Value) {
        let path = request.path.as_str();
        match (request.method.as_str(), path.split('/').collect::<Vec<_>>().as_slice()) {
            ("GET", ["", "apis"]) => (200, groups()),
            ("GET", ["", "apis", "stoop.dev", "v1alpha1"]) => (200, resources()),
            ("GET", ["", "api", "v1", "namespaces", name]) => (200, namespace(name)),
            ("GET", ["", "api", "v1", "namespaces", namespace, "pods", name]) => {
                (200, pod(namespace, name))
            }
            ("DELETE", _) => (200, json!({"kind": "Status", "status": "Success"})),
            _ => self.keep(request),
        }
    }

    fn keep(&self, request: &Request) -> (u16, Value) {
        let mut kept = self.kept.lock().unwrap();
        let object = request.path.strip_suffix("/status").unwrap_or(&request.path);
        let status = |code: u16, reason: &str| {
            (
                code,
                json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}),
            )
        };
        let (path, old) = match request.method.as_str() {
            "POST" => {
                let name = request.body["metadata"]["name"].as_str().unwrap();
                (format!("{object}/{name}"), None)
            }
            _ => (object.to_owned(), Some(kept.get(object).cloned())),
        };
        let mut new = request.body.clone();
        match (request.method.as_str(), old) {
            ("GET", Some(Some(old))) => return (200, old),
            (_, Some(None)) => return status(404, "NotFound"),
            ("POST", _) if kept.contains_key(&path) => return status(409, "AlreadyExists"),
            ("PUT", Some(Some(old))) => {
                if old["metadata"]["resourceVersion"] != new["metadata"]["resourceVersion"] {
                    return status(409, "Conflict");
                }
            }
            ("POST", _) => {}
            (method, _) => panic!("{method} {path} is nothing that a storm asks for"),
        }
        let version = self.requests.load(Ordering::Relaxed).to_string();
        new["metadata"]["uid"] = path.clone().into();
        new["metadata"]["resourceVersion"] = version.into();
        kept.insert(path, new.clone());
        (200, new)
    }

    /// The number of the pod that a request is about.
    fn about(&self, request: &Request) -> Option<usize> {
        let mut parts = request.path.split('/').skip_while(|part| *part != "namespaces");
        let number = |namespace: &str| namespace.strip_prefix("shop-")?.parse().ok();
        let target = |object: &Value| number(object["spec"]["target"]["namespace"].as_str()?);
        number(parts.nth(1)?).or_else(|| target(&request.body))
    }
}

fn groups() -> Value {
    let version = json!({"groupVersion": "stoop.dev/v1alpha1", "version": "v1alpha1"});
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [
        {"name": "stoop.dev", "versions": [version], "preferredVersion": version}
    ]})
}

fn resources() -> Value {
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "stoop.dev/v1alpha1", "resources": [
        {"name": "responses", "singularName": "", "namespaced": true, "kind": "Response", "verbs": ["get"]}
    ]})
}

fn namespace(name: &str) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": name}})
}

fn pod(namespace: &str, name: &str) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": name, "namespace": namespace, "uid": format!("uid-of-{namespace}"),
            "creationTimestamp": "2026-01-01T00:00:00Z"
        },
        "spec": {"containers": [{"name": "app", "image": "app"}], "nodeName": "node-a"},
        "status": {"phase": "Running", "containerStatuses": [{
            "name": "app", "image": "app", "imageID": "app", "ready": true, "restartCount": 0,
            "containerID": format!("containerd://{}", "6ac7d190134e".repeat(5))
        }]}
    })
}
