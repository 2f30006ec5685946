//! Waiting for a condition, never for a time.

use std::{fmt::Display, time::Duration};

use tokio::time::{Instant, sleep};

use crate::error::Error;

const PAUSE: Duration = Duration::from_millis(50);

/// Calls `probe` until it gives a value. What it says instead of one goes into the error that
/// `within` brings: say what was seen, as in `"3 pods, 1 of them running"`.
///
/// Wants tokio's real clock: with a paused one time flies and real servers don't.
///
/// # Errors
/// [`Error::Timeout`] with `what` and the probe's last word.
pub async fn until<T>(
    what: impl Display,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, Error> {
    let deadline = Instant::now() + within;
    let mut last = String::from("nothing");
    while Instant::now() < deadline {
        match tokio::time::timeout_at(deadline, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last = seen,
            Err(_) => last = format!("{last}, then no answer"),
        }
        sleep(PAUSE).await;
    }
    Err(Error::Timeout { what: what.to_string(), within, last })
}
