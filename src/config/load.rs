//! From a file and the environment to a configuration that doesn't contradict itself.

use std::path::{Path, PathBuf};

use playbooks::decide::yaml::{self, Located};
use settings::ByteSize;

use super::{Config, env};

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "stoop.yaml";

/// The keys of the first level, for variables of the environment.
const TOP_LEVEL: [&str; 10] = [
    "cluster",
    "playbooks",
    "subscriptions",
    "notifiers",
    "defaultNotifiers",
    "health",
    "namespace",
    "killSwitch",
    "limits",
    "protect",
];

/// Why there is no configuration. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("{path}: it can't be read; name another with -c FILE", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A variable of the environment.
    #[error("{name}: {why}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A key or value, with its place and the fix.
    #[error("{0}{environment}", environment = overridden(.1))]
    Key(yaml::Error, Vec<String>),
}

fn overridden(variables: &[String]) -> String {
    match variables {
        [] => String::new(),
        some => format!("\n  the environment overrides: {}", some.join(", ")),
    }
}

/// Reads the file (`stoop.yaml` where none is named; none at all is an empty one) and the environment.
///
/// # Errors
/// As [`parse`], and what can't be read.
pub fn load(file: Option<&Path>) -> Result<Config, Error> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            String::new()
        }
        Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    parse(&path.display().to_string(), &text, variables)
}

/// Reads a configuration from text, with variables that override it.
///
/// # Errors
/// Not YAML, an unknown key, a wrong type, settings that contradict each other: with place and fix.
pub fn parse(
    name: &str,
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Error> {
    let mut located = yaml::parse(name, text).map_err(|error| Error::Key(error, Vec::new()))?;
    let applied = env::overlay(&mut located.value, &TOP_LEVEL, variables)?;
    read(&located).map_err(|error| Error::Key(error, applied))
}

fn read(located: &Located) -> Result<Config, yaml::Error> {
    if located.value.is_null() {
        return Ok(Config::default());
    }
    let config: Config = located.deserialize()?;
    let root = yaml::Path::root();
    for (name, subscription) in &config.subscriptions {
        let at = root.key("subscriptions").key(name);
        let broker = match subscription.broker() {
            Ok(broker) => broker,
            Err(why) => {
                return Err(located.error_at(&at, why, "name exactly one of kafka, journal"));
            }
        };
        if let Err(error) = broker.check() {
            return Err(located.error_at(&at.key(broker.as_str()), error.to_string(), ""));
        }
        if subscription.concurrency == 0 {
            let at = at.key("concurrency");
            return Err(located.error_at(&at, "nothing would ever run", "at least 1"));
        }
    }
    for (position, name) in config.default_notifiers.iter().enumerate() {
        if !config.notifiers.contains_key(name) && name != "log" {
            let known: Vec<_> =
                config.notifiers.keys().map(String::as_str).chain(["log"]).collect();
            let at = root.key("defaultNotifiers").index(position);
            let message = format!("no notifier is called `{name}`");
            return Err(located.error_at(&at, message, format!("known: {}", known.join(", "))));
        }
    }
    let limits = root.key("limits");
    if config.limits.concurrency == 0 {
        let at = limits.key("concurrency");
        return Err(located.error_at(&at, "nothing would ever run", "at least 1"));
    }
    if config.limits.memory < ByteSize::mib(1) {
        return Err(located.error_at(
            &limits.key("memory"),
            "too little for one event",
            "at least 1MiB",
        ));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse("stoop.yaml", text, []).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_a_worker_with_every_default() {
        let config = parse("stoop.yaml", "", []).unwrap();
        assert_eq!(config.limits.concurrency, 256);
        assert!(config.subscriptions.is_empty());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_fix() {
        let error = refused("limits:\n  memroy: 64MiB\n");
        assert!(error.starts_with("stoop.yaml:2:3: limits"), "{error}");
        assert!(error.contains("did you mean `memory`?"), "{error}");
    }

    #[test]
    fn a_wrong_type_is_refused_at_its_value() {
        let error = refused("limits: {concurrency: many}\n");
        assert!(error.starts_with("stoop.yaml:1:23:"), "{error}");
    }

    #[test]
    fn a_subscription_names_exactly_one_broker() {
        let error = refused("subscriptions:\n  falco: {concurrency: 3}\n");
        assert!(
            error.contains("no broker is named") && error.contains("kafka, journal"),
            "{error}"
        );
    }

    #[test]
    fn a_default_notifier_that_does_not_exist_is_refused() {
        let error = refused("defaultNotifiers: [slak]\n");
        assert!(error.contains("no notifier is called `slak`"), "{error}");
    }

    #[test]
    fn the_variable_that_broke_the_configuration_is_named() {
        let variables = [("STOOP_LIMITS__CONCURRENCY".to_owned(), "many".to_owned())];
        let error = parse("stoop.yaml", "", variables).unwrap_err().to_string();
        assert!(error.contains("STOOP_LIMITS__CONCURRENCY"), "{error}");
    }
}
