//! Reading what is kept: never more of an object than it can be expected to have.

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::{Error, GetResult, ObjectStoreExt as _, path::Path};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    folder::{Folder, hex},
    kept::{Kept, Stored},
    manifest::Artefact,
    problem::{failure, timely},
    store::Evidence,
};
use crate::act::outcome::Failure;

/// More than any manifest has, and little enough to be read at once.
const MANIFEST_BYTES: u64 = 4 << 20;

/// More than a capture can come to: each one but the first has something that was forbidden before.
pub(super) const MOST_MANIFESTS: usize = 32;

/// What is really stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::act) enum Measured {
    /// Nothing.
    Gone,
    /// So many bytes, more than were expected; they are not read.
    Larger(u64),
    /// All of it was read.
    Read { size: u64, sha256: String },
}

/// What a check of one capture has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What its manifests say.
    pub kept: Kept,
    /// What is not as they say, a line each; empty where all is.
    pub faults: Vec<String>,
}

impl Evidence {
    /// What is kept of a capture; `None` where nothing is sealed.
    pub(in crate::act) async fn sealed(
        &self,
        folder: &Folder,
        until: Instant,
    ) -> Result<Option<Kept>, Failure> {
        let Some(first) = self.stored(folder, 0, until).await? else { return Ok(None) };
        let mut kept = Kept::new(first);
        while !kept.forbidden().is_empty() && kept.count() < MOST_MANIFESTS {
            let Some(next) = self.stored(folder, kept.count(), until).await? else { break };
            kept.add(next);
        }
        Ok(Some(kept))
    }

    /// The manifest that `before` others stand before.
    pub(super) async fn stored(
        &self,
        folder: &Folder,
        before: usize,
        until: Instant,
    ) -> Result<Option<Stored>, Failure> {
        let path = folder.manifest(&self.root, before);
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
        let sha256 = hex(&Sha256::digest(&bytes));
        Ok(Some(Stored { manifest, url: self.manifest_url(folder, before), sha256 }))
    }

    /// Size and SHA-256 of what is really stored below a folder. What has more than `most` bytes is not read.
    pub(in crate::act) async fn measure(
        &self,
        folder: &Folder,
        key: &str,
        most: u64,
        until: Instant,
    ) -> Result<Measured, Failure> {
        self.measure_at(&folder.below(&self.root, key), most, until).await
    }

    pub(super) async fn measure_at(
        &self,
        path: &Path,
        most: u64,
        until: Instant,
    ) -> Result<Measured, Failure> {
        let measured = async {
            match self.store.get(path).await {
                Ok(found) => digest(found, most).await,
                Err(Error::NotFound { .. }) => Ok(Measured::Gone),
                Err(error) => Err(error),
            }
        };
        let measured = timely(until, measured).await?;
        measured.map_err(|error| failure("evidence can't be read", &error))
    }

    /// Reads a capture again, every byte of it, and compares it with its manifests. `None` where there is no such capture.
    ///
    /// `folder` is what outcomes name behind the store's URL, such as `2026-11-21/cap-…`.
    ///
    /// # Errors
    ///
    /// Where the store can't be asked.
    pub async fn verify(&self, folder: &str, until: Instant) -> Result<Option<Verdict>, Failure> {
        let folder = Folder::named(folder);
        let Some(kept) = self.sealed(&folder, until).await? else { return Ok(None) };
        let mut faults = Vec::new();
        for Artefact { key, size, sha256, .. } in kept.artefacts() {
            match self.measure(&folder, key, *size, until).await? {
                Measured::Gone => faults.push(format!("{key} is gone")),
                Measured::Larger(found) => faults.push(other_size(key, found, *size)),
                Measured::Read { size: found, .. } if found != *size => {
                    faults.push(other_size(key, found, *size));
                }
                Measured::Read { sha256: found, .. } if found != *sha256 => {
                    faults.push(format!("{key} has another hash: {found}"));
                }
                Measured::Read { .. } => {}
            }
        }
        Ok(Some(Verdict { kept, faults }))
    }

    /// `None` where it is larger than `most`.
    async fn read(&self, path: &Path, most: u64) -> Result<Option<Bytes>, Error> {
        let found = self.store.get(path).await?;
        if found.meta.size > most {
            return Ok(None);
        }
        found.bytes().await.map(Some)
    }
}

fn other_size(key: &str, found: u64, said: u64) -> String {
    format!("{key} has {found} bytes, the manifest says {said}")
}

async fn digest(found: GetResult, most: u64) -> Result<Measured, Error> {
    if found.meta.size > most {
        return Ok(Measured::Larger(found.meta.size));
    }
    let (mut size, mut hash) = (0, Sha256::new());
    let mut chunks = found.into_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        hash.update(&chunk);
    }
    Ok(Measured::Read { size, sha256: hex(&hash.finalize()) })
}
