//! Configuration of actions and notifiers: read strictly, and refused with place and fix.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::decide::yaml::{Located, Path, Segment};

/// A configuration that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// Where, below the configuration that was given.
    pub path: Path,
    /// What is wrong.
    pub message: String,
    /// How to mend it; can be empty.
    pub help: String,
}

impl ConfigError {
    /// An error about the configuration as a whole.
    pub fn new(message: impl Into<String>) -> ConfigError {
        ConfigError { path: Path::root(), message: message.into(), help: String::new() }
    }

    /// About the value at `key`.
    #[must_use]
    pub fn at(mut self, key: &str) -> ConfigError {
        self.path = join(&Path::root().key(key), &self.path);
        self
    }

    /// With the fix.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> ConfigError {
        self.help = help.into();
        self
    }
}

/// Reads a configuration; unknown keys and wrong types are refused, with a suggestion.
///
/// # Errors
///
/// The first fault.
pub fn read<T: DeserializeOwned>(config: &Value) -> Result<T, ConfigError> {
    Located::from_value("", config.clone()).deserialize().map_err(|error| ConfigError {
        path: error.path().clone(),
        message: error.message().to_owned(),
        help: error.help().to_owned(),
    })
}

/// `below`, seen from where `above` begins.
pub(super) fn join(above: &Path, below: &Path) -> Path {
    below.segments().iter().fold(above.clone(), |path, segment| match segment {
        Segment::Key(key) => path.key(key),
        Segment::Index(index) => path.index(*index),
    })
}
