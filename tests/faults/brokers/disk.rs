//! A disk so small that it can be filled.

use std::{fs, io::Write as _, path::Path, process::Command};

use tempfile::TempDir;

const SIZE: usize = 16 << 20;

/// A file system in memory. It is gone when this is dropped.
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// # Panics
    /// It can't be mounted, and the text says what that wants.
    pub fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "tmpfs"])
            .arg(folder.path())
            .output();
        let why = match mounted {
            Ok(output) if output.status.success() => return Self { folder },
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        panic!("a full disk needs a tmpfs, and mounting one needs root on Linux: {why}")
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut ballast = fs::File::create(self.ballast()).unwrap();
        for size in [1 << 20, 4096, 1] {
            let piece = vec![0; size];
            while ballast.write_all(&piece).is_ok() {}
        }
    }

    /// Takes back what was filled.
    pub fn clear(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file there keeps it until its own end.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
