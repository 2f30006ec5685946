//! History as a rehearsal: what a worker would have done about the events that a broker still holds, or a file.
//!
//! Messages are read and matched by the worker's own code ([`crate::worker`]). What needs a look at the live cluster can't
//! be rehearsed, and is said; nothing is changed and no position moves.
//!
//! ```text
//! History ─▶ Rehearsal ── judge ─▶ cases ─▶ answers (bursts, budgets, over time) ─▶ Report ─▶ text | JSON
//!               └ rules seen ─▶ advice (who never matched, and why)
//! ```

mod advice;
mod answers;
mod file;
mod judge;
mod rehearsal;
mod report;
mod seen;
mod text;

pub use file::Lines;
pub use rehearsal::Rehearsal;
pub use report::Report;
