//! Playbooks that are objects of the cluster: their definitions, how they are seen, and what is told of each.
//!
//! `kind` and `object` say which there are and what one says; it is read by the same reader as a file. `definition` is what
//! `stoop crds` prints, made by `structural` from the schema of the files. `status` is what a worker tells of one, `tell`
//! writes it, `watch` and `list` see them, `listed` and `gathered` hold no more of them meanwhile than `room` has. What may not live here: which of them are in force, which is the worker's to decide.

mod definition;
mod gathered;
mod kind;
mod list;
mod listed;
mod object;
mod room;
mod status;
mod structural;
mod tell;
mod watch;

pub use kind::{Key, PlaybookKind};
pub use list::list_playbooks;
pub use listed::Listed;
pub use object::PlaybookObject;
pub use room::{NoRoom, Place, places};
pub use status::{Condition, ConditionStatus, PlaybookStatus};
pub use tell::tell_status;
pub use watch::{Seen, watch_playbooks};
