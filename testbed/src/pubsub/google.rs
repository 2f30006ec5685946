//! Finds Google's emulator: a jar of the Google Cloud SDK, wherever that is installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// Where the SDK's root is said to be.
const ROOTS: [&str; 2] = ["CLOUDSDK_ROOT_DIR", "CLOUDSDK_ROOT"];

/// Where its packages and its installer put it.
const PLACES: [&str; 7] = [
    "/usr/lib/google-cloud-sdk",
    "/usr/lib64/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
    "/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
    "/opt/homebrew/share/google-cloud-sdk",
];

const EMULATOR: &str = "platform/pubsub-emulator/lib";

/// The emulator's jar, if there is one.
pub(crate) fn jar() -> Option<PathBuf> {
    let said = ROOTS.iter().filter_map(env::var_os).map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| Path::new(&home).join("google-cloud-sdk"));
    let usual = PLACES.iter().map(PathBuf::from);
    said.chain(beside_gcloud()).chain(home).chain(usual).find_map(|root| jar_in(&root))
}

/// The SDK that the `gcloud` on the path belongs to.
fn beside_gcloud() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let gcloud =
        env::split_paths(&path).map(|folder| folder.join("gcloud")).find(|p| p.exists())?;
    let root = gcloud.canonicalize().ok()?.parent()?.parent()?.to_owned();
    Some(root)
}

fn jar_in(root: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(root.join(EMULATOR)).ok()?;
    let mut jars: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_it(path)).collect();
    jars.sort();
    jars.pop()
}

fn is_it(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| {
        name.starts_with("cloud-pubsub-emulator-") && name.ends_with("-all.jar")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_jar_of_an_sdk_is_taken() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(jar_in(root.path()), None);
        let lib = root.path().join(EMULATOR);
        fs::create_dir_all(&lib).unwrap();
        for name in [
            "cloud-pubsub-emulator-0.8.2-all.jar",
            "other.jar",
            "cloud-pubsub-emulator-0.8.9-all.jar",
        ] {
            fs::write(lib.join(name), "").unwrap();
        }
        assert_eq!(jar_in(root.path()), Some(lib.join("cloud-pubsub-emulator-0.8.9-all.jar")));
    }
}
