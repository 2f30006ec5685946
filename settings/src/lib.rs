//! Values as configurations and playbooks write them: lengths of time, sizes, secrets.
//!
//! What lives here: their text, their JSON Schema, and errors that say how to write them. What may not: any key, or what a
//! value is for.

mod secret;
mod size;
mod span;

pub use secret::{Secret, SecretError};
pub use size::ByteSize;
pub use span::Span;
