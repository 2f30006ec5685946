//! `stoop responses`: the Response objects of a cluster, listed, shown, taken back, approved and denied.

mod decide;
mod list;
mod revert;
mod select;
mod show;

use clap::{Args, Subcommand};
use playbooks::act::{Api, Shelf};

use super::{ConfigArgs, Ended, Refused};
use crate::config::Config;

/// List, show, revert, approve and deny what was done and what waits.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop responses list --phase Pending
  stoop responses list --namespace shop --output json
  stoop responses show shell-in-container-5d41402abc4b2a76
  stoop responses revert shell-in-container-5d41402abc4b2a76
  stoop responses revert --playbook shell-in-container --dry-run
  stoop responses approve shell-in-container-5d41402abc4b2a76")]
pub struct Responses {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them, newest first
    List(list::List),
    /// Show one: what was done, why, and how to undo it
    Show(show::Show),
    /// Take back what they have changed: what is still ours of it, and nothing else
    Revert(revert::Revert),
    /// Let one run that waits for an approval
    Approve(decide::Approve),
    /// Have one that waits for an approval not run
    Deny(decide::Deny),
}

impl Responses {
    pub(super) async fn run(self) -> Ended {
        let config = self.config.load()?;
        let shelf = shelf(&config).await?;
        match self.command {
            Command::List(command) => command.run(&shelf).await,
            Command::Show(command) => command.run(&shelf).await,
            Command::Revert(command) => command.run(&shelf, &config).await,
            Command::Approve(command) => command.run(&shelf).await,
            Command::Deny(command) => command.run(&shelf).await,
        }
    }
}

async fn shelf(config: &Config) -> Result<Shelf, Refused> {
    let api = Api::connect(None, config.limits.action_timeout.0).await?;
    let shelf = Shelf::new(api, &config.namespace);
    if !shelf.is_there().await? {
        let why = "the cluster has no Response objects: `stoop crds | kubectl apply -f -`";
        return Err(Refused(why.to_owned()));
    }
    Ok(shelf)
}
