//! `stoop responses revert`.

use std::process::ExitCode;

use clap::Args;
use playbooks::act::{Reverter, Shelf, StoredResponse, TakenBack, Which};

use super::select::Conditions;
use crate::{
    cli::{Ended, Refused, output::say, safe},
    config::Config,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Only what is still as stoop left it is taken back: what somebody has changed since stays. Twice changes nothing.

Examples:
  stoop responses revert shell-in-container-5d41402abc4b2a76
  stoop responses revert --playbook shell-in-container --namespace shop --dry-run")]
pub(super) struct Revert {
    /// Their names, as `list` shows them
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    conditions: Conditions,

    /// Change nothing, and say what would be taken back
    #[arg(long)]
    dry_run: bool,
}

impl Revert {
    pub(super) async fn run(self, shelf: &Shelf, config: &Config) -> Ended {
        let chosen = self.choose(shelf).await?;
        let name = format!("stoop-responses-revert-{:08x}", fastrand::u32(..));
        let lease = 2 * config.limits.action_timeout.0;
        let reverter = Reverter { shelf, name: &name, lease };
        let mut failed = false;
        for stored in &chosen {
            let name = stored.metadata.name.as_deref().unwrap_or_default();
            match reverter.revert(stored, Which::All, self.dry_run).await {
                Ok(done) => {
                    failed |= !done.failed.is_empty();
                    tell(name, &done)?;
                }
                Err(failure) => {
                    failed = true;
                    say(format_args!("{name}: {}", safe(&failure.why)))?;
                }
            }
        }
        if chosen.is_empty() {
            say("no responses")?;
        }
        Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    async fn choose(&self, shelf: &Shelf) -> Result<Vec<StoredResponse>, Refused> {
        if self.names.is_empty() && self.conditions.are_none() {
            return Err(Refused(
                "which? Name them, or say --playbook, --namespace, --phase".into(),
            ));
        }
        if self.names.is_empty() {
            let mut all = shelf.list(None).await?;
            all.retain(|stored| self.conditions.want(stored));
            return Ok(all);
        }
        let mut chosen = Vec::new();
        for name in &self.names {
            let stored = shelf.get(name).await?;
            let stored = stored.ok_or_else(|| Refused(format!("there is no Response {name}")))?;
            chosen.extend(Some(stored).filter(|stored| self.conditions.want(stored)));
        }
        Ok(chosen)
    }
}

fn tell(name: &str, done: &TakenBack) -> std::io::Result<()> {
    if done.undone.is_empty() && done.failed.is_empty() {
        return say(format_args!("{name}: nothing to take back, or a worker is at it"));
    }
    say(name)?;
    for undone in &done.undone {
        let object = format!("{} {}", undone.object.kind.to_lowercase(), undone.object.name);
        say(format_args!("  {} of {}: {}", undone.action, safe(&object), safe(&undone.detail)))?;
    }
    for (change, failure) in &done.failed {
        say(format_args!("  {}: FAILED, {}", change.action, safe(&failure.why)))?;
    }
    Ok(())
}
