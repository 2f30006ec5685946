//! The audit log: a JSON line for each finished response, on standard output, flushed before its event is settled.

use std::io::Write;

use serde::Serialize;
use tokio::sync::Mutex;

/// Where audit lines go. A line that can't be written is an error, and its event is not settled.
pub struct Audit {
    out: Mutex<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").finish_non_exhaustive()
    }
}

impl Audit {
    /// Audit lines on standard output; logs go to standard error.
    pub fn stdout() -> Self {
        Self::to(std::io::stdout())
    }

    /// Audit lines to `out`.
    pub fn to(out: impl Write + Send + 'static) -> Self {
        Self { out: Mutex::new(Box::new(out)) }
    }

    /// Writes one line, and flushes it.
    ///
    /// # Errors
    /// The line did not get through; a part of it may have.
    pub async fn write(&self, record: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut out = self.out.lock().await;
        out.write_all(&line)?;
        out.flush()
    }
}
