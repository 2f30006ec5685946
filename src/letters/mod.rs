//! Dead letters as tools see them: those of any subscription behind one trait, and which of them are meant.
//!
//! What a broker does with them is the broker's; what is printed, the command's.

mod filter;
mod open;

pub use filter::{Filter, rule_of};
pub use open::{history, queue};
