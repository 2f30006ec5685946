//! How far the fleet is behind.

use async_nats::jetstream::consumer;

/// How many messages of the consumer are left, for all its workers together, as of some seconds ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Not yet settled: the work that is left. One slow message keeps it up.
    pub unsettled: u64,
    /// Not yet delivered to any worker: the work that nobody has looked at.
    pub received: u64,
}

impl Lag {
    pub(super) fn of(info: &consumer::Info) -> Self {
        let pending = u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX);
        Self { unsettled: info.num_pending.saturating_add(pending), received: info.num_pending }
    }
}
