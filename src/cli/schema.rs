//! `stoop schema`: JSON Schemas, for editors.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Ended, output::say};
use crate::config::Config;

/// Print a JSON Schema, for editors.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, for editors that speak yaml-language-server:
  stoop schema playbook > playbook.schema.json
  # first line of a playbook: # yaml-language-server: $schema=playbook.schema.json")]
pub struct Schema {
    /// Of what
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// A playbook
    Playbook,
    /// stoop.yaml
    Config,
}

impl Schema {
    pub(super) fn run(self) -> Ended {
        let schema = match self.of {
            Of::Playbook => playbooks::act::schema(),
            Of::Config => schemars::schema_for!(Config).to_value(),
        };
        say(serde_json::to_string_pretty(&schema)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
