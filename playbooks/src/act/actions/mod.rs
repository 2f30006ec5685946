//! The actions that come with stoop. Each implements `Action` and nothing else knows its insides; one from
//! outside is registered the same way.

mod call;
mod capture;
mod cordon;
mod delete;
mod drain;
mod forward;
mod hold;
mod isolate;
mod keys;
mod label;
mod names;
mod node;
mod notify;
mod revert;
mod run;
mod scale;
mod taint;

pub(super) use call::Call;
pub use call::{FunctionConfig, Functions};
pub(super) use capture::Capture;
pub use capture::Captures;
pub(super) use cordon::Cordon;
pub(super) use delete::{Delete, OwnerLocks};
pub(super) use drain::Drain;
pub(super) use forward::Forward;
pub use hold::Holder;
pub(super) use isolate::{CLUSTER_NETWORK_POLICY, Isolate, Network};
pub use isolate::{Isolated, Reverted, revert as revert_isolation};
pub(super) use keys::{KEYS, Keys};
pub(super) use label::{Label, What};
pub(super) use node::Turn;
pub(super) use notify::Notify;
pub use revert::revert;
pub(super) use run::Run;
pub(super) use scale::Scale;
pub(super) use taint::TaintNode;
