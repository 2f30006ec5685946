//! The actions that come with stoop. Each implements `Action` and nothing else knows its insides; one from
//! outside is registered the same way.

mod delete;
mod notify;

pub(super) use delete::{Delete, OwnerLocks};
pub(super) use notify::Notify;
