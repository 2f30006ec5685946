//! The folder outside the work tree where what was fetched or built is kept, one folder a version.
//!
//! Test binaries run side by side: a lock file makes one of them build while the others wait, and a
//! rename makes a finished folder appear at once or not at all.

use std::{
    env, fs,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{error::Error, progress::progress};

/// `$XDG_CACHE_HOME/stoop-testbed`, or `~/.cache/stoop-testbed`.
///
/// # Errors
/// If neither is known, or the folder can't be made.
pub(crate) fn root() -> Result<PathBuf, Error> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .ok_or_else(|| std::io::Error::other("neither XDG_CACHE_HOME nor HOME is set"))
        .map_err(Error::io("can't tell where to keep what is fetched"))?;
    let root = cache.join("stoop-testbed");
    fs::create_dir_all(&root).map_err(Error::file("make", &root))?;
    Ok(root)
}

/// The name of the folder for `version` of a server as `sources` say how to get it: a change to
/// them is another folder.
pub(crate) fn versioned<'a>(
    server: &str,
    version: &str,
    sources: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut hash = Sha256::new();
    for source in sources {
        hash.update(source.len().to_le_bytes());
        hash.update(source);
    }
    let key: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{server}-{version}-{key}")
}

/// The cache's folder `name`, filled by `build` if it isn't there yet. Blocks.
pub(crate) fn ensure(
    name: &str,
    build: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    ensure_in(&root()?, name, build)
}

fn ensure_in(
    root: &Path,
    name: &str,
    build: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let ready = root.join(name);
    if ready.is_dir() {
        return Ok(ready);
    }
    let _lock = lock(&root.join(format!("{name}.lock")), name)?;
    if ready.is_dir() {
        return Ok(ready);
    }
    // Whoever left this behind is dead: it would hold the lock.
    let building = root.join(format!("{name}.building"));
    if building.exists() {
        fs::remove_dir_all(&building).map_err(Error::file("clear", &building))?;
    }
    fs::create_dir(&building).map_err(Error::file("make", &building))?;
    build(&building)?;
    fs::rename(&building, &ready).map_err(Error::file("put in place", &ready))?;
    Ok(ready)
}

fn lock(path: &Path, name: &str) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::file("make", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(&format!("{name}: waiting for the process that is making it"));
            file.lock().map_err(Error::file("lock", path))?;
        }
        Err(TryLockError::Error(error)) => return Err(Error::file("lock", path)(error)),
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn of_several_at_once_one_builds_and_the_others_get_what_it_built() {
        let root = tempfile::tempdir().unwrap();
        let builds = AtomicUsize::new(0);
        let ensure = || {
            ensure_in(root.path(), "server-1", |into| {
                builds.fetch_add(1, Ordering::SeqCst);
                fs::write(into.join("server"), "built").map_err(Error::io("can't build"))
            })
            .unwrap()
        };
        thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    assert_eq!(fs::read_to_string(ensure().join("server")).unwrap(), "built");
                });
            }
        });
        assert_eq!(builds.into_inner(), 1);
    }

    #[test]
    fn a_failed_build_is_built_anew() {
        let root = tempfile::tempdir().unwrap();
        let failed = ensure_in(root.path(), "server-1", |into| {
            fs::write(into.join("half"), "").map_err(Error::io("can't build"))?;
            Err(Error::io("can't build")(io::Error::other("no network")))
        });
        assert!(failed.is_err());

        let built = ensure_in(root.path(), "server-1", |_| Ok(())).unwrap();
        assert!(!built.join("half").exists());
    }

    #[test]
    fn another_source_is_another_folder() {
        let one = versioned("server", "1", ["a", "b"]);
        assert_eq!(one, versioned("server", "1", ["a", "b"]));
        assert_ne!(one, versioned("server", "1", ["ab", ""]));
    }
}
