//! Where events can be sent on to. Which broker is behind a name is not known here: whoever builds the worker fills it in.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::{config::ConfigError, outcome::Failure};

/// A topic or subject, by whatever broker.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Publishes, and returns once the message is durable; it may be the second copy of one that is.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Unavailable`](super::FailureKind::Unavailable) where the destination is away: the dependency's name
    /// is filled in by the caller.
    async fn publish(&self, outgoing: &Outgoing<'_>) -> Result<(), Failure>;
}

/// A message on its way out.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The same for every copy of it.
    pub id: &'a str,
    /// The body.
    pub payload: &'a [u8],
    /// Names and values, in which no byte is an event's.
    pub headers: &'a [(&'static str, String)],
}

/// All destinations by name.
#[derive(Default)]
pub struct Destinations(BTreeMap<String, Arc<dyn Destination>>);

impl Destinations {
    /// None.
    pub fn new() -> Destinations {
        Destinations::default()
    }

    /// Adds one, or puts another in the place of one.
    #[must_use]
    pub fn with(mut self, name: &str, destination: Arc<dyn Destination>) -> Destinations {
        self.0.insert(name.to_owned(), destination);
        self
    }

    /// The destination of this name.
    pub(super) fn get(&self, name: &str) -> Result<Arc<dyn Destination>, ConfigError> {
        self.0.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.0.keys().map(String::as_str).collect();
            let help = match known.as_slice() {
                [] => "add it to `destinations` of the configuration".to_owned(),
                known => format!("configured are: {}", known.join(", ")),
            };
            ConfigError::new(format!("there is no destination `{name}`")).help(help)
        })
    }
}
