//! The thread that writes the file. Lines that wait while it syncs are synced together, so that many at once cost few syncs.

use std::{io, thread};

use tokio::sync::{mpsc, oneshot};

use super::file::Log;

/// How many lines may wait; who writes one more waits with it.
const WAITING: usize = 1024;

/// How many lines are synced at once.
const TOGETHER: usize = 256;

/// A line, and who waits for it.
struct Entry {
    record: Vec<u8>,
    written: oneshot::Sender<io::Result<()>>,
}

/// Hands lines to the thread. It ends when this is dropped.
pub(super) struct Writer(mpsc::Sender<Entry>);

impl Writer {
    pub(super) fn start(log: Log) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        thread::Builder::new().name("audit".to_owned()).spawn(move || write(log, receiver))?;
        Ok(Self(sender))
    }

    /// Returns once the line is on disk. Dropped while it waits, the line may be written all the same.
    pub(super) async fn write(&self, record: Vec<u8>) -> io::Result<()> {
        let ended = || io::Error::other("the audit log's writer has ended");
        let (written, told) = oneshot::channel();
        self.0.send(Entry { record, written }).await.map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }
}

fn write(mut log: Log, mut waiting: mpsc::Receiver<Entry>) {
    while let Some(first) = waiting.blocking_recv() {
        let (mut records, mut tell) = (vec![first.record], vec![first.written]);
        while let Some(entry) =
            (records.len() < TOGETHER).then(|| waiting.try_recv().ok()).flatten()
        {
            records.push(entry.record);
            tell.push(entry.written);
        }
        let ended = log.append(&records);
        for written in tell {
            let told = match &ended {
                Ok(()) => Ok(()),
                // Each gets its own: an error can't be cloned.
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // Who doesn't wait any more has left its event to somebody else.
            let _ = written.send(told);
        }
    }
}
