//! Pub/Sub's REST API by hand, for what tests do to topics and subscriptions behind the worker's back.

use reqwest::{Client, Method};
use serde_json::Value;

/// The API of a server, in one project.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    client: Client,
    base: String,
}

pub(crate) const PROJECT: &str = "testbed";

impl Rest {
    pub(crate) fn of(address: &str) -> Self {
        // Whoever else does it meanwhile does the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = format!("http://{address}/v1/projects/{PROJECT}");
        Self { client: Client::new(), base }
    }

    /// What the server says, or the status and text of its refusal.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let request = self.client.request(method, format!("{}/{path}", self.base));
        let answer = request.json(body).send().await.map_err(|error| error.to_string())?;
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        if !status.is_success() {
            return Err(format!("{status}: {text}"));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        self.ask(Method::PUT, path, &body).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, path, &body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask(Method::GET, path, &Value::Null).await
    }

    pub(crate) async fn delete(&self, path: &str) {
        self.ask(Method::DELETE, path, &Value::Null).await.unwrap();
    }
}
