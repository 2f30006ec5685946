//! From another tool's rules to playbooks: what `stoop import` does, without files and without a terminal.
//!
//! Texts and flags come in, [`Draft`]s go out. What has no counterpart is never left out in silence: it is a
//! [`Remark`] at its place. A condition that can't be kept takes its rule along, for a playbook that answers more than
//! its rule did is worse than none. Nothing here knows a cluster, and nothing is read or written but what is handed in.

mod draft;
mod kre;
mod names;
mod needs;
mod remark;
mod render;
mod source;
mod talon;

pub use draft::Draft;
pub use kre::{KreOptions, KreVariable, import as import_kre};
pub use needs::Needs;
pub use remark::{Kind, Remark};
pub use talon::import as import_talon;

/// What came of an import.
#[derive(Debug, Default)]
pub struct Imported {
    /// In the order in which they answer an event. One without a step stands for a rule that can't be kept.
    pub drafts: Vec<Draft>,
    /// What is about no rule alone.
    pub remarks: Vec<Remark>,
    /// What the playbooks want of `stoop.yaml`.
    pub needs: Needs,
}

impl Imported {
    /// Everything that was remarked, in the order of the source.
    pub fn remarks(&self) -> impl Iterator<Item = &Remark> {
        self.remarks.iter().chain(self.drafts.iter().flat_map(Draft::remarks))
    }

    /// True where something could not be carried over.
    pub fn lost_something(&self) -> bool {
        self.remarks().any(|remark| remark.kind() == Kind::Lost)
    }
}
