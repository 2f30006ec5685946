//! What the worker has kept of a pod, as it lies in the folder.

use std::path::Path;

use serde_json::Value;

/// One capture that is whole.
#[derive(Clone, Debug)]
pub(in crate::demo) struct Capture {
    /// The uid of the pod that it is about.
    pub(in crate::demo) uid: String,
    /// Where it is, as `stoop evidence verify` wants it.
    pub(in crate::demo) folder: String,
    /// What it has.
    pub(in crate::demo) files: Vec<String>,
}

/// The captures below a folder: a day's folder, a capture's, and a manifest in it.
pub(super) fn captures(root: &Path) -> std::io::Result<Vec<Capture>> {
    let mut found = Vec::new();
    for day in std::fs::read_dir(root)? {
        for capture in std::fs::read_dir(day?.path())? {
            let folder = capture?.path();
            // What has none yet is not whole.
            let Ok(text) = std::fs::read_to_string(folder.join("manifest.json")) else { continue };
            let manifest: Value = serde_json::from_str(&text)?;
            let folder = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
            found.push(Capture { folder, ..of(&manifest) });
        }
    }
    Ok(found)
}

fn of(manifest: &Value) -> Capture {
    let keys = manifest["artefacts"].as_array().into_iter().flatten();
    let name = |key: &str| key.rsplit('/').next().unwrap_or_default().to_owned();
    Capture {
        uid: manifest["about"]["uid"].as_str().unwrap_or_default().to_owned(),
        folder: String::new(),
        files: keys.filter_map(|it| it["key"].as_str().map(name)).collect(),
    }
}
