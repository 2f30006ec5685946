//! How long a delivery is ours: the broker may ask for it back, or have taken it already.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

/// The right to work on a message and to settle it.
///
/// A receiver ends it in two steps: [`closing`](Self::close) asks for the message back (a Kafka revoke in progress):
/// what runs may finish, nothing new starts. [`lost`](Self::lose) says it is gone: whoever works on it stops before
/// the next effect, and settling it would be fenced.
///
/// Cloning costs one reference count: a receiver hands a clone out with every message, skipped ones too.
#[derive(Clone, Debug, Default)]
pub struct Lease {
    ends: Arc<Ends>,
}

#[derive(Debug, Default)]
struct Ends {
    closing: CancellationToken,
    lost: CancellationToken,
}

impl Lease {
    /// A lease that holds until told otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for everything under this lease back.
    pub fn close(&self) {
        self.ends.closing.cancel();
    }

    /// Ends the lease at once.
    pub fn lose(&self) {
        self.ends.closing.cancel();
        self.ends.lost.cancel();
    }

    /// Whether new work on the message should not be started.
    pub fn is_closing(&self) -> bool {
        self.ends.closing.is_cancelled()
    }

    /// Whether the message is no longer ours.
    pub fn is_lost(&self) -> bool {
        self.ends.lost.is_cancelled()
    }

    /// Fires when the message is asked back, or gone.
    pub fn closing(&self) -> &CancellationToken {
        &self.ends.closing
    }

    /// Fires when the message is no longer ours.
    pub fn lost(&self) -> &CancellationToken {
        &self.ends.lost
    }
}
