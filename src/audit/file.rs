//! The file of the chain: one writer, on disk before it is said to be, set aside when it is long, and found again after a
//! crash or when somebody else has moved it.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Error, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    chain::{About, Found, Mark, Tip},
    lock::Lock,
    tail::Tail,
};

/// Who may read it: its owner and group.
pub(super) const MODE: u32 = 0o640;

/// What the name of the lock has more than that of the file.
const LOCK: &str = ".lock";

/// An audit log that this process alone writes.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    rotate: u64,
    lock: Lock,
    tip: Tip,
    /// Absent after trouble: then it is opened anew, and its end read.
    open: Option<Open>,
    /// Whether the file may end in lines that are not known: at the start, and after a write that could not be taken back.
    is_unsure: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Log {
    /// Goes on where the log ends.
    pub(super) fn open(path: &Path, rotate: u64) -> io::Result<Self> {
        let lock = Lock::take(&beside(path, LOCK))?;
        // What was set aside may be elsewhere by now, or compressed.
        let tips = [predecessor(path)?, lock.tip()?];
        let tip = tips.into_iter().flatten().max_by_key(|tip| tip.seq).unwrap_or(Tip::START);
        let path = path.to_owned();
        let mut log = Self { path, rotate, lock, tip, open: None, is_unsure: true };
        log.open = Some(log.reopen()?);
        let Tip { seq, hash } = log.tip;
        tracing::info!(path = %log.path.display(), seq, %hash, "the audit log goes on");
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
                // The line is on disk. It is not written once more for this, which is read only where the file is gone.
                if let Err(error) = self.lock.note(tip) {
                    tracing::warn!(%error, "the end of the audit log can't be noted beside it");
                }
                Ok(())
            }
            Err(error) => {
                // What got through of it is taken back. After a failed sync the kernel calls lost pages clean, so they are
                // written anew as well. Where even that fails the end is read again.
                match open.file.set_len(open.length) {
                    Ok(()) => self.open = Some(open),
                    Err(_) => self.is_unsure = true,
                }
                Err(error)
            }
        }
    }

    /// Opens the file, and marks what follows the last whole line: a writer that died has left it, or somebody else.
    fn reopen(&mut self) -> io::Result<Open> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(MODE);
        let mut file = options.open(&self.path)?;
        let tail = Tail::read(&mut file, (!self.is_unsure).then_some(self.tip))?;
        self.tip = match tail.tip {
            // Later ones are this writer's own, which it could not take back.
            Some(tip) if tip == self.tip || tip.seq > self.tip.seq => tip,
            None if tail.is_torn() => self.tip,
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
        if !tail.rest.is_empty() {
            let found = Found::of(&tail.rest);
            let about = match self.is_unsure && tail.is_torn() {
                true => About::Torn(found),
                false => About::Foreign(found),
            };
            tracing::warn!(
                path = %self.path.display(), after = tip.seq, found = ?about,
                "the audit log ends in what is no whole line of this worker's: it stays, and the next line says so"
            );
            let mark = Mark { log: about, time: Timestamp::now() };
            tip = tip.link(&serde_json::to_vec(&mark)?, &mut text);
        }
        let mut open = Open { file, length: tail.length };
        if let Err(error) = open.commit(&text) {
            self.is_unsure = true;
            return Err(error);
        }
        self.tip = tip;
        self.lock.keep(tip)?;
        File::open(folder(&self.path))?.sync_all()?;
        self.is_unsure = false;
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
        // Where another can't be begun now, a later worker knows where to.
        self.lock.keep(self.tip)?;
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
        let is_ours = other.as_encoded_bytes().strip_prefix(name).is_some_and(|rest| {
            // As logrotate names them, with a number or a date.
            (rest.starts_with(b".") || rest.starts_with(b"-")) && rest != LOCK.as_bytes()
        });
        if !is_ours || !entry.file_type()?.is_file() {
            continue;
        }
        let tip = Tail::read(&mut File::open(entry.path())?, None)?.tip;
        last = last.into_iter().chain(tip).max_by_key(|tip| tip.seq);
    }
    Ok(last)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
