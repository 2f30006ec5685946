//! A file that can be made to fail.

use std::{
    fs::File,
    io,
    ops::Bound,
    path::Path,
    sync::{Arc, Mutex},
};

use redb::{BackendError, StorageBackend, backends::FileBackend};

/// What a disk still does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Health {
    #[default]
    Good,
    /// Nothing can be written.
    Full,
    /// Everything can be written, and nothing flushed.
    FlushFails,
}

/// The health of a disk, to be changed while it is in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Doctor(Arc<Mutex<Health>>);

impl Doctor {
    pub(super) fn set(&self, health: Health) {
        *self.0.lock().unwrap() = health;
    }

    fn get(&self) -> Health {
        *self.0.lock().unwrap()
    }

    fn write(&self) -> io::Result<()> {
        match self.get() {
            Health::Full => Err(io::ErrorKind::StorageFull.into()),
            Health::Good | Health::FlushFails => Ok(()),
        }
    }

    fn flush(&self) -> io::Result<()> {
        match self.get() {
            Health::Good => Ok(()),
            Health::Full | Health::FlushFails => Err(io::Error::other("the disk is gone")),
        }
    }
}

/// A file on a disk that can fail.
#[derive(Debug)]
pub(super) struct Disk {
    file: FileBackend,
    doctor: Doctor,
}

impl Disk {
    pub(super) fn open(folder: &Path, doctor: &Doctor) -> Self {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(folder.join("journal")).unwrap();
        Self { file: FileBackend::new(file).unwrap(), doctor: doctor.clone() }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.doctor.write()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.doctor.flush()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.doctor.write()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}
