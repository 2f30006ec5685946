//! From a file and the environment to a configuration that doesn't contradict itself.

use std::path::{Path, PathBuf};

use playbooks::decide::yaml::{self, Located};
use serde_json::Value;

use super::{
    Config,
    env::{self, Override},
    refuse::{self, Fault},
    usable,
};

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "stoop.yaml";

/// The keys of the first level, for variables of the environment.
const TOP_LEVEL: [&str; 18] = [
    "cluster",
    "playbooks",
    "subscriptions",
    "destinations",
    "functions",
    "notifiers",
    "defaultNotifiers",
    "health",
    "control",
    "namespace",
    "killSwitch",
    "evidence",
    "captureNamespace",
    "captureImage",
    "limits",
    "protect",
    "responses",
    "approvals",
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
    /// A key or value, with its place and the fix; and the variables that say something about its parts.
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
    read(file)?.config()
}

/// As [`load`], for a worker that is to start: what the configuration names has to be there too.
///
/// # Errors
/// As [`load`], and a secret, a certificate or a playbook that isn't there.
pub fn load_usable(file: Option<&Path>) -> Result<Config, Error> {
    read(file)?.usable()
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
    Written::read(name, text, variables)?.config()
}

fn read(file: Option<&Path>) -> Result<Written, Error> {
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
    Written::read(&path.display().to_string(), &text, variables)
}

/// What was written, in the file and in the environment, and where.
struct Written {
    /// The file's places, with the values that hold in the end.
    located: Located,
    /// The file's values alone.
    file: Value,
    overrides: Vec<Override>,
}

impl Written {
    fn read(
        name: &str,
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let mut located = yaml::parse(name, text).map_err(|error| Error::Key(error, Vec::new()))?;
        let file = located.value.clone();
        let overrides = env::overlay(&mut located.value, &TOP_LEVEL, variables)?;
        Ok(Self { located, file, overrides })
    }

    fn config(&self) -> Result<Config, Error> {
        if self.located.value.is_null() {
            return Ok(Config::default());
        }
        let config = self.located.deserialize().map_err(|error| self.placed(error))?;
        refuse::check(&config).map_err(|fault| self.refused(fault))?;
        Ok(config)
    }

    fn usable(&self) -> Result<Config, Error> {
        let config = self.config()?;
        usable::check(&config).map_err(|fault| self.refused(fault))?;
        Ok(config)
    }

    fn refused(&self, Fault { path, message, help }: Fault) -> Error {
        self.placed(self.located.error_at(&path, message, help))
    }

    /// Names who wrote what is wrong: the variable that set it, or else the file.
    fn placed(&self, error: yaml::Error) -> Error {
        let at = error.path().segments();
        let above = self.overrides.iter().filter(|o| at.starts_with(o.path.segments()));
        if let Some(closest) = above.max_by_key(|o| o.path.segments().len()) {
            return variable(closest.name.clone(), &error);
        }
        let below = self.overrides.iter().filter(|o| o.path.segments().starts_with(at));
        let below: Vec<_> = below.map(|o| o.name.clone()).collect();
        let in_file = at.iter().try_fold(&self.file, |value, segment| match segment {
            yaml::Segment::Key(key) => value.get(key),
            yaml::Segment::Index(index) => value.get(index),
        });
        match in_file {
            None if !below.is_empty() => variable(below.join(", "), &error),
            _ => Error::Key(error, below),
        }
    }
}

fn variable(name: String, error: &yaml::Error) -> Error {
    let fix = match error.help() {
        "" => String::new(),
        help => format!("\n  fix: {help}"),
    };
    Error::Variable { name, why: format!("{}: {}{fix}", error.path(), error.message()) }
}

#[cfg(test)]
mod tests;
