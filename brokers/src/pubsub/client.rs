//! How the API is reached, and as whom.

use std::{env, time::Duration};

use google_cloud_auth::credentials::{
    self, Credentials, anonymous, external_account, impersonated, service_account, user_account,
};
use google_cloud_gax::{
    exponential_backoff::ExponentialBackoffBuilder,
    retry_policy::{NeverRetry, RetryPolicyExt},
};
use google_cloud_pubsub::{
    client::{BasePublisher, Publisher, Subscriber, SubscriptionAdmin, TopicAdmin},
    retry_policy::RetryableErrors,
};
use secrecy::ExposeSecret;
use settings::Secret;

use crate::contract::Error;

use super::{config::Config, names::Topic};

/// Where an emulator is, as `host:port`, for all of Google's client libraries; this one doesn't read it itself.
const EMULATOR: &str = "PUBSUB_EMULATOR_HOST";

/// How long a message may try to become durable before its publisher says that it can't.
const PUBLISH: Duration = Duration::from_secs(10);

/// How long a question to the administrative API may take.
pub(super) const ASK: Duration = Duration::from_secs(5);

/// What every client needs.
#[derive(Clone, Debug)]
pub(super) struct Access {
    endpoint: Option<String>,
    credentials: Credentials,
}

impl Access {
    /// Must be called in a tokio runtime: the credentials are kept fresh in a task of their own.
    pub(super) fn of(config: &Config) -> Result<Self, Error> {
        config.check()?;
        provide_tls();
        let emulator = || env::var(EMULATOR).ok().map(|host| format!("http://{host}"));
        let endpoint = config.endpoint.clone().or_else(emulator);
        let plain = endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let credentials = match &config.credentials {
            _ if plain => anonymous::Builder::new().build(),
            Some(secret) => read(secret)?,
            None => credentials::Builder::default().build().map_err(|error| {
                Error::Configuration(format!(
                    "Google's application default credentials can't be used: {error}: run `gcloud auth application-default \
                     login`, give the pod a service account with workload identity, or set credentials"
                ))
            })?,
        };
        Ok(Self { endpoint, credentials })
    }

    pub(super) async fn subscriber(&self) -> Result<Subscriber, Error> {
        let mut builder = Subscriber::builder().with_credentials(self.credentials.clone());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().await.map_err(unusable)
    }

    /// A publisher that sends each message at once: whoever publishes here waits for it.
    pub(super) async fn publisher(&self, topic: &Topic) -> Result<Publisher, Error> {
        let mut builder = BasePublisher::builder()
            .with_credentials(self.credentials.clone())
            .with_retry_policy(RetryableErrors.with_time_limit(PUBLISH))
            .with_backoff_policy(
                ExponentialBackoffBuilder::new()
                    .with_initial_delay(Duration::from_millis(100))
                    .with_maximum_delay(Duration::from_secs(2))
                    .clamp(),
            );
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let publisher = builder.build().await.map_err(unusable)?.publisher(topic.as_str());
        Ok(publisher.set_delay_threshold(Duration::ZERO).build())
    }

    pub(super) async fn subscriptions(&self) -> Result<SubscriptionAdmin, Error> {
        let mut builder = SubscriptionAdmin::builder()
            .with_credentials(self.credentials.clone())
            .with_retry_policy(NeverRetry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().await.map_err(unusable)
    }

    pub(super) async fn topics(&self) -> Result<TopicAdmin, Error> {
        let mut builder = TopicAdmin::builder()
            .with_credentials(self.credentials.clone())
            .with_retry_policy(NeverRetry);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build().await.map_err(unusable)
    }
}

/// TLS needs one provider of cryptography for the whole process, and the client panics without. Whoever has chosen
/// another before keeps it.
fn provide_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may just have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn read(secret: &Secret) -> Result<Credentials, Error> {
    let wrong = |what: String| Error::Configuration(format!("credentials: {what}"));
    let text = secret.read().map_err(|error| wrong(error.to_string()))?;
    let json: serde_json::Value = serde_json::from_str(text.expose_secret())
        // The parser's own words could repeat some of it.
        .map_err(|_| wrong("that is no JSON: name the file that Google gave".to_owned()))?;
    let kind = json.get("type").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
    let built = match kind.as_str() {
        "service_account" => service_account::Builder::new(json).build(),
        "external_account" => external_account::Builder::new(json).build(),
        "authorized_user" => user_account::Builder::new(json).build(),
        "impersonated_service_account" => impersonated::Builder::new(json).build(),
        _ => {
            return Err(wrong(format!(
                "type {kind:?} is not known: it is the JSON of a service account's key, or of a workload identity \
                 (external_account)"
            )));
        }
    };
    built.map_err(|error| wrong(error.to_string()))
}

fn unusable(error: impl std::error::Error) -> Error {
    Error::Configuration(format!("Pub/Sub's client refuses its settings: {error}"))
}
