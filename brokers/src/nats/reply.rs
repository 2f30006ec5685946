//! What the reply subject of a delivered message tells: `$JS.ACK.` and then either
//! `stream.consumer.delivered.sequence.consumer-sequence.time.pending`, or the same behind a domain and an account's hash,
//! with perhaps more at the end: <https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-15.md>
//!
//! The client parses it too, but only of a message that has been given a JetStream context of its own.

use jiff::Timestamp;

/// Which message was delivered, and for which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Its place in the stream.
    pub(super) sequence: u64,
    /// How often the server thinks it has delivered it.
    pub(super) times: u32,
    /// When the stream took it.
    pub(super) published: Option<Timestamp>,
}

impl Delivered {
    /// Reads a reply subject; `None` for one that is not JetStream's.
    pub(super) fn parse(reply: &str) -> Option<Self> {
        let tokens = reply.strip_prefix("$JS.ACK.")?;
        let behind = match tokens.split('.').count() {
            7 => 2,
            count if count >= 9 => 4,
            _ => return None,
        };
        let mut tokens = tokens.split('.').skip(behind);
        let times: u64 = tokens.next()?.parse().ok()?;
        let sequence = tokens.next()?.parse().ok()?;
        let published: i128 = tokens.nth(1)?.parse().ok()?;
        Some(Self {
            sequence,
            times: u32::try_from(times).unwrap_or(u32::MAX),
            published: Timestamp::from_nanosecond(published).ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_are_read() {
        let published = Timestamp::from_nanosecond(1_700_000_000_000_000_001).ok();
        let expected = Some(Delivered { sequence: 42, times: 3, published });
        for reply in [
            "$JS.ACK.FALCO.stoop.3.42.7.1700000000000000001.9",
            "$JS.ACK._.hash.FALCO.stoop.3.42.7.1700000000000000001.9",
            "$JS.ACK.hub.hash.FALCO.stoop.3.42.7.1700000000000000001.9.token.more",
        ] {
            assert_eq!(Delivered::parse(reply), expected, "{reply}");
        }
    }

    proptest! {
        #[test]
        fn anything_else_is_none_and_nothing_panics(reply in "(\\$JS\\.ACK\\.)?[a-z0-9.*$-]{0,60}") {
            let _ = Delivered::parse(&reply);
        }

        #[test]
        fn the_largest_numbers_fit(sequence in any::<u64>(), times in any::<u64>(), time in any::<u64>()) {
            let reply = format!("$JS.ACK.S.c.{times}.{sequence}.1.{time}.0");
            prop_assert_eq!(Delivered::parse(&reply).unwrap().sequence, sequence);
        }
    }
}
