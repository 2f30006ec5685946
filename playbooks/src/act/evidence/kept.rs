//! What is kept of one capture: its first manifest, and one more for each later run that could read what was forbidden before.
//!
//! A manifest is never changed, so that what comes later stands beside it. The last one says what is still forbidden.

use super::manifest::{Artefact, Manifest, Missing};

/// How many are named in an outcome; all are in the manifests.
const NAMED: usize = 4;

/// A manifest as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What it says.
    pub manifest: Manifest,
    /// Where it is.
    pub url: String,
    /// Of its bytes, in hex.
    pub sha256: String,
}

/// The manifests of one capture, in the order in which they were created: one at the least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    first: Stored,
    more: Vec<Stored>,
}

impl Kept {
    pub(in crate::act) fn new(first: Stored) -> Kept {
        Kept { first, more: Vec::new() }
    }

    pub(in crate::act) fn add(&mut self, next: Stored) {
        self.more.push(next);
    }

    /// The manifests, in the order in which they were created.
    pub fn all(&self) -> impl Iterator<Item = &Stored> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// How many there are.
    pub(in crate::act) fn count(&self) -> usize {
        1 + self.more.len()
    }

    /// What the worker may still not read, and why. Where there is anything, the capture is partial.
    pub fn forbidden(&self) -> &[Missing] {
        &self.more.last().unwrap_or(&self.first).manifest.forbidden
    }

    /// What could not be had for other reasons.
    pub fn missing(&self) -> impl Iterator<Item = &Missing> {
        self.all().flat_map(|stored| &stored.manifest.missing)
    }

    /// Everything that is kept.
    pub fn artefacts(&self) -> impl Iterator<Item = &Artefact> {
        self.all().flat_map(|stored| &stored.manifest.artefacts)
    }

    /// True where a file of that name is kept, or is known to be out of reach for anybody.
    pub(in crate::act) fn settles(&self, name: &str) -> bool {
        self.artefacts().any(|artefact| artefact.name() == name)
            || self.missing().any(|missing| missing.what == name)
    }

    /// What an outcome has to say beside that something is kept: nothing where it is whole.
    pub(in crate::act) fn but(&self) -> String {
        let forbidden = some(self.forbidden().iter().map(|missing| missing.what.as_str()));
        let missing = some(self.missing().map(|missing| missing.what.as_str()));
        let cut =
            some(self.artefacts().filter(|artefact| artefact.cut.is_some()).map(Artefact::name));
        let said = [
            forbidden.map(|names| format!("; partial, forbidden to the worker: {names}")),
            missing.map(|names| format!("; without {names}")),
            cut.map(|names| format!("; cut: {names}")),
        ];
        said.into_iter().flatten().collect()
    }
}

/// A few of the names, and how many more there are.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<_> = names.collect();
    let named = names.get(..NAMED.min(names.len()))?.join(", ");
    match names.len().saturating_sub(NAMED) {
        0 if names.is_empty() => None,
        0 => Some(named),
        more => Some(format!("{named} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_names_are_counted() {
        let names = ["a", "b", "c", "d", "e", "f"];
        assert_eq!(some(names[..0].iter().copied()), None);
        assert_eq!(some(names[..4].iter().copied()).as_deref(), Some("a, b, c, d"));
        assert_eq!(some(names.iter().copied()).as_deref(), Some("a, b, c, d and 2 more"));
    }
}
