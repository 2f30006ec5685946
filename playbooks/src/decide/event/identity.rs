//! The identity of an event: equal for every copy of it, different for different incidents.

use super::{Event, EventError};
use sha2::{Digest, Sha256};
use std::fmt;

/// SHA-256 over what makes an event this event. [`Display`](fmt::Display) writes it in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId([u8; 32]);

impl EventId {
    /// The hash itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

impl Event<'_> {
    /// The event's identity within `cluster`.
    ///
    /// Falcosidekick's `uuid` changes when an event is sent again, and `output` is the same for different
    /// incidents, so neither is part of it.
    ///
    /// # Errors
    ///
    /// As [`Event::fields`].
    pub fn id(&self, cluster: Option<&str>) -> Result<EventId, EventError> {
        let fields = self.fields()?;
        let time = self.time.as_nanosecond().to_be_bytes();
        let mut hash = Sha256::new();
        hash.update(b"stoop event 1");
        part(&mut hash, cluster.map(str::as_bytes));
        part(&mut hash, Some(self.source.as_bytes()));
        part(&mut hash, self.hostname.as_deref().map(str::as_bytes));
        part(&mut hash, Some(&time));
        part(&mut hash, Some(self.rule.as_bytes()));
        for key in ["container.id", "k8s.pod.uid", "ka.auditid"] {
            part(&mut hash, fields.text(key).as_deref().map(str::as_bytes));
        }
        Ok(EventId(hash.finalize().into()))
    }
}

/// Adds one part, its presence and its length first, so that no two lists of parts hash alike.
fn part(hash: &mut Sha256, bytes: Option<&[u8]>) {
    match bytes {
        None => hash.update([0]),
        Some(bytes) => {
            hash.update([1]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
    }
}
