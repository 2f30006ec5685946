//! `stoop responses approve` and `deny`.

use std::process::ExitCode;

use clap::Args;
use playbooks::act::{Decision, Shelf};

use crate::cli::{Ended, output::say};

#[derive(Debug, Args)]
pub(super) struct Approve {
    /// Their names, as `list --phase Pending` shows them
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Deny {
    /// Their names, as `list --phase Pending` shows them
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

impl Approve {
    pub(super) async fn run(self, shelf: &Shelf) -> Ended {
        decide(shelf, &self.names, Decision::Approved, "approved: a worker takes it up").await
    }
}

impl Deny {
    pub(super) async fn run(self, shelf: &Shelf) -> Ended {
        decide(shelf, &self.names, Decision::Denied, "denied").await
    }
}

async fn decide(shelf: &Shelf, names: &[String], decision: Decision, done: &str) -> Ended {
    let mut failed = false;
    for name in names {
        match shelf.decide(name, None, decision).await {
            Ok(_) => say(format_args!("{name}: {done}"))?,
            Err(why) => {
                failed = true;
                say(why)?;
            }
        }
    }
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
