//! The deciding half: an event, the playbook format, and which playbooks want which events.
//!
//! Pure: no Kubernetes, no broker, no clock, and no I/O but reading a playbook file's text.

mod event;
pub mod yaml;

pub use event::{
    Claim, ClaimSource, Event, EventError, EventErrorKind, EventId, FieldValue, Fields, Priority, UnknownPriority,
};
