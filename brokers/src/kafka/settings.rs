//! What librdkafka is told. Each setting that differs from its default says why.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use secrecy::ExposeSecret;
use settings::Secret;

use crate::contract::Error;

use super::config::{Config, Timing};

/// How long a record may try to become durable before its producer says that it can't.
pub(super) const PUBLISH_LIMIT: Duration = Duration::from_secs(10);

/// What every client needs: where the brokers are, and who we are.
fn client(config: &Config) -> Result<ClientConfig, Error> {
    config.check()?;
    let mut client = ClientConfig::new();
    client
        .set_log_level(RDKafkaLogLevel::Info)
        .set("bootstrap.servers", config.brokers.join(","))
        .set("client.id", "stoop")
        // The default of five minutes would leave a topic unnoticed for as long after it was created.
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("allow.auto.create.topics", "false")
        .set("security.protocol", protocol(config));
    if let Some(tls) = &config.tls {
        let mut file = |name: &str, path: &Option<PathBuf>| {
            if let Some(path) = path {
                client.set(name, text(path));
            }
        };
        file("ssl.ca.location", &tls.ca);
        file("ssl.certificate.location", &tls.certificate);
        file("ssl.key.location", &tls.key);
        if let Some(password) = &tls.key_password {
            client.set("ssl.key.password", read("tls.keyPassword", password)?);
        }
    }
    if let Some(sasl) = &config.sasl {
        client.set("sasl.mechanism", sasl.mechanism.as_str());
        if let (Some(username), Some(password)) = (&sasl.username, &sasl.password) {
            client
                .set("sasl.username", username)
                .set("sasl.password", read("sasl.password", password)?);
        }
    }
    Ok(client)
}

fn read(key: &str, secret: &Secret) -> Result<String, Error> {
    let read = secret.read().map_err(|error| Error::Configuration(format!("{key}: {error}")))?;
    Ok(read.expose_secret().to_owned())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn protocol(config: &Config) -> &'static str {
    match (&config.tls, &config.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    }
}

/// A member of the consumer group.
pub(super) fn consumer(config: &Config, timing: &Timing) -> Result<ClientConfig, Error> {
    let mut client = client(config)?;
    client
        .set("group.id", &config.group)
        // Offsets are committed when their work is done, and by us.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // The default, latest, passes over what was published before the first worker started.
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("partition.assignment.strategy", "cooperative-sticky")
        // The client wakes itself twice in this time: a lost wake-up heals. It is also how long the group waits for us
        // to give partitions back.
        .set("max.poll.interval.ms", "90000")
        .set("session.timeout.ms", timing.session.as_millis().to_string())
        // With the default of a second a consumer whose queue fills sleeps for a second.
        .set("fetch.queue.backoff.ms", "10")
        // Bounds what waits in the client: the defaults hold 64 MiB a partition.
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.max.bytes", "8388608");
    Ok(client)
}

/// A consumer that only looks: it is told what to read, joins no group and commits nothing.
pub(super) fn reader(config: &Config) -> Result<ClientConfig, Error> {
    let mut client = client(config)?;
    client
        // The client wants one, and who may join it may look it up; assigned by hand it is never joined.
        .set("group.id", &config.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.max.bytes", "8388608");
    Ok(client)
}

/// A producer whose report is a promise.
pub(super) fn producer(config: &Config) -> Result<ClientConfig, Error> {
    let mut client = client(config)?;
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", PUBLISH_LIMIT.as_millis().to_string())
        // A topic that is missing now is said to be missing, instead of being waited for.
        .set("topic.metadata.propagation.max.ms", "2000")
        // The broker's own limit decides: it counts compressed bytes, the client's would count them before.
        .set("message.max.bytes", "1000000000")
        .set("compression.type", "zstd");
    Ok(client)
}

/// A client that looks and creates.
pub(super) fn admin(config: &Config) -> Result<ClientConfig, Error> {
    client(config)
}
