//! `capture`: what is kept, what waits for it, and what a crash leaves.

mod binding;
pub(crate) mod jobs;
mod program;
mod rivals;
mod snapshot;
mod words;
mod world;

use std::sync::Arc;

use playbooks::act::{Captures, Evidence, EvidenceConfig, UploadsConfig};
use settings::Secret;
use tempfile::TempDir;

pub(crate) const NAMESPACE: &str = "captures";

pub(crate) fn image() -> String {
    format!("registry.example/stoop-capture@sha256:{}", "ab".repeat(32))
}

/// A folder for evidence, and everything that captures need.
pub(crate) struct Kept {
    pub(crate) folder: TempDir,
    pub(crate) evidence: Evidence,
    pub(crate) captures: Captures,
}

impl Kept {
    /// Whose jobs upload to `url`.
    pub(crate) fn new(url: &str) -> Kept {
        let folder = tempfile::tempdir().expect("a folder");
        let evidence = open(&folder, url);
        let captures = Captures::new(evidence.clone()).with_jobs(NAMESPACE, &image(), "stoop");
        Kept { folder, evidence, captures: captures.expect("a place for jobs") }
    }

    /// Another worker's view of the same store.
    pub(crate) fn another(&self, url: &str) -> Arc<Evidence> {
        Arc::new(open(&self.folder, url))
    }

    /// The same store, with jobs in another namespace.
    pub(crate) fn captures_in(&self, namespace: &str) -> Captures {
        let captures = Captures::new(self.evidence.clone());
        captures.with_jobs(namespace, &image(), "stoop").expect("a place for jobs")
    }

    /// Every file below the folder, by its path there.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let below = path.strip_prefix(self.folder.path()).expect("below");
                        found.push(below.display().to_string());
                    }
                }
            }
        }
        found.sort();
        found
    }

    /// The only capture's folder.
    pub(crate) fn only(&self) -> String {
        let manifests: Vec<_> = self
            .files()
            .into_iter()
            .filter_map(|file| Some(file.strip_suffix("/manifest.json")?.to_owned()))
            .collect();
        let [only] = &manifests[..] else { panic!("{manifests:?}") };
        only.clone()
    }

    /// What the only capture has kept under a name.
    pub(crate) fn read(&self, name: &str) -> String {
        let file = self.files().into_iter().find(|file| file.ends_with(&format!("/{name}")));
        let file = file.unwrap_or_else(|| panic!("no {name} in {:?}", self.files()));
        std::fs::read_to_string(self.folder.path().join(file)).expect("a text")
    }

    pub(crate) fn shared(&self) -> Arc<Evidence> {
        Arc::new(self.evidence.clone())
    }
}

fn open(folder: &TempDir, url: &str) -> Evidence {
    let config = EvidenceConfig {
        url: format!("file://{}", folder.path().display()),
        uploads: Some(UploadsConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            url: url.to_owned(),
            secret: Secret::literal("0123456789abcdef"),
        }),
    };
    Evidence::open(&config).expect("a store")
}
