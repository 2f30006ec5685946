//! Whether the subscription can be served now, for whoever watches.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::watch;

use crate::contract::Health;

/// How often an outage that goes on is said again.
const REMIND: Duration = Duration::from_secs(30);

/// What is away, by what ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outage {
    /// No broker can be reached; one that answers ends it.
    Unreachable,
    /// The brokers refuse us; one that doesn't ends it.
    Refused(String),
    /// The brokers answer, but the topic or the group can't be had; partitions assigned end it.
    Subscription(String),
}

impl Outage {
    /// What a client's error means, with what librdkafka says of it; `None` for what passes by itself. `refused` is to be
    /// said where the broker doesn't take our credentials.
    pub(super) fn of(error: &KafkaError, reason: &str, refused: &str) -> Option<Self> {
        use RDKafkaErrorCode as Code;
        let refuses = |what: &str| Some(Self::Refused(what.to_owned()));
        let subscription = |what: String| Some(Self::Subscription(what));
        match error.rdkafka_error_code()? {
            Code::AllBrokersDown => Some(Self::Unreachable),
            Code::Authentication | Code::SaslAuthenticationFailed => {
                match reason.strip_prefix("Failed to acquire SASL OAUTHBEARER token: ") {
                    Some(why) => Some(Self::Refused(format!("there is no sasl.token: {why}"))),
                    None => refuses(refused),
                }
            }
            Code::SSL if reason.contains("certificate verify failed") => refuses(
                "the Kafka broker's certificate is not to be trusted: check that tls.ca is the authority that signed it, \
                 and that brokers calls it by a name in it",
            ),
            Code::SSL => refuses(
                "TLS with the Kafka broker fails: check tls, and that brokers names a listener that speaks TLS",
            ),
            // A broker that refuses us may just hang up.
            Code::BrokerTransportFailure if reason.contains("alert") => refuses(
                "the Kafka broker refuses our certificate, or that we have none: set tls.certificate and tls.key to those of \
                 an authority that it trusts",
            ),
            Code::BrokerTransportFailure if reason.contains("SASL authentication error") => {
                refuses(refused)
            }
            Code::UnknownTopicOrPartition | Code::UnknownTopic => subscription(format!(
                "{} doesn't exist: create it with `stoop setup`",
                topic(reason)
            )),
            Code::TopicAuthorizationFailed => subscription(format!(
                "the Kafka broker denies us {}: allow READ and DESCRIBE, and WRITE to publish",
                topic(reason)
            )),
            Code::GroupAuthorizationFailed => subscription(
                "the Kafka broker denies us the consumer group: allow READ on it".to_owned(),
            ),
            Code::InconsistentGroupProtocol => subscription(
                "the consumer group has members that don't speak cooperative-sticky: \
                 stop them, or use a group of stoop's own"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// What a line of librdkafka's log means that comes without an error: a listener that speaks TLS hangs up on whoever
    /// doesn't.
    pub(super) fn of_log(line: &str) -> Option<Self> {
        let hangs_up = line.contains("Disconnected") && line.contains("in state APIVERSION_QUERY");
        hangs_up.then(|| {
            let what = "the Kafka listener takes our connection and hangs up: see that a broker runs behind it, and that tls \
                        and sasl are what it wants";
            Self::Refused(what.to_owned())
        })
    }

    pub(super) fn what(&self) -> &str {
        match self {
            Self::Unreachable => "no Kafka broker can be reached",
            Self::Refused(what) | Self::Subscription(what) => what,
        }
    }
}

/// How librdkafka says which topic it is about.
const SUBJECT: &str = "Subscribed topic not available: ";

/// What librdkafka would say of a topic.
pub(super) fn subject(topic: &str) -> String {
    format!("{SUBJECT}{topic}")
}

/// The topic that librdkafka's text is about, where it says which.
fn topic(reason: &str) -> String {
    let named = reason.strip_prefix(SUBJECT);
    match named.and_then(|rest| rest.split(": ").next()) {
        Some(name) => format!("the topic {name}"),
        None => "a topic of the subscription".to_owned(),
    }
}

#[derive(Debug, Default)]
pub(super) struct Monitor {
    health: watch::Sender<Health>,
    outage: Mutex<Option<Said>>,
}

/// An outage that goes on, and when it was said last.
#[derive(Debug)]
struct Said {
    outage: Outage,
    at: Instant,
}

impl Monitor {
    pub(super) fn watch(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Whether an outage goes on.
    pub(super) fn is_away(&self) -> bool {
        self.outage().is_some()
    }

    /// Partitions were assigned: all is well.
    pub(super) fn connected(&self) {
        let ended = self.outage().take();
        self.well(ended);
    }

    /// A broker answers.
    pub(super) fn reached(&self) {
        let ended = self.outage().take_if(|said| !matches!(said.outage, Outage::Subscription(_)));
        if ended.is_some() {
            self.well(ended);
        }
    }

    fn well(&self, ended: Option<Said>) {
        self.health.send_replace(Health::Connected);
        if let Some(said) = ended {
            tracing::info!(was = said.outage.what(), "Kafka is back");
        }
    }

    /// Something is away. Said once when it begins, and then now and again.
    pub(super) fn away(&self, outage: Outage) {
        let mut current = self.outage();
        if let Some(said) = &*current {
            // Brokers that refuse us are reported as down as well, which says less.
            let less = outage == Outage::Unreachable && matches!(said.outage, Outage::Refused(_));
            if less || (said.outage == outage && said.at.elapsed() < REMIND) {
                return;
            }
        }
        tracing::warn!("{}; waiting for it", outage.what());
        self.health.send_replace(Health::Unavailable(outage.what().to_owned()));
        *current = Some(Said { outage, at: Instant::now() });
    }

    fn outage(&self) -> MutexGuard<'_, Option<Said>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Outage {
        Outage::Refused("no".into())
    }

    fn is(monitor: &Monitor, what: &str) -> bool {
        *monitor.watch().borrow() == Health::Unavailable(what.into())
    }

    #[test]
    fn brokers_that_refuse_us_are_not_called_unreachable() {
        let monitor = Monitor::default();
        monitor.away(Outage::Unreachable);
        monitor.away(refused());
        monitor.away(Outage::Unreachable);
        assert!(is(&monitor, "no"));
        monitor.reached();
        assert_eq!(*monitor.watch().borrow(), Health::Connected);
    }

    #[test]
    fn a_broker_that_answers_does_not_make_the_topic_exist() {
        let monitor = Monitor::default();
        monitor.away(Outage::Subscription("no topic".into()));
        monitor.reached();
        assert!(is(&monitor, "no topic"));
        monitor.connected();
        assert_eq!(*monitor.watch().borrow(), Health::Connected);
    }
}
