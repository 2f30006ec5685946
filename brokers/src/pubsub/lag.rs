//! How far a worker is behind.

/// What a worker knows of it: Pub/Sub doesn't tell its clients how much there is. The backlog of the whole fleet is the
/// metric `pubsub.googleapis.com/subscription/num_undelivered_messages` of Cloud Monitoring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Messages that have come here and wait for a slot; nobody has looked at them yet.
    pub waiting: u64,
}
