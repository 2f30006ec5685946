//! Whether a stream or a consumer is as it has to be: what is refused, and the fix. Pure; asking the server is elsewhere.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{self, AckPolicy, ReplayPolicy},
    stream::{self, RetentionPolicy},
};

/// Shorter, and a hiccup of the network brings messages twice.
const SHORTEST_WAIT: Duration = Duration::from_secs(2);

/// Longer, and what a dead worker held waits too long.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Whether a consumer can serve a worker that holds `slots` messages.
///
/// # Errors
/// What has to change.
pub(super) fn consumer(config: &consumer::Config, slots: usize) -> Result<(), String> {
    let least = i64::try_from(slots.saturating_mul(2)).unwrap_or(i64::MAX);
    let fix = if config.deliver_subject.is_some() {
        "is a push consumer: make it a pull consumer, without a deliver subject".to_owned()
    } else if config.durable_name.is_none() {
        "is ephemeral, and forgets what was acknowledged: make it durable".to_owned()
    } else if config.inactive_threshold != Duration::ZERO {
        "is deleted when nobody asks it for a while: set its inactive_threshold to 0".to_owned()
    } else if config.ack_policy != AckPolicy::Explicit {
        "does not want each message acknowledged by itself: set its ack_policy to explicit"
            .to_owned()
    } else if config.max_deliver > 0 {
        format!(
            "drops a message after {} deliveries, without a word: set its max_deliver to -1",
            config.max_deliver
        )
    } else if !config.backoff.is_empty() {
        "has a backoff, which overrides how long a message is held and when it is retried: remove it"
            .to_owned()
    } else if !(SHORTEST_WAIT..=LONGEST_WAIT).contains(&config.ack_wait) {
        format!(
            "waits {:?} for an ack: set its ack_wait between {SHORTEST_WAIT:?} and {LONGEST_WAIT:?}, such as 30s",
            config.ack_wait
        )
    } else if (0..least).contains(&config.max_ack_pending) {
        format!(
            "stops delivering at {} unacknowledged messages, of all workers together: set its max_ack_pending to at least {least} for each worker",
            config.max_ack_pending
        )
    } else if config.headers_only {
        "delivers headers without bodies: set its headers_only to false".to_owned()
    } else if config.replay_policy != ReplayPolicy::Instant {
        "delivers at the pace at which messages were published: set its replay_policy to instant"
            .to_owned()
    } else if !config.priority_groups.is_empty() {
        "has priority groups, which stoop does not speak: remove them".to_owned()
    } else {
        return Ok(());
    };
    Err(fix)
}

/// Whether a stream loses no event.
///
/// # Errors
/// What has to change.
pub(super) fn events(config: &stream::Config) -> Result<(), String> {
    if config.max_messages_per_subject > 0 {
        return Err(format!(
            "keeps only {} messages of a subject, and drops the others unseen: set its max_msgs_per_subject to -1",
            config.max_messages_per_subject
        ));
    }
    Ok(())
}

/// What is worth a warning about a stream of events.
pub(super) fn doubts(config: &stream::Config) -> Vec<&'static str> {
    let mut doubts = Vec::new();
    if config.retention == RetentionPolicy::Limits {
        doubts.push(
            "has limits retention: acks of the last 100 ms or so are forgotten when the server is killed, and those messages come again; work queue or interest retention forgets none",
        );
    }
    if config.storage == stream::StorageType::Memory {
        doubts.push("is kept in memory: a restart of the server loses its events");
    }
    doubts
}

/// Whether a stream keeps dead letters until somebody takes them out.
///
/// # Errors
/// What has to change.
pub(super) fn dead_letters(config: &stream::Config) -> Result<(), String> {
    let fix = match config {
        config if config.retention == RetentionPolicy::Interest => {
            "drops what no consumer waits for: give it limits retention"
        }
        config if config.max_messages_per_subject > 0 => {
            "keeps only some messages of a subject, and dead letters share one: set its max_msgs_per_subject to -1"
        }
        config if config.no_ack => {
            "does not say whether it has taken a message: set its no_ack to false"
        }
        config if config.storage == stream::StorageType::Memory => {
            "is kept in memory, and a restart of the server loses it: give it file storage"
        }
        _ => return Ok(()),
    };
    Err(fix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> consumer::Config {
        consumer::Config {
            durable_name: Some("stoop".into()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(30),
            max_deliver: -1,
            max_ack_pending: 1000,
            ..consumer::Config::default()
        }
    }

    #[test]
    fn the_recipe_is_taken_and_every_departure_is_refused_with_its_fix() {
        assert_eq!(consumer(&good(), 500), Ok(()));
        let unlimited = consumer::Config { max_ack_pending: -1, ..good() };
        assert_eq!(consumer(&unlimited, 500), Ok(()));
        let seconds = Duration::from_secs;
        for (wrong, slots, says) in [
            (consumer::Config { deliver_subject: Some("x".into()), ..good() }, 1, "pull"),
            (consumer::Config { durable_name: None, ..good() }, 1, "durable"),
            (
                consumer::Config { inactive_threshold: seconds(1), ..good() },
                1,
                "inactive_threshold",
            ),
            (consumer::Config { ack_policy: AckPolicy::None, ..good() }, 1, "ack_policy"),
            (consumer::Config { max_deliver: 5, ..good() }, 1, "max_deliver"),
            (consumer::Config { backoff: vec![seconds(1)], ..good() }, 1, "backoff"),
            (consumer::Config { ack_wait: seconds(1), ..good() }, 1, "ack_wait"),
            (consumer::Config { ack_wait: seconds(3600), ..good() }, 1, "ack_wait"),
            (good(), 501, "at least 1002"),
            (consumer::Config { headers_only: true, ..good() }, 1, "headers_only"),
            (
                consumer::Config { replay_policy: ReplayPolicy::Original, ..good() },
                1,
                "replay_policy",
            ),
            (consumer::Config { priority_groups: vec!["a".into()], ..good() }, 1, "priority"),
        ] {
            let refused = consumer(&wrong, slots).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn streams_that_forget_are_refused() {
        let good = stream::Config { max_messages_per_subject: -1, ..stream::Config::default() };
        assert_eq!((events(&good), dead_letters(&good)), (Ok(()), Ok(())));
        let last = stream::Config { max_messages_per_subject: 1, ..good.clone() };
        assert!(events(&last).is_err() && dead_letters(&last).is_err());
        let interest = stream::Config { retention: RetentionPolicy::Interest, ..good.clone() };
        assert!(events(&interest).is_ok() && dead_letters(&interest).is_err());
        assert!(dead_letters(&stream::Config { no_ack: true, ..good }).is_err());
    }
}
