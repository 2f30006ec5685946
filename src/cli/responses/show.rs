//! `stoop responses show`.

use std::process::ExitCode;

use clap::Args;
use playbooks::{act::Shelf, decide::yaml};

use crate::cli::{Ended, Refused, output::say, safe};

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its name, as `list` shows it
    name: String,

    /// As JSON, in one line
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn run(self, shelf: &Shelf) -> Ended {
        let stored = shelf.get(&self.name).await?;
        let mut stored =
            stored.ok_or_else(|| Refused(format!("there is no Response {}", self.name)))?;
        stored.metadata.managed_fields = None;
        let value = serde_json::to_value(&stored)?;
        match self.json {
            true => say(value)?,
            false => {
                // What an event says stands in there.
                for line in yaml::print(&value)?.lines() {
                    say(safe(line))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
