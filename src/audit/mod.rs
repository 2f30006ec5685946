//! The audit log: a JSON line for each finished response, through before its event is settled.
//!
//! On standard output a line is flushed. In a file it is a link of a [chain](chain), on disk before its writer is told, and
//! [`verify`] finds out later what was changed. What a line says is not decided here.

pub mod chain;
mod file;
mod lock;
mod tail;
pub mod verify;
mod writer;

use std::{
    io::{self, Write},
    path::Path,
};

use serde::Serialize;
use tokio::sync::Mutex;

/// Where audit lines go. A line that can't be written is an error, and its event is not settled.
pub struct Audit(Out);

enum Out {
    Stream(Mutex<Box<dyn Write + Send>>),
    File(writer::Writer),
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").finish_non_exhaustive()
    }
}

impl Audit {
    /// Audit lines on standard output; logs go to standard error.
    pub fn stdout() -> Self {
        Self::to(io::stdout())
    }

    /// Audit lines to `out`.
    pub fn to(out: impl Write + Send + 'static) -> Self {
        Self(Out::Stream(Mutex::new(Box::new(out))))
    }

    /// Audit lines as a chain in the file `path`, which is set aside and begun anew once it has `rotate` bytes. The chain goes
    /// on where the file ends.
    ///
    /// # Errors
    /// Another process writes it, it can't be read or written, or it holds something else.
    pub fn file(path: &Path, rotate: u64) -> io::Result<Self> {
        let log = file::Log::open(path, rotate)?;
        Ok(Self(Out::File(writer::Writer::start(log)?)))
    }

    /// Writes one line. Once it is through it stays: flushed to a stream, on disk in a file.
    ///
    /// # Errors
    /// The line did not get through. A stream may have got a part of it.
    pub async fn write(&self, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        match &self.0 {
            Out::Stream(out) => {
                line.push(b'\n');
                let mut out = out.lock().await;
                out.write_all(&line)?;
                out.flush()
            }
            Out::File(writer) => writer.write(line).await,
        }
    }
}

#[cfg(test)]
mod tests;
