//! What the fake holds: ready, with a client until its lease ends, or resting until it may come again.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Faults,
    grpc::{self, Code},
    wire::{self, PubsubMessage, Received, StreamingPullResponse},
};

/// How many messages go into one frame.
const FRAME: usize = 100;

/// The subscription's retry policy: how long what was handed back, or not settled in time, stays away.
pub(super) const BACKOFF: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct State {
    ready: VecDeque<PubsubMessage>,
    /// By ack id.
    leased: HashMap<String, Leased>,
    resting: VecDeque<(Instant, PubsubMessage)>,
    pub(super) published: Vec<PubsubMessage>,
    last: u64,
    pub(super) faults: Faults,
    /// Streams opened before this one end.
    pub(super) streams: u64,
    /// For measuring: so many messages all alike, by whoever pulls them.
    pub(super) flood: Option<(Bytes, u64)>,
}

#[derive(Debug)]
struct Leased {
    message: PubsubMessage,
    until: Instant,
}

/// What a stream does next.
pub(super) enum Next {
    Frame(Bytes),
    End(Code),
    /// Nothing, until something changes or it is this late.
    Wait(Option<Instant>),
}

impl State {
    pub(super) fn publish(&mut self, data: Bytes) {
        self.last += 1;
        let message_id = self.last.to_string();
        self.ready.push_back(PubsubMessage { data, message_id, ..PubsubMessage::default() });
    }

    pub(super) fn acknowledge(&mut self, ack_ids: &[String]) {
        ack_ids.iter().for_each(|id| drop(self.leased.remove(id)));
    }

    /// Changes leases, or ends them where `lease` is none.
    pub(super) fn modify(&mut self, ack_ids: &[String], lease: Duration, now: Instant) {
        for id in ack_ids {
            if let Some(leased) = self.leased.get_mut(id) {
                leased.until = now + lease;
            }
        }
    }

    /// Messages that were not acknowledged.
    pub(super) fn unsettled(&self) -> usize {
        self.ready.len() + self.resting.len() + self.leased.len()
    }

    /// Messages that are with a client.
    pub(super) fn leased(&mut self, now: Instant) -> usize {
        self.age(now);
        self.leased.len()
    }

    /// What a stream does next that was opened as the `opened`th, and leases for so long.
    pub(super) fn next(
        &mut self,
        opened: u64,
        lease: Duration,
        exactly_once: bool,
        now: Instant,
    ) -> Next {
        if let Some(code) = self.faults.pull {
            return Next::End(code);
        }
        if self.streams > opened {
            return Next::End(Code::Unavailable);
        }
        let due = self.age(now);
        let mut received = self.flooding();
        while received.len() < FRAME
            && let Some(message) = self.ready.pop_front()
        {
            self.last += 1;
            let ack_id = format!("a{}", self.last);
            received.push(delivery(ack_id.clone(), message.clone()));
            self.leased.insert(ack_id, Leased { message, until: now + lease });
        }
        if received.is_empty() {
            return Next::Wait(due);
        }
        let properties = wire::Properties { exactly_once_delivery_enabled: exactly_once };
        Next::Frame(grpc::frame(&StreamingPullResponse {
            received_messages: received,
            subscription_properties: Some(properties),
        }))
    }

    /// Ends what is over, and says when that is to be done again.
    fn age(&mut self, now: Instant) -> Option<Instant> {
        let over: Vec<_> = self.leased.extract_if(|_, leased| leased.until <= now).collect();
        let rest = over.into_iter().map(|(_, leased)| (now + BACKOFF, leased.message));
        self.resting.extend(rest);
        while let Some((_, message)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.ready.push_back(message);
        }
        let leases = self.leased.values().map(|leased| leased.until);
        leases.chain(self.resting.front().map(|(until, _)| *until)).min()
    }

    fn flooding(&mut self) -> Vec<Received> {
        let Some((payload, left)) = &mut self.flood else { return Vec::new() };
        let size = (*left).min(FRAME as u64);
        *left -= size;
        let (payload, over) = (payload.clone(), *left == 0);
        if over {
            self.flood = None;
        }
        let first = self.last + 1;
        self.last += size;
        let message = |n: u64| {
            let message_id = n.to_string();
            let data = payload.clone();
            delivery(
                format!("f{n}"),
                PubsubMessage { data, message_id, ..PubsubMessage::default() },
            )
        };
        (first..first + size).map(message).collect()
    }
}

fn delivery(ack_id: String, message: PubsubMessage) -> Received {
    Received { ack_id, message: Some(message), delivery_attempt: 0 }
}
