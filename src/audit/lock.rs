//! The lock beside the file: it holds however the file is moved, and has where the chain ended, whatever was moved.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Error, ErrorKind, Read as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{chain::Tip, file::MODE};

/// That no other process writes the log.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(MODE);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(error),
            Err(TryLockError::WouldBlock) => {
                let why = "another worker writes it: give each worker a file of its own";
                Err(Error::new(ErrorKind::ResourceBusy, why))
            }
        }
    }

    /// Where the chain ended, as far as that was noted.
    pub(super) fn tip(&self) -> io::Result<Option<Tip>> {
        let mut bytes = Vec::new();
        (&self.file).take(LENGTH).read_to_end(&mut bytes)?;
        let tip = std::str::from_utf8(&bytes).ok().and_then(read);
        // A power cut may have left NULs of the first.
        if tip.is_none() && !bytes.is_empty() {
            tracing::warn!(path = %self.path.display(), "it does not say where the audit log ended");
        }
        Ok(tip)
    }

    /// Writes it in place, so that a full disk and a crash find room for it, and none is half written. It is synced where
    /// the file is begun or set aside, not with each line: the file has the line, and has it on disk.
    pub(super) fn note(&self, tip: Tip) -> io::Result<()> {
        self.file.write_all_at(format!("{:020} {}\n", tip.seq, tip.hash).as_bytes(), 0)
    }

    /// Notes it on disk.
    pub(super) fn keep(&self, tip: Tip) -> io::Result<()> {
        self.note(tip)?;
        self.file.sync_data()
    }
}

/// The bytes of a note: the number, the hash, and what is between and after them.
const LENGTH: u64 = 20 + 1 + 64 + 1;

fn read(note: &str) -> Option<Tip> {
    let (seq, hash) = note.strip_suffix('\n')?.split_once(' ')?;
    Some(Tip { seq: seq.parse().ok()?, hash: hash.parse().ok()? })
}
