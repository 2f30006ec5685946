//! Reads a subscription to its end as a tool does: all that is there now, each message once, held until the reader is
//! done.

use std::{collections::HashSet, sync::Arc, time::Duration};

use google_cloud_pubsub::{
    client::Subscriber,
    model::Message,
    subscriber::{MessageStream, handler::Handler},
};
use tokio::time::timeout;

use crate::contract::Error;

use super::{names::Subscription, outage::Outage};

/// Pub/Sub doesn't say where the end is: so long nothing more has come by then.
const SILENCE: Duration = Duration::from_secs(3);

/// What a reader that was killed had read is there again after this.
const LEASE: Duration = Duration::from_secs(10);

/// The first may take longer: a connection, and somebody else's lease.
const FIRST: Duration = Duration::from_secs(12);

/// A subscription that is read.
#[derive(Debug)]
pub(super) struct Reading {
    stream: MessageStream,
    subscription: Subscription,
    seen: HashSet<Arc<str>>,
}

impl Reading {
    pub(super) fn of(subscriber: &Subscriber, subscription: Subscription) -> Self {
        let stream = subscriber
            .subscribe(subscription.as_str())
            .set_max_lease_extension(LEASE)
            // All of it is held at once, for what is handed back would come again.
            .set_max_outstanding_messages(0i64)
            .set_max_outstanding_bytes(0i64)
            .build();
        Self { stream, subscription, seen: HashSet::new() }
    }

    /// The next message that was not read before; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<(Message, Handler)>, Error> {
        loop {
            let patience = if self.seen.is_empty() { FIRST } else { SILENCE };
            match timeout(patience, self.stream.next()).await {
                Err(_) | Ok(None) => return Ok(None),
                Ok(Some(Ok((message, handler)))) => {
                    if self.seen.insert(message.message_id.as_str().into()) {
                        return Ok(Some((message, handler)));
                    }
                }
                Ok(Some(Err(error))) => {
                    let why = Outage::of(&error).of_subscription(self.subscription.as_str());
                    return Err(Error::client(why, error));
                }
            }
        }
    }
}
