//! Responses that outlive their worker: one object in the cluster for each playbook and target.
//!
//! It is made before the first change, says who is at it and what may have to be taken back, and ends with what came of
//! it. So a redelivery finds an answer that another worker gave, an expiry is kept whoever dies, and a person can look,
//! revert, approve. Safety never rests on it: that is the preconditions' of every write.
//!
//! `object` is the definition; `filing` is what is written into one before, `ended` after, `changes` what of it there is
//! to undo; `judge` is what a stored one means for a response that is about to run. All these are pure. `shelf` has the
//! calls, `records` and `finish` are what the engine asks. `revert` takes back, `sweep` is what happens by itself, `decide`
//! and `link` are a person's word, `approved` what follows from it. What may not live here: how an action is done or taken
//! back.

mod approved;
mod changes;
mod decide;
mod ended;
mod expiry;
mod filing;
mod finish;
mod judge;
mod link;
mod name;
mod object;
mod recording;
mod records;
mod revert;
mod shelf;
mod sweep;
mod undo;

pub use approved::Approved;
pub use decide::Undecidable;
pub use link::{Links, Question, WeakKey};
pub use object::{
    ActionResult, Change, Claim, Decision, EventSummary, EvidenceRef, Held, Phase, ResponseSpec,
    ResponseStatus, StoredResponse, TargetRef, Undone,
};
pub use records::Records;
pub use revert::{Reverter, TakenBack, Which};
pub use shelf::Shelf;
pub use sweep::{Retention, Swept};
pub use undo::Undo;

pub(super) use expiry::take_expiry;
pub(super) use recording::{Before, Recording};
