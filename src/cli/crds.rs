//! `stoop crds`: the definitions of stoop's own objects.

use std::process::ExitCode;

use clap::Args;
use playbooks::{act::StoredResponse, decide::yaml};

use super::{Ended, output::say};

/// Print the definitions of stoop's own objects, for kubectl.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  stoop crds | kubectl apply -f -       then start the workers anew: they look when they start")]
pub struct Crds {}

impl Crds {
    pub(super) fn run(self) -> Ended {
        let text = yaml::print(&StoredResponse::definition())?;
        say(text.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
