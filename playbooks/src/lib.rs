//! Which Falco events are answered, and how.
//!
//! [`decide`] is pure: an event, the playbook format and which playbooks match. It knows no Kubernetes, no
//! broker and no clock. What acts on its decisions lives beside it, never in it.

// What comes from outside is never indexed: a message must not be able to end the worker.
#![warn(clippy::indexing_slicing)]

pub mod act;
pub mod decide;
