//! The evidence store: what captures keep, where nobody overwrites it.
//!
//! Data goes under a key that nothing else has, then a small manifest with every hash is created on the condition that there
//! is none. So a capture is whole or it is not there, a redelivery finds it done, and of two workers one wins. What may not
//! live here: what is captured, and anything of Kubernetes.

mod config;
mod desk;
mod folder;
mod link;
mod manifest;
mod problem;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use config::{EvidenceConfig, UploadsConfig};
pub use desk::{NotTaken, Ticket};
pub use manifest::{About, Artefact, Manifest, Missing};
pub use store::{Evidence, Verdict};

pub(super) use folder::{Draft, Folder, hex};
pub(super) use link::Slot;
pub(super) use store::Sealed;
