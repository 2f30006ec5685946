//! The actions that come with stoop. Each implements `Action` and nothing else knows its insides; one from
//! outside is registered the same way.

mod delete;
mod isolate;
mod notify;

pub(super) use delete::{Delete, OwnerLocks};
pub(super) use isolate::Isolate;
pub use isolate::{Isolated, Reverted, revert as revert_isolation};
pub(super) use notify::Notify;
