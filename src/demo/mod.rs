//! `stoop demo`: the whole way of an event with no broker and no cluster.
//!
//! Lives here: the small in-memory Kubernetes API ([`kubernetes`]), the stage that is set on it, and the story that is
//! played there. The worker is the same that runs for real, as a process of its own; it knows nothing of the demo.

pub mod kubernetes;

mod http;
mod narrator;
mod pager;
mod stage;
mod story;
mod worker;

use std::process::ExitCode;

use clap::Args;

use crate::cli::{Ended, Refused};
use narrator::Narrator;
use stage::{RULE, Stage};

/// Show the whole way of an event, with no broker and no cluster.
///
/// A worker runs on a journal, against a small Kubernetes API in memory. Five scenes are played, and after each it is
/// checked what became of the cluster, the worker and the notifications. Ends with 0 if every promise was kept, else
/// with 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop demo
  stoop demo --serve            and leaves everything running, for curl")]
pub struct Options {
    /// Leave cluster and worker running after the story, until ctrl-c
    #[arg(long)]
    serve: bool,
}

/// Plays the story.
///
/// # Errors
/// The stage could not be set.
pub async fn run(options: Options) -> Ended {
    let mut narrator = Narrator::stdout();
    let mut stage = Stage::set().await.map_err(|error| Refused(chain(&*error)))?;
    narrator.title("stoop demo: a real worker, on a journal, against a Kubernetes API in memory");
    narrator.says("cluster", &format!("{}, with shop and kube-system", stage.cluster.url()));
    narrator.says(
        "stoop",
        &format!("process {}, taking events at {}", stage.worker.pid(), stage.intake()),
    );
    narrator.says("playbook", &format!("{RULE:?}: delete the pod, then tell the pager"));

    if let Err(error) = story::play(&mut stage, &mut narrator).await {
        narrator.promise("the story goes on", false, chain(&error));
        narrator.quote(stage.worker.log().lines());
    }
    let kept = narrator.end();
    if options.serve {
        serve(&stage, &mut narrator).await?;
    }
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn serve(stage: &Stage, narrator: &mut Narrator) -> std::io::Result<()> {
    let kubeconfig = stage.kubeconfig();
    narrator.title("\nEverything is left running, until ctrl-c. Try:");
    for line in [
        format!("curl {}/api/v1/namespaces/shop/pods", stage.cluster.url()),
        format!(
            "KUBECONFIG={} stoop event --rule '{RULE}' --pod shop/POD | curl -d @- {}",
            kubeconfig.display(),
            stage.intake()
        ),
        format!("curl http://{}/metrics", stage.worker.health),
    ] {
        narrator.quote([line.as_str()]);
    }
    let mut heard = stage.pager.calls();
    loop {
        tokio::select! {
            ended = tokio::signal::ctrl_c() => return ended,
            call = stage.pager.called(heard, pager::Call::answered) => {
                heard += 1;
                narrator.says("pager", &story::read_out(&call.message));
            }
        }
    }
}

/// An error with all of its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
