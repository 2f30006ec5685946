//! The little HTTP that the demo speaks as a client: events to the intake, a look at the metrics.

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// More than any answer here has.
const ANSWER_LIMIT: usize = 1 << 20;

#[derive(Clone)]
pub(super) struct Http(Client<HttpConnector, Body>);

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the request can't be made")]
    Request(#[from] axum::http::Error),
    #[error("no connection")]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("the answer broke off")]
    Answer(#[from] axum::Error),
}

impl Http {
    pub(super) fn new() -> Http {
        Http(Client::builder(TokioExecutor::new()).build_http())
    }

    pub(super) async fn get(&self, url: &str) -> Result<(StatusCode, String), Error> {
        self.send(Request::get(url), Body::empty()).await
    }

    /// Sends what Falcosidekick would: a POST with JSON, or what claims to be.
    pub(super) async fn post(
        &self,
        url: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, String), Error> {
        self.send(Request::post(url).header("content-type", "application/json"), body.into()).await
    }

    async fn send(
        &self,
        request: axum::http::request::Builder,
        body: Body,
    ) -> Result<(StatusCode, String), Error> {
        let answer = self.0.request(request.body(body)?).await?;
        let status = answer.status();
        let text = to_bytes(Body::new(answer.into_body()), ANSWER_LIMIT).await?;
        Ok((status, String::from_utf8_lossy(&text).trim().to_owned()))
    }
}
