//! A secret of the configuration: written there, or named by environment variable or file, and never printed.

use std::{fmt, path::PathBuf};

use serde::Deserialize;

/// A password or a token: a literal, `{env: NAME}` or `{file: PATH}`.
///
/// It is read when it is used, so a file can be rotated under a running worker. Printing shows where it comes from,
/// never what it is.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct Secret(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Literal(String),
    Env(String),
    File(PathBuf),
}

/// As it stands in the configuration.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a secret is a text, {env: NAME} or {file: PATH}")]
enum Written {
    Literal(String),
    Named(Named),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Named {
    Env(String),
    File(PathBuf),
}

impl From<Written> for Secret {
    fn from(written: Written) -> Self {
        Self(match written {
            Written::Literal(text) => Source::Literal(text),
            Written::Named(Named::Env(name)) => Source::Env(name),
            Written::Named(Named::File(path)) => Source::File(path),
        })
    }
}

/// A secret that can't be had. The text never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment has no such variable, or it isn't text.
    #[error("the environment variable {0} of a secret is not set: set it, or name another")]
    Env(String),
    /// The file can't be read as text.
    #[error("the file {path} of a secret can't be read", path = .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// There is nothing in it.
    #[error("the secret {0} is empty")]
    Empty(String),
}

impl Secret {
    /// A secret known already.
    pub fn literal(text: impl Into<String>) -> Self {
        Self(Source::Literal(text.into()))
    }

    /// Reads it. A file's last line break doesn't count.
    ///
    /// # Errors
    /// The variable or file it names can't be read, or it is empty.
    pub fn read(&self) -> Result<String, SecretError> {
        let text = match &self.0 {
            Source::Literal(text) => text.clone(),
            Source::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone()))?,
            Source::File(path) => std::fs::read_to_string(path)
                .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
                .map_err(|e| SecretError::File(path.clone(), e))?,
        };
        if text.is_empty() { Err(SecretError::Empty(self.to_string())) } else { Ok(text) }
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

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_secret_is_a_text_or_names_where_it_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from a file\n").unwrap();
        let read = |value| from_value::<Secret>(value).unwrap().read();
        assert_eq!(read(json!("literal")).unwrap(), "literal");
        assert_eq!(read(json!({"file": file.path()})).unwrap(), "from a file");
        assert_eq!(read(json!({"env": "PATH"})).unwrap(), std::env::var("PATH").unwrap());
    }

    #[test]
    fn what_is_neither_is_refused() {
        for wrong in [json!(1), json!({"enw": "A"}), json!({"env": "A", "file": "b"}), json!(null)]
        {
            let error = from_value::<Secret>(wrong).unwrap_err().to_string();
            assert_eq!(error, "a secret is a text, {env: NAME} or {file: PATH}");
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
        assert!(matches!(Secret::literal("").read(), Err(SecretError::Empty(_))));
    }
}
