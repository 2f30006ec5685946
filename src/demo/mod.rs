//! `stoop demo`: the whole way of an event with no broker and no cluster.
//!
//! Lives here: the small in-memory Kubernetes API ([`kubernetes`]), the stage that is set on it, and the story that is
//! played there. The worker is the same that runs for real, as a process of its own; it knows nothing of the demo.

#![allow(
    clippy::indexing_slicing,
    reason = "objects are JSON values, and one that lacks a key gives null"
)]

pub mod kubernetes;

mod http;
mod narrator;
mod pager;
mod program;
mod stage;
mod story;
mod worker;

use std::{pin::pin, process::ExitCode};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Ended, Refused};
use narrator::Narrator;
use stage::{RULE, Stage};

/// Show the whole way of an event, with no broker and no cluster.
///
/// A worker runs on a journal, against a small Kubernetes API in memory. Seven scenes are played, and after each it is
/// checked what became of the cluster, the worker and the notifications. Ends with 0 if every promise was kept, else
/// with 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop demo
  stoop demo --serve            and leaves everything running, for curl and the page in a browser")]
pub struct Options {
    /// Leave cluster and worker running after the story, until ctrl-c
    #[arg(long)]
    serve: bool,
}

/// Whoever is interrupted ends with this, by the custom of shells.
const INTERRUPTED: u8 = 130;

/// Plays the story.
///
/// # Errors
/// The stage could not be set.
pub async fn run(options: Options) -> Ended {
    // Taken, not left to end the process: the worker is to end with the demo.
    let mut leave = pin!(asked_to_leave());
    let mut narrator = Narrator::stdout();
    let (stage, kept) = tokio::select! {
        played = play(&mut narrator) => played?,
        asked = &mut leave => return Ok(asked.map(|()| ExitCode::from(INTERRUPTED))?),
    };
    if options.serve {
        tokio::select! {
            () = serve(&stage, &mut narrator) => {}
            asked = leave => asked?,
        }
    }
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(narrator: &mut Narrator) -> Result<(Stage, bool), stage::Error> {
    narrator.title("stoop demo: a real worker on a journal, and a Kubernetes API in memory");
    let mut stage = Stage::set().await?;
    narrator.says("cluster", &stage.cluster.url());
    let (pid, intake) = (stage.worker.pid(), stage.intake());
    narrator.says("stoop", &format!("process {pid}, takes events at {intake}"));
    narrator.says("playbook", "a shell: delete the pod, then call the pager");
    narrator.says("playbook", "a miner: capture, isolate, delete, call the pager");
    narrator.says("playbook", "a connection: isolate for an hour, call the pager");

    if let Err(error) = story::play(&mut stage, narrator).await {
        narrator.promise("the story comes to its end", false, Refused::from(error).0);
        narrator.quote(stage.worker.log().lines());
    }
    let kept = narrator.end();
    Ok((stage, kept))
}

/// Says how to look around, and then what the pager hears.
async fn serve(stage: &Stage, narrator: &mut Narrator) {
    let (api, intake, health) = (stage.cluster.url(), stage.intake(), stage.worker.health);
    let (page, kubeconfig) = (stage.worker.control, stage.kubeconfig().display().to_string());
    narrator.title("\nEverything goes on until ctrl-c. Try:");
    narrator.quote([
        format!("xdg-open http://{page}/    # the page").as_str(),
        format!("curl {api}/api/v1/namespaces/shop/pods").as_str(),
        format!("curl http://{health}/metrics").as_str(),
        format!("export KUBECONFIG={kubeconfig}").as_str(),
        format!("stoop event --rule '{RULE}' --pod shop/POD | curl -d @- {intake}").as_str(),
    ]);
    for heard in stage.pager.calls().. {
        let call = stage.pager.called(heard, pager::Call::answered).await;
        narrator.says("pager", &story::read_out(&call.message));
    }
}

/// Waits for SIGINT or SIGTERM.
async fn asked_to_leave() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
