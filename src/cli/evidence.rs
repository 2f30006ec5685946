//! `stoop evidence`: whether what captures have kept is still what they kept.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use playbooks::act::{Kept, Verdict};
use tokio::time::Instant;

use super::{ConfigArgs, Ended, Refused, output::say, safe};
use crate::worker::assemble;

/// How much of what is not there is shown of a capture; all of it is in the manifests.
const SHOWN: usize = 20;

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
compare the manifest's hash with the one that the Response has.

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
    let Some(Verdict { kept, faults }) = verdict else {
        return format!("{folder}: there is no capture, or it was never sealed");
    };
    let said = match faults.len() {
        0 => "as it was kept".to_owned(),
        count => format!("{count} of it not as they were kept"),
    };
    let count = kept.artefacts().count();
    let kind = kept.all().next().map_or_else(String::new, |first| safe(&first.manifest.kind));
    let partial = if kept.forbidden().is_empty() { "" } else { ", partial" };
    let mut lines = vec![format!("{folder}: {kind}, {count} objects{partial}, {said}")];
    lines.extend(faults.iter().map(|fault| format!("  {}", safe(fault))));
    for stored in kept.all() {
        lines.push(format!("  sha256 of {}: {}", safe(&stored.url), stored.sha256));
    }
    lines.extend(not_there(kept));
    lines.join("\n")
}

/// What the capture has not, or has not all of; how many more there are, where they are many.
fn not_there(kept: &Kept) -> Vec<String> {
    let told =
        |word: &str, what: &str, why: &str| format!("  {word} {}: {}", safe(what), safe(why));
    let forbidden = kept.forbidden().iter().map(|one| told("forbidden", &one.what, &one.why));
    let missing = kept.missing().map(|one| told("missing", &one.what, &one.why));
    let cut = kept
        .artefacts()
        .filter_map(|artefact| Some(told("cut", artefact.name(), artefact.cut.as_deref()?)));
    let mut lines: Vec<_> = forbidden.chain(missing).chain(cut).collect();
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.truncate(SHOWN);
        lines.push(format!("  and {more} more: see the manifest"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use playbooks::act::{self, EvidenceConfig};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn what_is_not_there_is_named_and_the_rest_of_it_counted() {
        let folder = tempfile::tempdir().unwrap();
        let missing: Vec<_> =
            (0..30).map(|n| json!({"what": format!("/f{n}"), "why": "no such file"})).collect();
        let manifest = json!({
            "version": 1, "capture": "cap-1", "kind": "snapshot",
            "about": {"event": "e", "rule": "r", "time": "2026-11-21T12:00:00Z", "playbook": "p", "verified": true},
            "started": "2026-11-21T12:00:00Z", "ended": "2026-11-21T12:00:00Z",
            "artefacts": [{"key": "a/log-c.txt", "size": 0, "sha256": "00", "cut": "cut at 10 bytes"}],
            "missing": missing, "forbidden": [{"what": "events.json", "why": "no right"}],
        });
        let capture = folder.path().join("2026-11-21/cap-1");
        std::fs::create_dir_all(&capture).unwrap();
        std::fs::write(capture.join("manifest.json"), manifest.to_string()).unwrap();
        let url = format!("file://{}", folder.path().display());
        let evidence = act::Evidence::open(&EvidenceConfig { url, uploads: None }).unwrap();
        let until = Instant::now() + Duration::from_secs(9);
        let verdict = evidence.verify("2026-11-21/cap-1", until).await.unwrap();
        let told = tell("2026-11-21/cap-1", verdict.as_ref());
        for words in [
            "1 objects, partial, 1 of it not as they were kept",
            "a/log-c.txt is gone",
            "forbidden events.json: no right",
            "missing /f18: no such file",
            "and 12 more",
            "/2026-11-21/cap-1/manifest.json: ",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(!told.contains("/f19:"), "{told}");
    }
}
