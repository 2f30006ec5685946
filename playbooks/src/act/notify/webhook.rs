//! A POST to any URL, signed so that the receiver can tell that it is ours and fresh.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use settings::Secret;
use sha2::Sha256;

use super::{
    Notification, Sink,
    http::{self, Endpoint},
};
use crate::act::{config::ConfigError, outcome::Failure};

/// `webhook: {url, secret, headers}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to POST.
    pub url: Secret,
    /// The key of the signature; without one, messages are not signed.
    pub secret: Option<Secret>,
    /// Headers to send along, such as `Authorization`.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

#[derive(Debug)]
pub(super) struct Webhook {
    endpoint: Endpoint,
    key: Option<SecretString>,
}

impl Webhook {
    pub(super) fn new(config: &WebhookConfig, timeout: Duration) -> Result<Webhook, ConfigError> {
        let headers = http::headers(&config.headers)?;
        let key = config.secret.as_ref().map(Secret::read).transpose();
        Ok(Webhook {
            endpoint: Endpoint::new(&config.url, "", headers, timeout)?,
            key: key.map_err(|error| ConfigError::from(error).at("secret"))?,
        })
    }
}

#[async_trait]
impl Sink for Webhook {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        let body = serde_json::to_vec(message).map_err(|error| {
            Failure::permanent(format!("the message can't be written as JSON: {error}"))
        })?;
        let timestamp = Timestamp::now().as_second().to_string();
        let signature =
            self.key.as_ref().map(|key| signature(key, &timestamp, &body)).transpose()?;
        let mut request = self
            .endpoint
            .post_as("application/json", body)
            .header("Idempotency-Key", &*message.delivery())
            .header("X-Stoop-Timestamp", &timestamp);
        if let Some(trace) = &message.trace {
            request = request.header("traceparent", trace.as_str());
        }
        if let Some(signature) = signature {
            request = request.header("X-Stoop-Signature", signature);
        }
        http::settle(request.send().await).await
    }
}

/// `sha256=` and the HMAC-SHA256 of `timestamp.body`, in hex: the time is signed, so that a copy grows old.
fn signature(key: &SecretString, timestamp: &str, body: &[u8]) -> Result<String, Failure> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).map_err(|error| {
            Failure::permanent(format!("the webhook's secret can't be used: {error}"))
        })?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256={hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_any_other_hmac_makes_of_it() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let signed = signature(&SecretString::from("secret"), "1700000000", br#"{"a":1}"#);
        assert_eq!(
            signed.as_deref(),
            Ok("sha256=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686")
        );
    }
}
