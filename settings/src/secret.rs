//! Secrets: written in the configuration, or named by environment variable or file, and never printed.

use std::{borrow::Cow, env::VarError, fmt, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// A password, a token, or a URL that is one: a text, `{env: NAME}` or `{file: PATH}`.
///
/// It is read when it is used. Printing shows where it comes from, never what it is.
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Literal(SecretString),
    Env(String),
    File(PathBuf),
}

/// A secret that can't be had. The text never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment has no such variable, or it isn't text.
    #[error("the environment variable {name} is not set: set it, or name another secret")]
    Env {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: VarError,
    },
    /// The file can't be read as text.
    #[error("{path} can't be read: mount it, or name another secret", path = path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("the secret {0} is empty")]
    Empty(String),
}

impl Secret {
    /// A secret that is known already.
    pub fn literal(text: impl Into<SecretString>) -> Self {
        Self(Source::Literal(text.into()))
    }

    /// Reads it. The line ending of a file is no part of it.
    ///
    /// # Errors
    /// The variable or file it names can't be read, or is empty.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let text = match &self.0 {
            Source::Literal(secret) => return Ok(secret.clone()),
            Source::Env(name) => std::env::var(name)
                .map_err(|source| SecretError::Env { name: name.clone(), source })?,
            Source::File(path) => std::fs::read_to_string(path)
                .map_err(|source| SecretError::File { path: path.clone(), source })?,
        };
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(SecretError::Empty(self.to_string())),
            text => Ok(text.to_owned().into()),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Literal(_) => f.write_str("(hidden)"),
            Source::Env(name) => write!(f, "from the environment variable {name}"),
            Source::File(path) => write!(f, "from the file {}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, since serde's own errors would show the value.
        let source = match Value::deserialize(deserializer)? {
            Value::String(text) if !text.is_empty() => Some(Source::Literal(text.into())),
            Value::Object(map) if map.len() == 1 => match (map.get("env"), map.get("file")) {
                (Some(Value::String(name)), None) => Some(Source::Env(name.clone())),
                (None, Some(Value::String(path))) => Some(Source::File(path.into())),
                _ => None,
            },
            _ => None,
        };
        source.map(Self).ok_or_else(|| {
            D::Error::custom("expected a secret: a text, `{env: NAME}` or `{file: PATH}`")
        })
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let named = |key: &str| {
            json_schema!({
                "type": "object", "properties": {key: {"type": "string"}},
                "required": [key], "additionalProperties": false,
            })
        };
        json_schema!({ "anyOf": [{"type": "string", "minLength": 1}, named("env"), named("file")] })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_secret_is_a_text_or_names_where_it_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " from a file\r\n").unwrap();
        let read = |value| from_value::<Secret>(value).unwrap().read().unwrap();
        assert_eq!(read(json!("literal")).expose_secret(), "literal");
        assert_eq!(read(json!({"file": file.path()})).expose_secret(), " from a file");
        let path = std::env::var("PATH").unwrap();
        assert_eq!(read(json!({"env": "PATH"})).expose_secret(), path);
    }

    #[test]
    fn what_is_none_is_refused_without_being_shown() {
        let wrong =
            [json!(1234), json!({"env": "A", "file": "b"}), json!({"enw": "hunter2"}), json!("")];
        for wrong in wrong {
            let error = from_value::<Secret>(wrong).unwrap_err().to_string();
            assert_eq!(error, "expected a secret: a text, `{env: NAME}` or `{file: PATH}`");
        }
    }

    #[test]
    fn it_is_never_printed() {
        let secret = Secret::literal("hunter2");
        assert!(!format!("{secret} {secret:?}").contains("hunter2"));
    }

    #[test]
    fn a_missing_or_empty_one_says_which() {
        let missing = from_value::<Secret>(json!({"env": "STOOP_NO_SUCH_VARIABLE"})).unwrap();
        assert!(missing.read().unwrap_err().to_string().contains("STOOP_NO_SUCH_VARIABLE"));
        let file = tempfile::NamedTempFile::new().unwrap();
        let empty = from_value::<Secret>(json!({"file": file.path()})).unwrap();
        assert!(matches!(empty.read(), Err(SecretError::Empty(_))));
    }
}
