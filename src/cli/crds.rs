//! `stoop crds`: the definitions of stoop's own objects.

use std::process::ExitCode;

use clap::Args;
use playbooks::{
    act::{PlaybookKind, StoredResponse},
    decide::yaml,
};

use super::{Ended, output::say};

/// Print the definitions of stoop's own objects, for kubectl.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  stoop crds | kubectl apply -f -       workers notice within half a minute

Response is what workers write down. Playbook and ClusterPlaybook are playbooks as objects: they are in force
only where the configuration says `playbookObjects: true`.")]
pub struct Crds {}

impl Crds {
    pub(super) fn run(self) -> Ended {
        let playbooks = PlaybookKind::ALL.map(PlaybookKind::definition);
        let mut texts = Vec::new();
        for definition in [StoredResponse::definition()].iter().chain(&playbooks) {
            texts.push(yaml::print(definition)?.trim_end().to_owned());
        }
        say(texts.join("\n---\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}
