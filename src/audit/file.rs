//! The file of the chain: one writer, on disk before it is said to be, set aside when it is long, and found again after a
//! crash or when somebody else has moved it.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Error, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    chain::{self, About, Mark, Tip, Torn},
    tail::Tail,
};

/// Who may read it: its owner and group.
const MODE: u32 = 0o640;

/// An audit log that this process alone writes.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    rotate: u64,
    /// Beside the file, so that it holds however the file is moved.
    _lock: File,
    tip: Tip,
    /// Absent after trouble: then it is opened anew, and its end read.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Log {
    /// Goes on where the log ends.
    pub(super) fn open(path: &Path, rotate: u64) -> io::Result<Self> {
        let lock = lock(&beside(path, ".lock"))?;
        let tip = predecessor(path)?;
        let tip = tip.unwrap_or(Tip::START);
        let mut log = Self { path: path.to_owned(), rotate, _lock: lock, tip, open: None };
        log.open = Some(log.reopen()?);
        let Tip { seq, hash } = log.tip;
        tracing::info!(path = %path.display(), seq, %hash, "the audit log goes on");
        Ok(log)
    }

    /// Adds lines, all or none of them; they are on disk once this returns.
    pub(super) fn append(&mut self, records: &[Vec<u8>]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) if open.is_at(&self.path) => open,
            _ => self.reopen()?,
        };
        if open.length >= self.rotate {
            open = self.set_aside()?;
        }
        let (mut tip, mut text) = (self.tip, Vec::new());
        for record in records {
            tip = tip.link(record, &mut text);
        }
        match open.commit(&text) {
            Ok(()) => {
                self.tip = tip;
                self.open = Some(open);
                Ok(())
            }
            Err(error) => {
                // What got through of it is taken back. After a failed sync the kernel calls lost pages clean, so they are
                // written anew as well. Where even that fails the end is read again.
                if open.file.set_len(open.length).is_ok() {
                    self.open = Some(open);
                }
                Err(error)
            }
        }
    }

    /// Opens the file, and marks what a writer that died left after its last whole line.
    fn reopen(&mut self) -> io::Result<Open> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(MODE);
        let mut file = options.open(&self.path)?;
        let tail = Tail::read(&mut file)?;
        self.tip = match tail.tip {
            // Later ones are this writer's own, which it could not take back.
            Some(tip) if tip == self.tip || tip.seq > self.tip.seq => tip,
            None if tail.length == 0 || tail.torn.starts_with(chain::HEAD.as_bytes()) => self.tip,
            _ => {
                let why = format!(
                    "{} holds something else than the end of this worker's audit log: move it away, or name another file",
                    self.path.display()
                );
                return Err(Error::new(ErrorKind::InvalidData, why));
            }
        };
        let mut text = Vec::new();
        if tail.is_open {
            text.push(b'\n');
        }
        let mut tip = self.tip;
        if !tail.torn.is_empty() {
            tracing::warn!(
                path = %self.path.display(), bytes = tail.torn.len(), after = tip.seq,
                "the audit log ends in a line that is not whole: it stays, and the next line says so"
            );
            let mark = Mark { log: About::Torn(Torn::of(&tail.torn)), time: Timestamp::now() };
            tip = tip.link(&serde_json::to_vec(&mark)?, &mut text);
        }
        let mut open = Open { file, length: tail.length };
        open.commit(&text)?;
        self.tip = tip;
        File::open(folder(&self.path))?.sync_all()?;
        Ok(open)
    }

    /// Puts the file aside under the number of its last line, and begins another.
    fn set_aside(&mut self) -> io::Result<Open> {
        let Tip { seq, hash } = self.tip;
        let aside = beside(&self.path, &format!(".{seq:012}"));
        if aside.try_exists()? {
            let why = format!("{} is there already: move it away", aside.display());
            return Err(Error::new(ErrorKind::AlreadyExists, why));
        }
        fs::rename(&self.path, &aside)?;
        tracing::info!(path = %aside.display(), seq, %hash, "the audit log was set aside, and another begun");
        self.reopen()
    }
}

impl Open {
    fn commit(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.file.sync_data()?;
        self.length += text.len() as u64;
        Ok(())
    }

    /// Whether it is still what `path` names, and nobody else has written or cut it.
    fn is_at(&self, path: &Path) -> bool {
        let (Ok(ours), Ok(there)) = (self.file.metadata(), fs::metadata(path)) else {
            return false;
        };
        (ours.dev(), ours.ino()) == (there.dev(), there.ino()) && ours.len() == self.length
    }
}

/// Where the chain ended in a file that was set aside, by this worker or by a tool, before another was begun.
fn predecessor(path: &Path) -> io::Result<Option<Tip>> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let mut last: Option<Tip> = None;
    for entry in fs::read_dir(folder(path))? {
        let entry = entry?;
        let other = entry.file_name();
        let is_ours = other
            .as_encoded_bytes()
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(b".") && rest != b".lock");
        if !is_ours || !entry.file_type()?.is_file() {
            continue;
        }
        let tip = Tail::read(&mut File::open(entry.path())?)?.tip;
        last = last.into_iter().chain(tip).max_by_key(|tip| tip.seq);
    }
    Ok(last)
}

fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(MODE).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            let why = "another worker writes it: give each worker a file of its own";
            Err(Error::new(ErrorKind::ResourceBusy, why))
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
