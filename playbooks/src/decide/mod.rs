//! The deciding half: an event, the playbook format, and which playbooks want which events.
//!
//! Pure: no Kubernetes, no broker, no clock, and no I/O but reading a playbook file's text.

mod event;
mod format;
mod json;
mod matching;
pub mod yaml;

pub use event::{
    Claim, ClaimSource, Event, EventError, EventErrorKind, EventId, FieldValue, Fields, Priority,
    UnknownPriority, is_label, is_subdomain,
};
pub use format::{
    Approval, Budget, BudgetScope, Limits, Mode, OnFailure, Playbook, PlaybookError,
    PlaybookErrors, Priorities, Reach, Source, Step, Texts, read_path, read_paths, read_text,
    schema,
};
pub use matching::{Candidate, Check, Facts, Holds, Match, Matcher, Owner};

pub(crate) use event::OWN_SOURCE;
use event::normal_source;
