//! SIGINT and SIGTERM: the first asks a command to end in order, the second insists.

use std::{io, process};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What is said when a signal comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// At the first: what is done yet.
    pub(super) asked: &'static str,
    /// At the second: what is left as it is.
    pub(super) insisted: &'static str,
}

/// What comes next; nothing once the command was asked to end, though more were there.
pub(super) async fn unless_asked<T>(
    stop: &CancellationToken,
    next: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        next = next => Some(next),
    }
}

/// Fires at the first signal. The second ends the process at once, with 130.
///
/// # Errors
/// The system doesn't let us listen.
pub(super) fn watch(words: Words) -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        for insisting in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if insisting {
                tracing::warn!("{}", words.insisted);
                process::exit(130);
            }
            tracing::info!("{}; signal again to leave at once", words.asked);
            asked.cancel();
        }
    });
    Ok(stop)
}
