//! A temporary folder that is removed when this process ends, however this process ends.

use std::{
    fs::DirBuilder,
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::error::Error;

/// Tries again because the servers that write there are being killed at the same moment.
const JANITOR: &str =
    r#"read -r _; for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" && exit; sleep 0.2; done"#;

/// Where a server keeps its data.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _janitor: Option<Janitor>,
}

#[derive(Debug)]
struct Janitor {
    child: Child,
    leash: Option<ChildStdin>,
}

impl Scratch {
    /// A folder of its own that goes when this value, or this process, does.
    pub(crate) fn temporary() -> Result<Self, Error> {
        let path = tempfile::Builder::new()
            .prefix("stoop-testbed-")
            .tempdir()
            .map_err(Error::io("can't make a temporary folder"))?
            .keep();
        let mut child = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::io("can't start a shell"))?;
        let leash = child.stdin.take();
        Ok(Self { path, _janitor: Some(Janitor { child, leash }) })
    }

    /// A folder that stays; made for its owner's eyes alone, since keys and tokens go there.
    pub(crate) fn kept(path: &Path) -> Result<Self, Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(Error::file("make", path))?;
        let path = path.canonicalize().map_err(Error::file("find", path))?;
        Ok(Self { path, _janitor: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _ = self.child.wait();
    }
}
