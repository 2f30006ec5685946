//! Keeping and sealing: the few things that are ever written.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{Error, ObjectStore, PutMode, PutOptions, PutPayload, path::Path};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    folder::{Draft, Folder, hex, manifest},
    kept::Stored,
    link::Link,
    manifest::{Artefact, Manifest},
    problem::{failure, timely},
    read::{MOST_MANIFESTS, Measured},
};
use crate::act::outcome::Failure;

/// Where captures are kept.
#[derive(Clone)]
pub struct Evidence {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) root: Path,
    /// How the store is called in outcomes.
    place: String,
    pub(super) link: Link,
}

/// Who has sealed a capture.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::act) enum Sealed {
    /// This call, just now.
    New(Stored),
    /// Somebody else, before.
    Before(Stored),
}

impl Evidence {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        root: Path,
        place: String,
        link: Link,
    ) -> Evidence {
        Evidence { store, root, place, link }
    }

    /// Over a store that the caller has made, called `place` in outcomes. Capture jobs can't upload to it.
    pub fn over(store: Arc<dyn ObjectStore>, place: &str) -> Evidence {
        Evidence::new(store, Path::default(), place.to_owned(), Link::None)
    }

    /// True where capture jobs have a way to bring what they captured.
    pub(in crate::act) fn takes_uploads(&self) -> bool {
        !matches!(self.link, Link::None)
    }

    /// How a capture's folder is called, for people.
    pub(in crate::act) fn name(&self, folder: &Folder) -> String {
        format!("{}/{folder}", self.place)
    }

    pub(super) fn manifest_url(&self, folder: &Folder, before: usize) -> String {
        format!("{}/{folder}/{}", self.place, manifest(before))
    }

    /// Stores an artefact under a key of this try's own.
    pub(in crate::act) async fn keep(
        &self,
        draft: &Draft,
        name: &str,
        data: Bytes,
        until: Instant,
    ) -> Result<Artefact, Failure> {
        let key = draft.key(name);
        let path = draft.folder.below(&self.root, &key);
        let (size, sha256) = (data.len() as u64, hex(&Sha256::digest(&data)));
        let put = self.store.put_opts(&path, PutPayload::from_bytes(data), create());
        match timely(until, put).await? {
            Ok(_) => {}
            // Nobody else has the key: an earlier answer of the same call was lost.
            Err(Error::AlreadyExists { .. }) => {
                let read = Measured::Read { size, sha256: sha256.clone() };
                if self.measure_at(&path, size, until).await? != read {
                    return Err(Failure::transient(format!("{path} is not what was put there")));
                }
            }
            Err(error) => return Err(failure(&format!("{name} can't be stored"), &error)),
        }
        Ok(Artefact { key, size, sha256, cut: None })
    }

    /// Creates the manifest where there is none: from then on it stays as it is, and what it names is there. `before` is how
    /// many others stand before it.
    pub(in crate::act) async fn seal(
        &self,
        folder: &Folder,
        before: usize,
        manifest: &Manifest,
        until: Instant,
    ) -> Result<Sealed, Failure> {
        let text = serde_json::to_vec_pretty(manifest).map_err(|error| {
            Failure::permanent(format!("the manifest can't be written: {error}"))
        })?;
        if before >= MOST_MANIFESTS {
            return Err(Failure::permanent(format!("{folder} has manifests enough")));
        }
        let ours = Stored {
            manifest: manifest.clone(),
            url: self.manifest_url(folder, before),
            sha256: hex(&Sha256::digest(&text)),
        };
        let path = folder.manifest(&self.root, before);
        let put = self.store.put_opts(&path, PutPayload::from(text), create());
        match timely(until, put).await? {
            Ok(_) => Ok(Sealed::New(ours)),
            Err(Error::AlreadyExists { .. }) => match self.stored(folder, before, until).await? {
                Some(theirs) if theirs == ours => Ok(Sealed::New(ours)),
                Some(theirs) => Ok(Sealed::Before(theirs)),
                // S3 says so of two creations at once, too.
                None => Err(Failure::transient("the manifest is being created by another")),
            },
            Err(error) => Err(failure("the manifest can't be stored", &error)),
        }
    }
}

/// Never over something that is there.
fn create() -> PutOptions {
    PutOptions::from(PutMode::Create)
}
