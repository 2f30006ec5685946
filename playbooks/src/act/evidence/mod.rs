//! The evidence store: what captures keep, where nobody overwrites it.
//!
//! Data goes under a key that nothing else has, then a small manifest with every hash is created on the condition that there
//! is none. So what a manifest names is there, a redelivery finds it done, and of two workers one wins. Where something was
//! forbidden the manifest says so, and a later run adds another beside it. What may not live here: what is captured, and
//! anything of Kubernetes.

mod config;
mod desk;
mod folder;
mod kept;
mod link;
mod manifest;
mod problem;
mod read;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use config::{EvidenceConfig, UploadsConfig};
pub use desk::{NotTaken, Ticket};
pub use kept::{Kept, Stored};
pub use manifest::{About, Artefact, Manifest, Missing};
pub use read::Verdict;
pub use store::Evidence;

pub(super) use folder::{Draft, Folder, hex};
pub(super) use link::Slot;
pub(super) use read::Measured;
pub(super) use store::Sealed;
