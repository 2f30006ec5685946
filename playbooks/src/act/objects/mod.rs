//! Playbooks that are objects of the cluster: their definitions, how they are seen, and what is told of each.
//!
//! `kind` and `object` say which there are and what one says; it is read by the same reader as a file. `definition` is what
//! `stoop crds` prints, made by `structural` from the schema of the files. `status` is what a worker tells of one, `tell`
//! writes it, `watch` and `list` see them. What may not live here: which of them are in force, which is the worker's to decide.

mod definition;
mod kind;
mod list;
mod object;
mod status;
mod structural;
mod tell;
mod watch;

pub use kind::{Key, PlaybookKind};
pub use list::list_playbooks;
pub use object::PlaybookObject;
pub use status::{Condition, ConditionStatus, PlaybookStatus};
pub use tell::tell_status;
pub use watch::{Seen, watch_playbooks};
