//! YAML that remembers where everything was written.
//!
//! Text becomes a [`serde_json::Value`] beside a map from paths to places, so that an error found at any
//! later time (an unknown key, a bad glob, an action's configuration) still shows file, line and column.
//! It knows nothing of playbooks.

mod error;
mod hint;
mod path;
mod read;
mod strict;

pub use error::{Error, Place};
pub use path::{Path, Segment};
pub use read::{parse, parse_all};

pub(crate) use hint::closest;

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use strict::Strict;

/// One document: its value, and where each part of it was written.
#[derive(Debug, Clone)]
pub struct Located {
    name: Arc<str>,
    /// The document.
    pub value: Value,
    spots: BTreeMap<Path, Spot>,
    lines: Arc<[Box<str>]>,
}

/// Where a key and its value begin; the root and list items have no key.
#[derive(Debug, Clone, Copy)]
struct Spot {
    key: Option<Place>,
    value: Place,
}

impl Located {
    /// A value that was not read from text, such as a Kubernetes object: its errors show paths alone.
    pub fn from_value(name: &str, value: Value) -> Located {
        Located { name: name.into(), value, spots: BTreeMap::new(), lines: Arc::default() }
    }

    /// The file's name, or whatever else names where the document came from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads the whole document as a `T`.
    ///
    /// # Errors
    ///
    /// The first fault, at its place, with the fix where it is known.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.deserialize_at(&Path::root())
    }

    /// Reads the part at `path` as a `T`; nothing there reads as `null`.
    ///
    /// # Errors
    ///
    /// As [`Located::deserialize`].
    pub fn deserialize_at<T: DeserializeOwned>(&self, path: &Path) -> Result<T, Error> {
        let value = self.get(path).unwrap_or(&Value::Null);
        serde_path_to_error::deserialize(Strict(value)).map_err(|error| {
            let path = path.join(error.path());
            let (message, help) = hint::explain(&error.inner().to_string());
            match hint::is_about_the_key(&message) {
                true => self.error_at_key(&path, message, help),
                false => self.error_at(&path, message, help),
            }
        })
    }

    /// The value at `path`.
    pub fn get(&self, path: &Path) -> Option<&Value> {
        path.segments().iter().try_fold(&self.value, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        })
    }

    /// An error about the value at `path`, or about the closest thing around it that was written.
    pub fn error_at(
        &self,
        path: &Path,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Error {
        self.error(path, self.spot(path).map(|spot| spot.value), message.into(), help.into())
    }

    /// An error about the key that `path` ends with.
    pub fn error_at_key(
        &self,
        path: &Path,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Error {
        let place = self.spot(path).map(|spot| spot.key.unwrap_or(spot.value));
        self.error(path, place, message.into(), help.into())
    }

    fn spot(&self, path: &Path) -> Option<Spot> {
        path.ancestors().find_map(|path| self.spots.get(&path).copied())
    }

    fn error(&self, path: &Path, place: Option<Place>, message: String, help: String) -> Error {
        let line = place
            .and_then(|place| self.lines.get(place.line.checked_sub(1)?))
            .map(|line| line.to_string());
        Error::new(&self.name, place, path.clone(), message, help, line)
    }
}
/// A value as YAML, for people and for kubectl.
///
/// # Errors
/// It holds what YAML can't say.
pub fn print(value: &Value) -> Result<String, impl std::error::Error + use<>> {
    serde_saphyr::to_string(value)
}
