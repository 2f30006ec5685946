//! Keeping, sealing and checking: the few things that are ever done with the store.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::{
    Error, GetResult, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, path::Path,
};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    folder::{Draft, Folder, hex},
    link::Link,
    manifest::{Artefact, Manifest},
    problem::failure,
};
use crate::act::outcome::Failure;

/// More than any manifest has, and little enough to be read at once.
const MANIFEST_BYTES: u64 = 4 << 20;

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
    New,
    /// Somebody else, before.
    Before(Box<Manifest>),
}

/// What a check of one capture has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the manifest says.
    pub manifest: Manifest,
    /// What is not as the manifest says, a line each; empty where all is.
    pub faults: Vec<String>,
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

    /// The manifest, where the capture is whole.
    pub(in crate::act) async fn sealed(
        &self,
        folder: &Folder,
        until: Instant,
    ) -> Result<Option<Manifest>, Failure> {
        let path = folder.manifest(&self.root);
        let bytes = match timely(until, self.read(&path, MANIFEST_BYTES)).await? {
            Ok(read) => read,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failure("the manifest can't be read", &error)),
        };
        let Some(bytes) = bytes else {
            return Err(Failure::permanent(format!("{path} is too large for a manifest")));
        };
        let manifest = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::permanent(format!("{path} is no manifest of a capture: {error}"))
        })?;
        Ok(Some(manifest))
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
                let stored = self.hash(&path, until).await?;
                if stored != (size, sha256.clone()) {
                    return Err(Failure::transient(format!("{path} is not what was put there")));
                }
            }
            Err(error) => return Err(failure(&format!("{name} can't be stored"), &error)),
        }
        Ok(Artefact { key, size, sha256, cut: None })
    }

    /// Creates the manifest where there is none: from then on the capture is whole, and stays as it is.
    pub(in crate::act) async fn seal(
        &self,
        folder: &Folder,
        manifest: &Manifest,
        until: Instant,
    ) -> Result<Sealed, Failure> {
        let text = serde_json::to_vec_pretty(manifest).map_err(|error| {
            Failure::permanent(format!("the manifest can't be written: {error}"))
        })?;
        let path = folder.manifest(&self.root);
        let put = self.store.put_opts(&path, PutPayload::from(text), create());
        match timely(until, put).await? {
            Ok(_) => Ok(Sealed::New),
            Err(Error::AlreadyExists { .. }) => match self.sealed(folder, until).await? {
                Some(theirs) if theirs == *manifest => Ok(Sealed::New),
                Some(theirs) => Ok(Sealed::Before(Box::new(theirs))),
                // S3 says so of two creations at once, too.
                None => Err(Failure::transient("the manifest is being created by another")),
            },
            Err(error) => Err(failure("the manifest can't be stored", &error)),
        }
    }

    /// Size and SHA-256 of what is really stored below a folder; `None` where there is nothing.
    pub(in crate::act) async fn measure(
        &self,
        folder: &Folder,
        key: &str,
        until: Instant,
    ) -> Result<Option<(u64, String)>, Failure> {
        let path = folder.below(&self.root, key);
        match timely(until, self.store.head(&path)).await? {
            Ok(_) => self.hash(&path, until).await.map(Some),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failure("evidence can't be read", &error)),
        }
    }

    /// Reads a capture again, every byte of it, and compares it with its manifest. `None` where there is no such capture.
    ///
    /// `folder` is what outcomes name behind the store's URL, such as `2026-11-21/cap-…`.
    ///
    /// # Errors
    ///
    /// Where the store can't be asked.
    pub async fn verify(&self, folder: &str, until: Instant) -> Result<Option<Verdict>, Failure> {
        let folder = Folder::named(folder);
        let Some(manifest) = self.sealed(&folder, until).await? else { return Ok(None) };
        let mut faults = Vec::new();
        for Artefact { key, size, sha256, .. } in &manifest.artefacts {
            match self.measure(&folder, key, until).await? {
                None => faults.push(format!("{key} is gone")),
                Some((found, _)) if found != *size => {
                    faults.push(format!("{key} has {found} bytes, the manifest says {size}"));
                }
                Some((_, found)) if found != *sha256 => {
                    faults.push(format!("{key} has another hash: {found}"));
                }
                Some(_) => {}
            }
        }
        Ok(Some(Verdict { manifest, faults }))
    }

    /// `None` where it is larger than `most`.
    async fn read(&self, path: &Path, most: u64) -> Result<Option<Bytes>, Error> {
        let found = self.store.get(path).await?;
        if found.meta.size > most {
            return Ok(None);
        }
        found.bytes().await.map(Some)
    }

    async fn hash(&self, path: &Path, until: Instant) -> Result<(u64, String), Failure> {
        let hashed = async { digest(self.store.get(path).await?).await };
        timely(until, hashed).await?.map_err(|error| failure("evidence can't be read", &error))
    }
}

async fn digest(found: GetResult) -> Result<(u64, String), Error> {
    let (mut size, mut hash) = (0, Sha256::new());
    let mut chunks = found.into_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        hash.update(&chunk);
    }
    Ok((size, hex(&hash.finalize())))
}

/// Never over something that is there.
fn create() -> PutOptions {
    PutOptions::from(PutMode::Create)
}

async fn timely<T>(until: Instant, asked: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout_at(until, asked)
        .await
        .map_err(|_| Failure::transient("the evidence store gave no answer in time"))
}
