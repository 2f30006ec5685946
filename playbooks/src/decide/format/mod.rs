//! The playbook format: from text or a Kubernetes object to a [`Playbook`] whose parts are all understood.
//!
//! `document` is the shape as it is written, `playbook` what it means. An action's configuration is kept as
//! it is: only the action knows it, and reports faults through [`Playbook::error_at`].

mod actions;
mod document;
mod limits;
mod playbook;
mod priorities;
mod read;
mod values;

pub use document::schema;
pub use limits::{Budget, BudgetScope, Limits};
pub use playbook::{
    Approval, Mode, OnFailure, Playbook, PlaybookError, PlaybookErrors, Reach, Source, Step,
};
pub use priorities::Priorities;
pub use read::{Texts, read_path, read_paths, read_text};

pub(super) use document::MatchDoc;
pub(super) use values::{OneOrMany, Scalar};
