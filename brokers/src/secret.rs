//! Secrets in a configuration: written out, or where to find them.

use std::{env, fmt, fs, io, path::PathBuf};

use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A secret as it is configured: `text`, `{env: NAME}` or `{file: PATH}`. Printing it shows where it comes from, never
/// what it is.
#[derive(Clone)]
pub struct Secret(Source);

#[derive(Clone)]
enum Source {
    Literal(SecretString),
    Env(String),
    File(PathBuf),
}

/// A secret can't be had. The text names the variable or the file.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or not Unicode.
    #[error("the environment variable {name} holds no secret: set it, or change `env`")]
    Env {
        /// The variable.
        name: String,
        /// Why it can't be read.
        #[source]
        source: env::VarError,
    },
    /// The file can't be read.
    #[error("the secret file {} can't be read: mount it, or change `file`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why it can't be read.
        #[source]
        source: io::Error,
    },
    /// There is nothing in it; an empty password protects nothing.
    #[error("the secret from {0} is empty")]
    Empty(String),
}

impl Secret {
    /// A secret that is known already.
    pub fn literal(text: impl Into<SecretString>) -> Self {
        Self(Source::Literal(text.into()))
    }

    /// The secret itself. A file's line ending is not part of it.
    ///
    /// # Errors
    /// The variable or file can't be read, or is empty.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        let text = match &self.0 {
            Source::Literal(text) => return Ok(text.clone()),
            Source::Env(name) => {
                env::var(name).map_err(|source| SecretError::Env { name: name.clone(), source })?
            }
            Source::File(path) => fs::read_to_string(path)
                .map_err(|source| SecretError::File { path: path.clone(), source })?,
        };
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(SecretError::Empty(self.to_string())),
            text => Ok(SecretString::from(text)),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Literal(_) => f.write_str("the configuration"),
            Source::Env(name) => write!(f, "the environment variable {name}"),
            Source::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(from {self})")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Form)
    }
}

/// The keys of a secret that is kept elsewhere.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Elsewhere {
    Env(String),
    File(PathBuf),
}

struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret: a text, {env: NAME} or {file: PATH}")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
        match text {
            "" => Err(E::custom("a secret can't be empty")),
            text => Ok(Secret::literal(text)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
        match Elsewhere::deserialize(MapAccessDeserializer::new(map)).map_err(A::Error::custom)? {
            Elsewhere::Env(name) => Ok(Secret(Source::Env(name))),
            Elsewhere::File(path) => Ok(Secret(Source::File(path))),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Secret, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_text_is_the_secret_itself_and_is_never_printed() {
        let secret = read(json!("hunter2")).unwrap();
        assert_eq!(secret.resolve().unwrap().expose_secret(), "hunter2");
        assert!(!format!("{secret:?} {secret}").contains("hunter2"));
    }

    #[test]
    fn a_files_line_ending_is_not_part_of_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, " spaced \r\n").unwrap();
        let secret = read(json!({"file": path})).unwrap();
        assert_eq!(secret.resolve().unwrap().expose_secret(), " spaced ");
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = read(json!({"env": "STOOP_TEST_NO_SUCH_VARIABLE"})).unwrap();
        let error = missing.resolve().unwrap_err().to_string();
        assert!(error.contains("STOOP_TEST_NO_SUCH_VARIABLE"), "{error}");
        let missing = read(json!({"file": "/no/such/file"})).unwrap();
        let error = missing.resolve().unwrap_err().to_string();
        assert!(error.contains("/no/such/file"), "{error}");
    }

    #[test]
    fn an_empty_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "\n").unwrap();
        assert!(matches!(
            read(json!({"file": path})).unwrap().resolve(),
            Err(SecretError::Empty(_))
        ));
        assert!(read(json!("")).is_err());
    }

    #[test]
    fn other_shapes_are_refused() {
        for value in [json!(7), json!({}), json!({"vault": "x"}), json!({"env": "A", "file": "b"})]
        {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }
}
