//! The brokers under fire, as the campaign sees them: from outside, with clients of their own.

mod disk;
pub mod journal;
pub mod kafka;
pub mod nats;
mod note;
pub mod pubsub;

use std::time::Duration;

use async_trait::async_trait;
use testbed::proxy::Proxy;

pub use disk::Disk;
pub use kafka::{Commit, Kafka};
pub use nats::Nats;

use crate::{id::Id, logs::Observation, worker::Worker};

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: Id,
    pub body: Vec<u8>,
}

impl Message {
    pub fn event(id: Id) -> Self {
        Self { id, body: id.event() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Kafka,
    Nats,
    PubSub,
    Journal,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Kafka, Self::Nats, Self::PubSub, Self::Journal];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Nats => "nats",
            Self::PubSub => "pubsub",
            Self::Journal => "journal",
        }
    }
}

/// What a round wants of its broker. A broker without partitions has as many workers as it would have partitions.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub partitions: i32,
    /// Whether there is room for dead letters from the start.
    pub dead_letters: bool,
    /// The round harms the broker, so nobody else may use it.
    pub own: bool,
    /// The broker's disk is small.
    pub small_disk: bool,
    /// Workers show a broker of their own tokens that expire unless somebody renews them.
    pub tokens: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { partitions: 4, dead_letters: true, own: false, small_disk: false, tokens: false }
    }
}

/// A broker with one subscription for the workers of a round.
#[async_trait(?Send)]
pub trait Broker {
    fn kind(&self) -> Kind;

    /// The `subscriptions` of a worker. What is on a detour meets the [proxy](Self::proxy) on its way.
    fn subscriptions(&self, detour: bool, slots: usize) -> String;

    /// How many workers it can have.
    fn most_workers(&self) -> usize;

    /// How long a worker that isn't heard of keeps what it holds; for ever where there is none.
    fn lease(&self) -> Option<Duration>;

    /// Nearly the longest body that it takes.
    fn greatest(&self) -> usize {
        2_000_000
    }

    /// The network between the broker and those on a detour.
    fn proxy(&self) -> &Proxy;

    /// Publishes, and gives those that the broker confirmed.
    async fn publish(&self, messages: Vec<Message>) -> Vec<Id>;

    /// What the broker says of itself now; `None` if it can't be asked.
    async fn observe(&self, workers: &[Worker]) -> Option<Observation>;

    /// Every dead letter, each as often as it is there, once the workers have left.
    async fn letters(&self) -> Result<Vec<Id>, String>;

    /// Makes the place for dead letters that was missing or full. Workers that are configured after this know of it.
    async fn mend_dead_letters(&self);

    /// The process of a broker that has one, and its disk.
    fn server(&self) -> Option<&dyn Server> {
        None
    }

    /// A stream that can be deleted.
    fn nats(&self) -> Option<&Nats> {
        None
    }

    /// A topic that can be deleted, and a group that others can commit to.
    fn kafka(&self) -> Option<&Kafka> {
        None
    }

    /// A disk that can be filled.
    fn disk(&self) -> Option<&Disk> {
        None
    }
}

/// A broker's process.
#[async_trait(?Send)]
pub trait Server {
    /// SIGKILL.
    async fn kill(&self);

    /// Starts it again on the same data.
    async fn restart(&self);

    /// SIGSTOP.
    async fn freeze(&self);

    /// SIGCONT.
    async fn thaw(&self);
}
