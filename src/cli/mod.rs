//! The command line: what each command is called, what it takes and what its help teaches.
//!
//! One module a command; each ends in an exit code: 0 done, 1 done but something is wrong, 2 it could not be tried.

mod ask;
pub mod audit;
pub mod check;
pub mod crds;
pub mod dlq;
pub mod event;
pub mod evidence;
pub mod explain;
pub mod health;
pub mod import;
mod objects;
mod output;
pub mod rbac;
pub mod release;
pub mod replay;
pub mod responses;
pub mod run;
pub mod schema;
pub mod setup;
mod signals;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::{
    config, demo,
    error::with_sources,
    telemetry::{LogFormat, Traces},
};

/// The response fleet for Falco: acknowledges an event only after its playbook has succeeded.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = "\
Examples:
  stoop demo                            the whole way of an event, with no broker and no cluster
  stoop check -c stoop.yaml --cluster   configuration, playbooks and permissions, before running
  stoop run -c stoop.yaml --mode observe
                                        a worker that only says what it would do
  stoop event --rule 'Terminal shell in container' --pod shop/web-7d4b9 --to falco
                                        what Falco would say about that pod now"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How log lines look; they go to standard error
    #[arg(long, global = true, value_enum, default_value_t, env = "STOOP_LOG_FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a worker
    Run(run::Run),
    /// Show the whole way of an event, with no broker and no cluster
    Demo(demo::Options),
    /// Verify the audit log
    Audit(audit::Audit),
    /// Check configuration and playbooks, and with --cluster the permissions
    Check(check::Check),
    /// Send what Falco would say now about a live pod
    Event(event::Event),
    /// Check what captures have kept
    Evidence(evidence::Evidence),
    /// Explain why an event would or would not match, and what would be done
    Explain(explain::Explain),
    /// Ask a running worker how it is, as a container's health check does
    Health(health::Health),
    /// Turn another tool's rules into playbooks
    Import(import::Import),
    /// Create or check what the subscriptions need on their brokers; never deletes
    Setup(setup::Setup),
    /// List, show, redrive and drop dead letters
    Dlq(dlq::Dlq),
    /// Give an isolated pod its labels and its network back
    Release(release::Release),
    /// List, show, revert, approve and deny what was done and what waits
    Responses(responses::Responses),
    /// Rehearse the playbooks on a history, or publish its events again
    Replay(replay::Replay),
    /// Print the definitions of stoop's own objects, for kubectl
    Crds(crds::Crds),
    /// Print the least roles for the configured playbooks
    Rbac(rbac::Rbac),
    /// Print a JSON Schema, for editors
    Schema(schema::Schema),
    /// Print completions for a shell
    #[command(after_help = "Example: stoop completions bash > /etc/bash_completion.d/stoop")]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

pub(crate) use dlq::safe;

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file [default: stoop.yaml, where there is one]
    #[arg(short, long, value_name = "FILE", env = "STOOP_CONFIG")]
    pub config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads the configuration, with what the environment overrides.
    ///
    /// # Errors
    /// It can't be read or is not valid; the text says where and what to do.
    pub fn load(&self) -> Result<config::Config, config::Error> {
        config::load(self.config.as_deref())
    }

    /// As [`ConfigArgs::load`], for a worker that is to start.
    ///
    /// # Errors
    /// As [`ConfigArgs::load`], and what it names isn't there.
    pub fn load_usable(&self) -> Result<config::Config, config::Error> {
        config::load_usable(self.config.as_deref())
    }
}

/// Why a command could not be tried, in words for the one who called it.
#[derive(Debug)]
pub struct Refused(pub String);

impl<E: std::error::Error> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(with_sources(&error))
    }
}

/// What a command ends in.
pub type Ended = Result<ExitCode, Refused>;

impl Cli {
    /// Runs the command.
    pub async fn run(self) -> ExitCode {
        // Only a worker has something to trace.
        let (traces, refused) = match matches!(self.command, Command::Run(_)) {
            true => {
                Traces::of_environment().map_or_else(|error| (None, Some(error)), |it| (it, None))
            }
            false => (None, None),
        };
        crate::telemetry::init(self.log_format, traces.as_ref());
        if let Some(error) = refused {
            tracing::warn!(
                why = with_sources(&error),
                "traces can't be exported as the environment says"
            );
        }
        let ended = match self.command {
            Command::Run(command) => command.run().await,
            Command::Demo(options) => demo::run(options).await,
            Command::Audit(command) => command.run(),
            Command::Check(command) => command.run().await,
            Command::Event(command) => command.run().await,
            Command::Evidence(command) => command.run().await,
            Command::Explain(command) => command.run().await,
            Command::Health(command) => command.run().await,
            Command::Import(command) => command.run(),
            Command::Setup(command) => command.run().await,
            Command::Dlq(command) => command.run().await,
            Command::Release(command) => command.run().await,
            Command::Responses(command) => command.run().await,
            Command::Replay(command) => command.run().await,
            Command::Crds(command) => command.run(),
            Command::Rbac(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "stoop", &mut script);
                output::write(&script).map(|()| ExitCode::SUCCESS).map_err(Refused::from)
            }
        };
        if let Some(traces) = traces {
            // It blocks, a moment at the most.
            let _ = tokio::task::spawn_blocking(move || traces.end()).await;
        }
        ended.unwrap_or_else(|Refused(why)| {
            use std::io::Write;
            // Nothing is left to tell it to where standard error is gone.
            let _ = writeln!(std::io::stderr(), "stoop: {why}");
            ExitCode::from(2)
        })
    }
}
