//! Secrets in the configuration: `{env: NAME}`, `{file: PATH}`, or the text itself; never printed.

use std::{fmt, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::act::config::ConfigError;

/// Where a secret is found. Its `Debug` shows the place, never the secret.
#[derive(Clone)]
pub enum Secret {
    /// Written in the configuration itself.
    Literal(SecretString),
    /// In a variable of the environment.
    Env(String),
    /// In a file; white space around it doesn't count.
    File(PathBuf),
}

impl Secret {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// Where the variable or file can't be read, or is empty.
    pub fn read(&self) -> Result<SecretString, ConfigError> {
        let (text, place) = match self {
            Secret::Literal(secret) => return Ok(secret.clone()),
            Secret::Env(name) => {
                let text = std::env::var(name).map_err(|_| {
                    ConfigError::new(format!("the environment variable {name} is not set"))
                        .help(format!("set {name}, or use `{{file: PATH}}`"))
                })?;
                (text, name.clone())
            }
            Secret::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    ConfigError::new(format!("{} can't be read: {error}", path.display()))
                })?;
                (text, path.display().to_string())
            }
        };
        match text.trim() {
            "" => Err(ConfigError::new(format!("the secret in {place} is empty"))),
            text => Ok(SecretString::from(text.to_owned())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Literal(_) => f.write_str("Literal(…)"),
            Secret::Env(name) => write!(f, "Env({name})"),
            Secret::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        // By hand, since serde's own errors would show the value.
        let expected = "expected a secret: `{env: NAME}`, `{file: PATH}` or a text";
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) if !text.is_empty() => {
                Ok(Secret::Literal(SecretString::from(text)))
            }
            serde_json::Value::Object(map) if map.len() == 1 => {
                match (map.get("env"), map.get("file")) {
                    (Some(serde_json::Value::String(name)), None) => Ok(Secret::Env(name.clone())),
                    (None, Some(serde_json::Value::String(path))) => Ok(Secret::File(path.into())),
                    _ => Err(D::Error::custom(expected)),
                }
            }
            _ => Err(D::Error::custom(expected)),
        }
    }
}

/// A secret URL, parsed; the error says where it is wrong, never what it is.
pub(super) fn url(secret: &Secret) -> Result<SecretString, ConfigError> {
    let text = secret.read()?;
    match reqwest::Url::parse(text.expose_secret()) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(text),
        _ => {
            Err(ConfigError::new("the URL can't be used").help("write an http:// or https:// URL"))
        }
    }
}
