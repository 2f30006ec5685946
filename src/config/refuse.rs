//! Which configurations can't work, seen from their values alone: contradictions, and bounds that nobody can mean.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Component, PathBuf},
    time::Duration,
};

use brokers::journal;
use playbooks::{
    act::{ConfigError, GuardrailOptions, Guardrails},
    decide::{
        is_label, is_subdomain,
        yaml::{Path, Segment},
    },
};
use settings::ByteSize;

use super::{Broker, Config, Subscription};

/// Far more than a worker can use, and far less than what overflows.
const MOST_CONCURRENCY: usize = 100_000;

/// Whoever means more than a day means for ever, which is no limit.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What is wrong, where, and what to write instead.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: Path,
    pub(super) message: String,
    /// Can be empty, where the message says it.
    pub(super) help: String,
}

impl Fault {
    pub(super) fn new(
        path: Path,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Result<(), Self> {
        Err(Self { path, message: message.into(), help: help.into() })
    }

    /// What a part says of its own configuration, which stands at `at`.
    pub(super) fn of_part(at: &Path, error: ConfigError) -> Self {
        let path = error.path.segments().iter().fold(at.clone(), |path, segment| match segment {
            Segment::Key(key) => path.key(key),
            Segment::Index(index) => path.index(*index),
        });
        Self { path, message: error.message, help: error.help }
    }
}

/// The first fault, if any.
pub(super) fn check(config: &Config) -> Result<(), Fault> {
    for (name, subscription) in &config.subscriptions {
        check_subscription(&Path::root().key("subscriptions").key(name), subscription)?;
    }
    check_clashes(config)?;
    check_destinations(config)?;
    check_control(config)?;
    check_cluster(config)?;
    check_notifiers(config)?;
    check_guards(config)?;
    check_limits(config)?;
    config.audit.check(&Path::root().key("audit"))?;
    check_responses(config)
}

fn check_subscription(at: &Path, subscription: &Subscription) -> Result<(), Fault> {
    let broker = match subscription.broker() {
        Ok(broker) => broker,
        Err(why) => {
            return Fault::new(at.clone(), why, "name exactly one of kafka, nats, pubsub, journal");
        }
    };
    let inside = at.key(broker.as_str());
    if let Err(error) = broker.check() {
        return Fault::new(inside, error.to_string(), "");
    }
    if let Some((None | Some(""), example)) = broker.dead_letters() {
        let missing = "without a place for dead letters an event that fails would block those behind it for ever";
        let help = format!("name one, such as `deadLetters: {example}`; `stoop setup` creates it");
        return Fault::new(inside.key("deadLetters"), missing, help);
    }
    check_concurrency(at.key("concurrency"), subscription.concurrency)
}

fn check_destinations(config: &Config) -> Result<(), Fault> {
    for (name, destination) in &config.destinations {
        let at = Path::root().key("destinations").key(name);
        let place = match destination.place() {
            Ok(place) => place,
            Err(why) => return Fault::new(at, why, "name exactly one of kafka, nats, pubsub"),
        };
        let inside = at.key(place.as_str());
        if let Err(error) = place.check() {
            return Fault::new(inside, error.to_string(), "");
        }
        for (subscription, reads) in &config.subscriptions {
            let (at, again, help) = match place.feeds(reads) {
                Some(false) => continue,
                Some(true) => (inside, "would read", "name another topic or stream"),
                None => {
                    let at = Path::root().key("subscriptions").key(subscription).key("pubsub");
                    (at, "might read", "set its `topic`")
                }
            };
            let message = format!(
                "the subscription {subscription} {again} what is forwarded to {name}, again and again"
            );
            return Fault::new(at, message, help);
        }
    }
    Ok(())
}

/// Two that can't share a port or a folder.
fn check_clashes(config: &Config) -> Result<(), Fault> {
    let mut folders: BTreeMap<PathBuf, &str> = BTreeMap::new();
    let mut ports: Vec<(SocketAddr, String)> =
        vec![(config.health.listen, "health.listen".to_owned())];
    if clash(config.health.listen, config.control.listen) {
        let message = format!("{} is taken by health.listen", config.control.listen);
        let at = Path::root().key("control").key("listen");
        return Fault::new(at, message, "choose another port");
    }
    ports.push((config.control.listen, "control.listen".to_owned()));
    if let Some(uploads) = config.evidence.as_ref().and_then(|evidence| evidence.uploads.as_ref()) {
        let at = Path::root().key("evidence").key("uploads").key("listen");
        if let Some((_, other)) = ports.iter().find(|(taken, _)| clash(*taken, uploads.listen)) {
            let message = format!("{} is taken by {other}", uploads.listen);
            return Fault::new(at, message, "choose another port");
        }
        ports.push((uploads.listen, at.to_string()));
    }
    for (name, journal) in journals(config) {
        let at = Path::root().key("subscriptions").key(name).key("journal");
        let folder: PathBuf =
            journal.path.components().filter(|part| *part != Component::CurDir).collect();
        if let Some(other) = folders.insert(folder, name) {
            let message = format!("the subscription {other} keeps its journal there too");
            return Fault::new(at.key("path"), message, "give each journal a folder of its own");
        }
        if let Some((_, other)) = ports.iter().find(|(taken, _)| clash(*taken, journal.listen)) {
            let message = format!("{} is taken by {other}", journal.listen);
            return Fault::new(at.key("listen"), message, "choose another port");
        }
        ports.push((journal.listen, at.key("listen").to_string()));
    }
    Ok(())
}

fn journals(config: &Config) -> impl Iterator<Item = (&str, &journal::Config)> {
    config.subscriptions.iter().filter_map(|(name, subscription)| match subscription.broker() {
        Ok(Broker::Journal(journal)) => Some((name.as_str(), journal)),
        _ => None,
    })
}

fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let anywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    // Port 0 is a free one, each time another.
    one.port() != 0 && one.port() == other.port() && (anywhere || one.ip() == other.ip())
}

/// Whom it lets in reads what happens, and can redrive and drop dead letters.
fn check_control(config: &Config) -> Result<(), Fault> {
    let (control, at) = (&config.control, Path::root().key("control"));
    let mutual = control.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if !control.listen.ip().is_loopback() && control.token.is_none() && !mutual {
        let message =
            format!("anybody could read events and change dead letters at {}", control.listen);
        let help = "set control.token or control.tls.clientCa, or listen on 127.0.0.1";
        return Fault::new(at.key("listen"), message, help);
    }
    let client = control.client.clone().unwrap_or_default();
    let at = at.key("client");
    match (client.certificate, client.key) {
        (Some(_), None) => {
            Fault::new(at.key("key"), "a certificate without its key", "name its PEM file")
        }
        (None, Some(_)) => {
            Fault::new(at.key("certificate"), "a key without its certificate", "name its PEM file")
        }
        _ => Ok(()),
    }
}

fn check_cluster(config: &Config) -> Result<(), Fault> {
    let at = Path::root().key("cluster");
    match config.cluster.name.as_deref() {
        Some("") => {
            Fault::new(at.key("name"), "an empty name", "name the cluster, or leave it out")
        }
        None if config.cluster.require => Fault::new(
            at.key("require"),
            "no event could be told to be this cluster's: it has no name here",
            "set cluster.name as well",
        ),
        _ if config.cluster.field.is_empty() => {
            Fault::new(at.key("field"), "an empty name", "such as `static.cluster`")
        }
        _ => Ok(()),
    }
}

fn check_notifiers(config: &Config) -> Result<(), Fault> {
    for (position, name) in config.default_notifiers.iter().enumerate() {
        if !config.notifiers.contains_key(name) && name != "log" {
            let known: Vec<_> =
                config.notifiers.keys().map(String::as_str).chain(["log"]).collect();
            let at = Path::root().key("defaultNotifiers").index(position);
            let message = format!("no notifier is called `{name}`");
            return Fault::new(at, message, format!("known: {}", known.join(", ")));
        }
    }
    Ok(())
}

fn check_responses(config: &Config) -> Result<(), Fault> {
    let root = Path::root();
    let at = root.key("responses");
    if config.responses.keep.0.is_zero() {
        let message = "a response would be gone before anybody, its redelivery too, could find it";
        return Fault::new(at.key("keep"), message, "such as `7d`");
    }
    if config.responses.most == 0 {
        let message = "no response would be kept";
        return Fault::new(at.key("most"), message, "such as `1000`");
    }
    if config.approvals.expire_after.0.is_zero() {
        let message = "nobody could answer in time";
        return Fault::new(root.key("approvals").key("expireAfter"), message, "such as `24h`");
    }
    check_approvals(config)
}

/// A link needs somebody who answers, an address and a signature.
fn check_approvals(config: &Config) -> Result<(), Fault> {
    let (asked, at) = (&config.approvals, Path::root().key("approvals"));
    let parts = [
        ("listen", asked.listen.is_some()),
        ("url", asked.url.is_some()),
        ("key", asked.key.is_some()),
    ];
    if parts.iter().any(|(_, is_there)| *is_there)
        && let Some((missing, _)) = parts.iter().find(|(_, is_there)| !is_there)
    {
        let message = "links need `listen`, `url` and `key`";
        return Fault::new(at.key(missing), message, "set it as well, or none of the three");
    }
    let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    if asked.url.as_ref().is_some_and(|url| !is_web(url)) {
        let message = "people open it in a browser";
        return Fault::new(at.key("url"), message, "such as `https://stoop.example`");
    }
    let taken = [config.health.listen, config.control.listen];
    match asked.listen.filter(|listen| taken.iter().any(|taken| clash(*taken, *listen))) {
        Some(listen) => {
            let message = format!("{listen} is taken by health.listen or control.listen");
            Fault::new(at.key("listen"), message, "choose another port")
        }
        None => Ok(()),
    }
}

/// A guard that could never say no is worse than none: somebody relies on it.
fn check_guards(config: &Config) -> Result<(), Fault> {
    let root = Path::root();
    if !is_label(&config.namespace) {
        let message = format!("`{}` can't be the name of a namespace", config.namespace);
        let help = "lower case letters, digits and `-`, at most 63";
        return Fault::new(root.key("namespace"), message, help);
    }
    let switch = root.key("killSwitch");
    if let Some(name) = config.kill_switch.config_map.as_ref().filter(|name| !is_subdomain(name)) {
        let message = format!("`{name}` can't be the name of a ConfigMap, so it could never be on");
        let help = format!("its name alone; it is read in the namespace {}", config.namespace);
        return Fault::new(switch.key("configMap"), message, help);
    }
    if config.kill_switch.file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
        return Fault::new(switch.key("file"), "an empty path", "such as `./stop`");
    }
    let namespaces = root.key("protect").key("namespaces");
    for (position, glob) in config.protect.namespaces.iter().enumerate() {
        if glob.is_empty() {
            return Fault::new(namespaces.index(position), "an empty name", "such as `team-*`");
        }
        let options =
            GuardrailOptions { protected_namespaces: vec![glob.clone()], ..Default::default() };
        Guardrails::new(options)
            .map_err(|error| Fault::of_part(&namespaces.index(position), error))?;
    }
    Ok(())
}

fn check_limits(config: &Config) -> Result<(), Fault> {
    let at = Path::root().key("limits");
    check_concurrency(at.key("concurrency"), config.limits.concurrency)?;
    if config.limits.memory < ByteSize::mib(1) {
        return Fault::new(at.key("memory"), "too little for one event", "at least 1MiB");
    }
    for (key, span, zero) in [
        ("drain", config.limits.drain, "every event that is held would be given up at once"),
        ("actionTimeout", config.limits.action_timeout, "every action would fail at once"),
    ] {
        if span.0.is_zero() {
            return Fault::new(at.key(key), zero, "such as 20s");
        }
        if span.0 > LONGEST {
            return Fault::new(at.key(key), "longer than a day", "at most 24h");
        }
    }
    Ok(())
}

fn check_concurrency(at: Path, concurrency: usize) -> Result<(), Fault> {
    match concurrency {
        0 => Fault::new(at, "nothing would ever run", "at least 1"),
        1..=MOST_CONCURRENCY => Ok(()),
        _ => Fault::new(at, "more than one worker can do", format!("at most {MOST_CONCURRENCY}")),
    }
}
