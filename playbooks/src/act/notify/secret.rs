//! What a notifier's secrets are used for: URLs that nobody may see.

use std::error::Error as _;

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use settings::{Secret, SecretError};

use crate::act::config::ConfigError;

impl From<SecretError> for ConfigError {
    fn from(error: SecretError) -> ConfigError {
        let cause = error.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
        ConfigError::new(format!("{error}{cause}"))
    }
}

/// A secret URL, parsed; the error says where it is wrong, never what it is.
pub(in crate::act) fn url(secret: &Secret) -> Result<SecretString, ConfigError> {
    let text = secret.read()?;
    match Url::parse(text.expose_secret()) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(text),
        _ => {
            Err(ConfigError::new("the URL can't be used").help("write an http:// or https:// URL"))
        }
    }
}
