//! Why a server could not be had, or an expected state did not come about.

use std::{fmt, io, path::Path, process::ExitStatus, time::Duration};

/// Why a server could not be had, or an expected state did not come about.
#[derive(thiserror::Error)]
pub enum Error {
    /// A tool that fetches or builds a server is missing.
    #[error("{tool} is not on PATH, and {wanted_for} needs it: install {install}")]
    MissingTool {
        /// The command that was not found.
        tool: &'static str,
        /// What needs it.
        wanted_for: &'static str,
        /// How to get it.
        install: &'static str,
    },
    /// A tool ran and said no.
    #[error("{what} failed ({status}), its output ends with:\n{output}")]
    Tool {
        /// What was being done.
        what: String,
        /// How the tool ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        output: String,
    },
    /// A server ended by itself.
    #[error("{server} ended by itself ({status}), its log ends with:\n{log}")]
    Ended {
        /// Which server.
        server: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// What was waited for did not happen in time.
    #[error("{what}: not within {within:?}; last seen: {last}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        within: Duration,
        /// What was there instead.
        last: String,
    },
    /// A file, folder, process or socket could not be worked with.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The Kubernetes API said no.
    #[error("{what}")]
    Api {
        /// What was asked of it.
        what: String,
        /// What it answered.
        source: Box<kube::Error>,
    },
    /// A kubeconfig could not be used.
    #[error("{what}")]
    Kubeconfig {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: Box<kube::config::KubeconfigError>,
    },
    /// The server that a process shares could not be had, and everyone who asks is told why.
    #[error(transparent)]
    Shared(&'static Error),
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Api { what, source: Box::new(source) }
    }

    pub(crate) fn kubeconfig(
        what: impl Into<String>,
    ) -> impl FnOnce(kube::config::KubeconfigError) -> Self {
        let what = what.into();
        move |source| Self::Kubeconfig { what, source: Box::new(source) }
    }

    /// The API server has such an object already.
    pub(crate) fn already_exists(&self) -> bool {
        matches!(self, Self::Api { source, .. }
            if matches!(&**source, kube::Error::Api(status) if status.is_already_exists()))
    }

    pub(crate) fn file(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("can't {verb} {}", path.display()))
    }
}

/// Tests unwrap these, so `Debug` is what a person wants to read: the message and its sources.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
