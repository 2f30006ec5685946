//! Whether what a configuration names outside of itself is there: secrets, certificates, playbooks.
//!
//! Asked where a worker starts and by `stoop check`, and not by commands that need none of it.

use std::path::Path as FilePath;

use brokers::{journal, kafka, nats, pubsub};
use playbooks::{
    act::{Functions, Notifiers},
    decide::yaml::Path,
};

use super::{Broker, Config, Place, refuse::Fault};
use crate::error::with_sources;

/// The first thing that is not there, if any.
pub(super) fn check(config: &Config) -> Result<(), Fault> {
    let root = Path::root();
    for (position, path) in config.playbooks.iter().enumerate() {
        if let Err(error) = std::fs::metadata(path) {
            let message = format!("{} can't be read: {error}", path.display());
            let help = "name a file or a folder that is there, seen from the working directory";
            return Fault::new(root.key("playbooks").index(position), message, help);
        }
    }
    let timeout = config.limits.action_timeout.0;
    Notifiers::new(&config.notifiers, &config.default_notifiers, timeout)
        .map_err(|error| Fault::of_part(&root.key("notifiers"), error))?;
    let links = config.approvals.links();
    links.map_err(|error| Fault::of_part(&root.key("approvals"), error))?;
    Functions::new(&config.functions, timeout)
        .map_err(|error| Fault::of_part(&root.key("functions"), error))?;
    for (name, destination) in &config.destinations {
        let at = root.key("destinations").key(name);
        match destination.place() {
            Ok(Place::Kafka(config)) => check_kafka(&at.key("kafka"), &config.client())?,
            Ok(Place::Nats(config)) => check_nats(&at.key("nats"), &config.client())?,
            Ok(Place::PubSub(config)) => check_pubsub(&at.key("pubsub"), &config.client())?,
            Err(_) => {}
        }
    }
    if let Some(token) = &config.control.token {
        known(root.key("control").key("token"), token.read())?;
    }
    for (name, subscription) in &config.subscriptions {
        let at = root.key("subscriptions").key(name);
        match subscription.broker() {
            Ok(Broker::Kafka(config)) => check_kafka(&at.key("kafka"), config)?,
            Ok(Broker::Nats(config)) => check_nats(&at.key("nats"), config)?,
            Ok(Broker::PubSub(config)) => check_pubsub(&at.key("pubsub"), config)?,
            Ok(Broker::Journal(config)) => check_journal(&at.key("journal"), config)?,
            Err(_) => {}
        }
    }
    Ok(())
}

fn check_kafka(at: &Path, config: &kafka::Config) -> Result<(), Fault> {
    if let Some(tls) = &config.tls {
        let at = at.key("tls");
        for (key, file) in [("ca", &tls.ca), ("certificate", &tls.certificate), ("key", &tls.key)] {
            if let Some(file) = file {
                readable(at.key(key), file)?;
            }
        }
        if let Some(password) = &tls.key_password {
            known(at.key("keyPassword"), password.read())?;
        }
    }
    let Some(sasl) = &config.sasl else { return Ok(()) };
    for (key, secret) in [("password", &sasl.password), ("token", &sasl.token)] {
        if let Some(secret) = secret {
            known(at.key("sasl").key(key), secret.read())?;
        }
    }
    Ok(())
}

fn check_nats(at: &Path, config: &nats::Config) -> Result<(), Fault> {
    if let Some(tls) = &config.tls {
        let at = at.key("tls");
        for (key, file) in [("ca", &tls.ca), ("certificate", &tls.certificate), ("key", &tls.key)] {
            if let Some(file) = file {
                readable(at.key(key), file)?;
            }
        }
    }
    let Some(auth) = &config.auth else { return Ok(()) };
    let at = at.key("auth");
    for (key, secret) in [
        ("credentials", &auth.credentials),
        ("nkey", &auth.nkey),
        ("token", &auth.token),
        ("password", &auth.password),
    ] {
        if let Some(secret) = secret {
            known(at.key(key), secret.read())?;
        }
    }
    Ok(())
}

fn check_pubsub(at: &Path, config: &pubsub::Config) -> Result<(), Fault> {
    match &config.credentials {
        Some(credentials) => known(at.key("credentials"), credentials.read()),
        None => Ok(()),
    }
}

fn check_journal(at: &Path, config: &journal::Config) -> Result<(), Fault> {
    if let Some(token) = &config.token {
        known(at.key("token"), token.read())?;
    }
    let Some(tls) = &config.tls else { return Ok(()) };
    let at = at.key("tls");
    readable(at.key("certificate"), &tls.certificate)?;
    readable(at.key("key"), &tls.key)?;
    match &tls.client_ca {
        Some(authority) => readable(at.key("clientCa"), authority),
        None => Ok(()),
    }
}

fn readable(at: Path, file: &FilePath) -> Result<(), Fault> {
    match std::fs::read(file) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!("{} can't be read: {error}", file.display());
            Fault::new(at, message, "name a PEM file that the worker may read")
        }
    }
}

fn known<T>(at: Path, secret: Result<T, impl std::error::Error>) -> Result<(), Fault> {
    match secret {
        Ok(_) => Ok(()),
        // It says itself what to do.
        Err(error) => Fault::new(at, with_sources(&error), ""),
    }
}
