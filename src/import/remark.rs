//! What an import has to say about what it could not keep as it was.

use std::fmt;

use playbooks::decide::yaml;

use super::{names::one_line, source::Node};

/// How much of a thing was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Lost,
    /// It is there, and means something else in a way that may matter.
    Differs,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Lost => "not carried over",
            Kind::Differs => "differs",
        }
    }
}

/// One remark at its place, with why and what to do instead.
///
/// [`Display`](fmt::Display) is for a terminal: file, line, column, the line itself, and what to do.
#[derive(Clone, Debug)]
pub struct Remark {
    kind: Kind,
    fault: yaml::Error,
}

impl Remark {
    pub(super) fn lost(at: &Node, why: impl fmt::Display, instead: impl Into<String>) -> Remark {
        Remark::new(Kind::Lost, at, why, instead)
    }

    pub(super) fn differs(at: &Node, how: impl fmt::Display, what: impl Into<String>) -> Remark {
        Remark::new(Kind::Differs, at, how, what)
    }

    fn new(kind: Kind, at: &Node, why: impl fmt::Display, help: impl Into<String>) -> Remark {
        let message = format!("{}: {why}", kind.as_str());
        Remark { kind, fault: at.fault(message, help) }
    }

    /// How much was kept.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What a comment in the playbook says of it, on one line.
    pub(super) fn comment(&self) -> String {
        let (message, help) = (self.fault.message(), self.fault.help());
        let place = self.fault.place().map_or_else(String::new, |place| {
            format!(" ({}:{}:{})", self.fault.name(), place.line, place.column)
        });
        match help {
            "" => one_line(&format!("{message}{place}")),
            help => one_line(&format!("{message}; {help}{place}")),
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}
