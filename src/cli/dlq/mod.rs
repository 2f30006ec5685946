//! `stoop dlq`: the dead letters of every subscription, listed, shown, redriven and dropped.

mod list;
mod pretty;
mod row;
mod select;
mod settle;
mod show;

use clap::{Args, Subcommand};

use super::{ConfigArgs, Ended};

pub(crate) use row::safe;
pub(super) use row::table;
pub(super) use select::{moment, one_of};

/// List, show, redrive and drop dead letters.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop dlq list                          the dead letters of all subscriptions
  stoop dlq list --reason held-back --since 1d --output json
  stoop dlq show 0/17                     one of them: why, headers, body
  stoop dlq redrive --playbook delete-shell --since 2h --dry-run
  stoop dlq redrive --rule 'Terminal shell in container' --max-age 7d
                                          also events that are by now too old
  stoop dlq drop --reason malformed --until 30d --yes")]
pub struct Dlq {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List dead letters, oldest first
    List(list::List),
    /// Show one dead letter: why it is there, its headers, its body
    Show(show::Show),
    /// Publish dead letters again where they came from, for the playbooks that failed alone
    Redrive(settle::Redrive),
    /// Take dead letters out: their events are gone
    Drop(settle::Drop),
}

impl Dlq {
    pub(super) async fn run(self) -> Ended {
        let config = self.config.load()?;
        match self.command {
            Command::List(command) => command.run(&config).await,
            Command::Show(command) => command.run(&config).await,
            Command::Redrive(command) => command.run(&config).await,
            Command::Drop(command) => command.run(&config).await,
        }
    }
}
