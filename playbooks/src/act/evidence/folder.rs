//! Keys in the store: one folder for each capture, one below it for each try.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};
use object_store::path::Path;
use rustls::crypto::ring;

use crate::act::outcome::Failure;

/// Where one capture is kept: `2026-11-21/cap-…`, the same for every copy of its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::act) struct Folder(String);

impl Folder {
    /// Below the day of the event, so that what is old can be put away by its prefix.
    pub(in crate::act) fn new(event: Timestamp, capture: &str) -> Folder {
        let day = event.to_zoned(TimeZone::UTC).date();
        Folder(format!("{day}/{capture}"))
    }

    /// A folder that an operator has named.
    pub(super) fn named(folder: &str) -> Folder {
        Folder(folder.trim_matches('/').to_owned())
    }

    /// The manifest that `before` others stand before.
    pub(super) fn manifest(&self, root: &Path, before: usize) -> Path {
        self.below(root, &manifest(before))
    }

    /// The path of a key that is relative to the folder, as manifests name artefacts.
    pub(super) fn below(&self, root: &Path, key: &str) -> Path {
        let parts = self.0.split('/').chain(key.split('/')).map(str::to_owned);
        root.parts().map(|part| part.as_ref().to_owned()).chain(parts).collect()
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a manifest is called in a capture's folder, by how many stand before it.
pub(super) fn manifest(before: usize) -> String {
    match before {
        0 => "manifest.json".to_owned(),
        before => format!("manifest-{}.json", before + 1),
    }
}

/// One try of a capture: what it writes has keys that no other try has.
#[derive(Debug, Clone)]
pub(in crate::act) struct Draft {
    pub(super) folder: Folder,
    unique: String,
}

impl Draft {
    /// A new try.
    ///
    /// # Errors
    ///
    /// Where the system has no random bytes.
    pub(in crate::act) fn begin(folder: &Folder) -> Result<Draft, Failure> {
        Ok(Draft { folder: folder.clone(), unique: unique()? })
    }

    /// The key of an artefact, relative to the folder.
    pub(in crate::act) fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.unique)
    }
}

/// 128 bits that nobody can guess, in hex.
pub(super) fn unique() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Failure::transient("the system has no random bytes"))?;
    Ok(hex(&bytes))
}

/// Bytes in hex, lower case.
pub(in crate::act) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_below_the_day_of_the_event_and_two_tries_share_no_key() {
        let folder = Folder::new("2026-11-21T23:59:59Z".parse().unwrap(), "cap-1");
        assert_eq!(folder.to_string(), "2026-11-21/cap-1");
        let root = Path::from("a/b");
        assert_eq!(folder.manifest(&root, 0).as_ref(), "a/b/2026-11-21/cap-1/manifest.json");
        assert_eq!(folder.manifest(&root, 1).as_ref(), "a/b/2026-11-21/cap-1/manifest-2.json");
        let (first, second) = (Draft::begin(&folder).unwrap(), Draft::begin(&folder).unwrap());
        assert_ne!(first.key("pod.json"), second.key("pod.json"));
        assert!(first.key("pod.json").ends_with("/pod.json"));
    }

    #[test]
    fn no_key_leads_out_of_the_store() {
        let path = Folder::named("/../../etc/").below(&Path::from("root"), "../shadow");
        assert!(path.parts().all(|part| part.as_ref() != ".."), "{path}");
        assert!(path.as_ref().starts_with("root/"), "{path}");
    }
}
