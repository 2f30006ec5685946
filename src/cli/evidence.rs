//! `stoop evidence`: whether what captures have kept is still what they kept.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use playbooks::act::Verdict;
use tokio::time::Instant;

use super::{ConfigArgs, Ended, Refused, output::say, safe};
use crate::worker::assemble;

/// More than any capture may hold takes less.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Check what captures have kept.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  stoop evidence verify 2026-11-21/cap-5d41402abc4b2a76b9719d911017c592")]
pub struct Evidence {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read captures again, every byte, and compare them with their manifests
    #[command(after_help = "\
Exits with 1 where something was changed or taken away. Who can change both the data and its manifest is not found out:
compare the manifest with what the audit log says of it.

Example:
  stoop evidence verify 2026-11-21/cap-5d41402abc4b2a76b9719d911017c592")]
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    config: ConfigArgs,

    /// Folders below `evidence.url`, as outcomes name them
    #[arg(required = true)]
    folders: Vec<String>,
}

impl Evidence {
    pub(super) async fn run(self) -> Ended {
        let Command::Verify(verify) = self.command;
        verify.run().await
    }
}

impl Verify {
    async fn run(self) -> Ended {
        let config = self.config.load()?;
        let Some(evidence) = assemble::evidence(&config)? else {
            return Err(Refused(
                "no place for evidence is configured: set `evidence: {url: …}`".to_owned(),
            ));
        };
        let mut is_good = true;
        for folder in &self.folders {
            let verdict = evidence.verify(folder, Instant::now() + LONGEST).await?;
            is_good &= verdict.as_ref().is_some_and(|verdict| verdict.faults.is_empty());
            say(tell(folder, verdict.as_ref()))?;
        }
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn tell(folder: &str, verdict: Option<&Verdict>) -> String {
    let Some(Verdict { manifest, faults }) = verdict else {
        return format!("{folder}: there is no capture, or it was never whole");
    };
    let said = match faults.len() {
        0 => "as it was kept".to_owned(),
        count => format!("{count} of it not as they were kept"),
    };
    let (kind, count) = (safe(&manifest.kind), manifest.artefacts.len());
    let mut lines = vec![format!("{folder}: {kind}, {count} objects, {said}")];
    lines.extend(faults.iter().map(|fault| format!("  {}", safe(fault))));
    lines.join("\n")
}
