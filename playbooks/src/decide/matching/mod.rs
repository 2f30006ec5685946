//! Which playbooks an event, and the object it was verified to be about, are for.
//!
//! [`Match`] is one playbook's condition; [`Matcher`] asks many at once, and before an event is even decoded.

mod anchors;
mod explain;
mod facts;
mod interest;
mod matcher;
mod object;
mod pattern;
mod peek;
mod read;
mod selector;
mod when;

pub use explain::{Check, Holds};
pub use facts::{Facts, Owner};
pub use matcher::{Candidate, Matcher};
pub use selector::Match;

pub(super) use read::read;
