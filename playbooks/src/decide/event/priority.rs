//! How severe an event is.

use std::fmt;
use std::str::FromStr;

/// Falco's eight priorities, least severe first, so that `>=` reads as in a playbook.
///
/// ```
/// use playbooks::decide::Priority;
/// assert!("warning".parse::<Priority>().is_ok_and(|p| p >= Priority::Notice));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// `Debug`
    Debug,
    /// `Informational`, also read from `info`
    Informational,
    /// `Notice`
    Notice,
    /// `Warning`
    Warning,
    /// `Error`
    Error,
    /// `Critical`
    Critical,
    /// `Alert`
    Alert,
    /// `Emergency`
    Emergency,
}

impl Priority {
    /// All of them, least severe first.
    pub const ALL: [Priority; 8] = [
        Priority::Debug,
        Priority::Informational,
        Priority::Notice,
        Priority::Warning,
        Priority::Error,
        Priority::Critical,
        Priority::Alert,
        Priority::Emergency,
    ];

    /// The name as Falco writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Priority::Debug => "Debug",
            Priority::Informational => "Informational",
            Priority::Notice => "Notice",
            Priority::Warning => "Warning",
            Priority::Error => "Error",
            Priority::Critical => "Critical",
            Priority::Alert => "Alert",
            Priority::Emergency => "Emergency",
        }
    }

    /// The name as Falcosidekick writes it into a NATS subject.
    pub const fn as_lower(self) -> &'static str {
        match self {
            Priority::Debug => "debug",
            Priority::Informational => "informational",
            Priority::Notice => "notice",
            Priority::Warning => "warning",
            Priority::Error => "error",
            Priority::Critical => "critical",
            Priority::Alert => "alert",
            Priority::Emergency => "emergency",
        }
    }

    /// This priority as one bit of a [`Priorities`](crate::decide::Priorities) set.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Reads a name in any case from raw bytes, without allocating.
    pub(crate) fn from_bytes(name: &[u8]) -> Option<Priority> {
        if name.eq_ignore_ascii_case(b"info") {
            return Some(Priority::Informational);
        }
        Priority::ALL
            .into_iter()
            .find(|priority| name.eq_ignore_ascii_case(priority.as_str().as_bytes()))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is none of Falco's priorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of Falco's priorities")]
pub struct UnknownPriority(pub String);

impl FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Priority::from_bytes(name.as_bytes())
            .ok_or_else(|| UnknownPriority(name.chars().take(64).collect()))
    }
}
