//! Where Google's clients get their tokens: the metadata server of a machine, and the service that takes another issuer's
//! token for one of Google's. Both on one port of loopback.
//!
//! <https://cloud.google.com/compute/docs/metadata/predefined-metadata-entries>,
//! <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::error::Error;

/// A server that gives tokens out; it ends when this is dropped.
#[derive(Debug)]
pub struct Tokens {
    address: SocketAddr,
    given: Arc<Given>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    given: Arc<Given>,
    subject: String,
}

/// The tokens that hold.
#[derive(Debug, Default)]
pub(super) struct Given {
    last: AtomicU64,
    /// Those before this one don't hold any more.
    first: AtomicU64,
}

impl Tokens {
    /// Starts it; the service takes `subject` for the token of somebody it knows.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(subject: &str) -> Result<Self, Error> {
        let bound = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = bound.map_err(Error::io("can't bind a port"))?;
        let address = listener.local_addr().map_err(Error::io("can't tell the port"))?;
        let given = Arc::new(Given::default());
        let shared = Shared { given: given.clone(), subject: subject.to_owned() };
        let task = tokio::spawn(serve(listener, Arc::new(shared)));
        Ok(Self { address, given, task })
    }

    /// The value of `GCE_METADATA_HOST`: `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// What Google gives for a workload outside of its cloud, whose own token is in this file.
    #[must_use]
    pub fn external_account(&self, subject: &str) -> Value {
        json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("http://{}/v1/token", self.address),
            "credential_source": {"file": subject},
        })
    }

    /// How many were given out.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.given.last.load(Ordering::Relaxed)
    }

    /// Ends all that were given out.
    pub fn revoke(&self) {
        self.given.first.store(self.given() + 1, Ordering::Relaxed);
    }

    pub(super) fn holding(&self) -> Arc<Given> {
        self.given.clone()
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Given {
    /// Whether a request's `authorization` shows one that holds.
    pub(super) fn holds(&self, authorization: &str) -> bool {
        let number = authorization.strip_prefix("Bearer ya29.").and_then(|n| n.parse().ok());
        let holding = self.first.load(Ordering::Relaxed)..=self.last.load(Ordering::Relaxed);
        number.is_some_and(|number: u64| number > 0 && holding.contains(&number))
    }

    fn next(&self) -> Value {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        json!({"access_token": format!("ya29.{number}"), "expires_in": 3600, "token_type": "Bearer"})
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((connection, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(shared.clone(), request));
            let server = auto::Builder::new(TokioExecutor::new());
            // Who asks goes away as soon as it has what it wants.
            let _ = server.serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let flavoured = request.headers().get("metadata-flavor").is_some_and(|it| it == "Google");
    let (status, body) = match (request.method().clone(), request.uri().path()) {
        (Method::GET, "/computeMetadata/v1/instance/service-accounts/default/token")
            if flavoured =>
        {
            (StatusCode::OK, shared.given.next().to_string())
        }
        (Method::GET, "/computeMetadata/v1/universe/universe-domain") if flavoured => {
            (StatusCode::OK, "googleapis.com".to_owned())
        }
        (Method::POST, "/v1/token") => exchange(&shared, request).await,
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    Ok(response)
}

async fn exchange(shared: &Shared, request: Request<Incoming>) -> (StatusCode, String) {
    let form = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let shown = format!("subject_token={}", shared.subject);
    if form.split(|&byte| byte == b'&').any(|field| field == shown.as_bytes()) {
        let mut token = shared.given.next();
        token["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:access_token");
        (StatusCode::OK, token.to_string())
    } else {
        let error =
            json!({"error": "invalid_grant", "error_description": "The subject token is unknown."});
        (StatusCode::BAD_REQUEST, error.to_string())
    }
}
