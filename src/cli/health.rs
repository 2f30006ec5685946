//! `stoop health`: how a worker is, for health checks of containers that have no other program to ask it with.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use reqwest::StatusCode;
use serde::Deserialize;

use super::{ConfigArgs, Ended, output::say, safe};
use crate::{error::with_sources, worker::publish::reachable};

/// Ask a running worker how it is.
///
/// Asks `health.listen` on this machine: with 0 it is ready, with 1 it isn't, or there is none, and the lines say why.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop health            is it ready: are its subscriptions up, and all that it depends on?
  stoop health --live     does it run at all?
  stoop health --url http://10.0.0.7:2806")]
pub struct Health {
    #[command(flatten)]
    config: ConfigArgs,

    /// Only whether it runs: a restart doesn't bring back what it waits for
    #[arg(long)]
    live: bool,

    /// Ask there, whatever the configuration says
    #[arg(long)]
    url: Option<String>,

    /// How long it may take to answer
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = settings::Span::parse)]
    timeout: settings::Span,
}

/// What `/readyz` says.
#[derive(Deserialize)]
struct Ready {
    waiting: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

impl Health {
    pub(super) async fn run(self) -> Ended {
        let base = match self.url {
            Some(url) => url,
            None => format!("http://{}", reachable(self.config.load()?.health.listen)),
        };
        let path = if self.live { "healthz" } else { "readyz" };
        let answer = ask(&format!("{}/{path}", base.trim_end_matches('/')), self.timeout.0).await;
        let (is_well, lines) = match answer {
            Ok((StatusCode::OK, text)) => (true, told(&text)),
            Ok((StatusCode::SERVICE_UNAVAILABLE, text)) => (false, told(&text)),
            Ok((status, _)) => (false, vec![format!("{base} answers {status}: is it a worker?")]),
            Err(error) => (false, vec![format!("no worker answers: {}", with_sources(&error))]),
        };
        for line in lines {
            say(safe(&line))?;
        }
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

async fn ask(url: &str, within: Duration) -> reqwest::Result<(StatusCode, String)> {
    // A proxy has no way to this machine's loopback.
    let client = reqwest::Client::builder().no_proxy().timeout(within).build()?;
    let answer = client.get(url).send().await?;
    Ok((answer.status(), answer.text().await?))
}

/// A line for each thing that it waits for, or that it doesn't promise.
fn told(text: &str) -> Vec<String> {
    let Ok(Ready { waiting, warnings }) = serde_json::from_str(text) else {
        return vec![text.trim().to_owned()];
    };
    let mut lines: Vec<_> = waiting.into_iter().map(|what| format!("waits: {what}")).collect();
    if lines.is_empty() {
        lines.push("ready".to_owned());
    }
    lines.extend(warnings.into_iter().map(|what| format!("warning: {what}")));
    lines
}
