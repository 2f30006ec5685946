//! What a playbook says.

use super::Limits;
use crate::decide::Match;
use crate::decide::yaml::{self, Located, Path};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// Which events, and the ordered actions that answer them.
#[derive(Debug)]
pub struct Playbook {
    /// `metadata.name`, behind the namespace and a slash where it is bound to one; playbooks run in order of it.
    pub name: String,
    /// How far it reaches, whatever it selects.
    pub reach: Reach,
    /// How far it may go.
    pub mode: Mode,
    /// Which events and objects it answers.
    pub selector: Match,
    /// What it does, in order; never empty.
    pub actions: Vec<Step>,
    /// Whether a person must agree first.
    pub approval: Approval,
    /// Its limits.
    pub limits: Limits,
    /// Where it was read from.
    pub source: Source,
}

/// How far a playbook reaches, whatever it selects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reach {
    /// The cluster: a file's, and that of an object of the kind `ClusterPlaybook`.
    #[default]
    Cluster,
    /// Verified pods of this namespace alone: that of an object of the kind `Playbook`.
    Namespace(String),
}

impl Reach {
    /// Whether a verified object of this namespace is within it; what has no namespace is in none.
    pub fn covers(&self, namespace: Option<&str>) -> bool {
        match self {
            Reach::Cluster => true,
            Reach::Namespace(own) => namespace == Some(own),
        }
    }
}

/// How far a playbook may go; the order is from least to most, so that a cap is `min`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Verify and judge, change nothing.
    #[default]
    Observe,
    /// Send every write as the server's dry run.
    DryRun,
    /// Act.
    Enforce,
}

impl Mode {
    /// The name as it is written in a playbook.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::DryRun => "dryRun",
            Mode::Enforce => "enforce",
        }
    }
}

/// Whether a person must agree before anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Approval {
    /// It runs by itself.
    #[default]
    None,
    /// It waits for an approval.
    Required,
}

/// One action of a playbook.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The action's name.
    pub action: String,
    /// Its configuration; `{}` where none was written.
    pub config: Value,
    /// What follows when it fails.
    pub on_failure: OnFailure,
    /// Where the step is, for [`Playbook::error_at`].
    pub path: Path,
}

impl Step {
    /// Where the step's configuration is.
    pub fn config_path(&self) -> Path {
        self.path.key(&self.action)
    }
}

/// What follows when an action fails.
#[derive(Debug, Clone, PartialEq)]
pub enum OnFailure {
    /// The playbook ends, failed. The default, but for `capture` and `notify`.
    Stop,
    /// The next action runs. The default of `capture` and `notify`.
    Continue,
    /// These run, then the playbook ends, failed.
    Run(Vec<Step>),
}

/// The document a playbook was read from.
#[derive(Debug, Clone)]
pub struct Source(pub(super) Arc<Located>);

impl Source {
    /// The file's path, or what else names the document.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

/// A fault in a playbook, with its place and the fix.
pub type PlaybookError = yaml::Error;

impl Playbook {
    /// The same for the pods of one namespace alone, and called by it too: no other playbook's name has a slash.
    pub(super) fn bound_to(self, namespace: &str) -> Playbook {
        Playbook {
            name: format!("{namespace}/{}", self.name),
            reach: Reach::Namespace(namespace.to_owned()),
            ..self
        }
    }

    /// A fault at `path` that only a later reader, such as an action, could find.
    pub fn error_at(
        &self,
        path: &Path,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> PlaybookError {
        self.source.0.error_at(path, message, help)
    }
}

/// All faults that were found, in the order they were written; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybookErrors(Vec<PlaybookError>);

impl PlaybookErrors {
    /// The faults.
    pub fn iter(&self) -> impl Iterator<Item = &PlaybookError> {
        self.0.iter()
    }

    /// `Err` if there are any.
    pub fn check(errors: Vec<PlaybookError>) -> Result<(), PlaybookErrors> {
        if errors.is_empty() { Ok(()) } else { Err(PlaybookErrors(errors)) }
    }
}

impl From<PlaybookError> for PlaybookErrors {
    fn from(error: PlaybookError) -> Self {
        PlaybookErrors(vec![error])
    }
}

impl IntoIterator for PlaybookErrors {
    type Item = PlaybookError;
    type IntoIter = std::vec::IntoIter<PlaybookError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for PlaybookErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PlaybookErrors {}
