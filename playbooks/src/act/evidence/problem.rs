//! What a store's error means: give up, or try again.

use object_store::Error;
use tokio::time::Instant;

use crate::act::{outcome::Failure, text::clean};

/// Waits no longer than `until`.
pub(super) async fn timely<T>(
    until: Instant,
    asked: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::time::timeout_at(until, asked)
        .await
        .map_err(|_| Failure::transient("the evidence store gave no answer in time"))
}

/// What could not be done with the store.
///
/// A store that is away is transient and no outage: it is retried within the playbook's limits, and holds no other event's
/// containment meanwhile.
pub(super) fn failure(doing: &str, error: &Error) -> Failure {
    let why = format!("{doing}: {}", clean(&error.to_string(), 300));
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Failure::permanent(
            format!("{why}; let the worker's credentials put and get objects below `evidence.url`"),
        ),
        Error::NotSupported { .. } | Error::NotImplemented { .. } => Failure::permanent(format!(
            "{why}; evidence needs a store that creates an object only where there is none"
        )),
        Error::InvalidPath { .. } => Failure::permanent(why),
        _ => Failure::transient(why),
    }
}
