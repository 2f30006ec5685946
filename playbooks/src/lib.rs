//! Which Falco events are answered, and how.
//!
//! [`decide`] is pure: an event, the playbook format and which playbooks match. It knows no Kubernetes, no
//! broker and no clock. What acts on its decisions lives beside it, never in it.

pub mod act;
pub mod decide;
