//! `stoop replay`: what would have been done about a broker's history or a file, or their events published for real.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, time::Duration};

use brokers::{Error, History, Message};
use bytes::Bytes;
use clap::{ArgGroup, Args, ValueEnum};
use futures::{StreamExt, stream::FuturesUnordered};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use playbooks::act::Registry;
use tokio::time::{Instant, sleep_until};

use super::{
    ConfigArgs, Ended, Refused,
    ask::agreed,
    dlq::{moment, one_of},
    output::say,
    signals,
};
use crate::{
    config::Config,
    letters::history,
    replay::{Lines, Rehearsal},
    worker::assemble,
    worker::publish::Outlet,
};

/// How many are published at once.
const AT_ONCE: usize = 64;

/// Rehearse the playbooks on a broker's history or a file, or publish its events again.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true).args(["dry_run", "to"])),
    group(ArgGroup::new("from").args(["subscription", "file"])),
    after_help = "\
Examples:
  stoop replay --subscription falco --since 7d --dry-run
                                          what the playbooks would have done; no position moves
  stoop replay --file events.jsonl.gz --dry-run --output json
  kubectl logs -n falco ds/falco | stoop replay --file - --dry-run
  stoop replay --file events.jsonl --to staging --rate 100
                                          for real: workers of `staging` answer them"
)]
pub struct Replay {
    #[command(flatten)]
    config: ConfigArgs,

    /// The history of this subscription [default: the only one]
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,

    /// A file with an event a line, gzip or not; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// From then on: a time, or how long ago [default: 7d of a subscription, all of a file]
    #[arg(long, value_name = "TIME|AGE", value_parser = moment)]
    since: Option<Timestamp>,

    /// Report what the playbooks in files would have done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Publish the events into this subscription, for real
    #[arg(long, value_name = "SUBSCRIPTION", conflicts_with = "output")]
    to: Option<String>,

    /// How the report is printed
    #[arg(long, value_enum, default_value_t)]
    output: Output,

    /// Publish at most so many a second
    #[arg(long, value_name = "N", requires = "to", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,

    /// Don't ask before publishing
    #[arg(long, short, requires = "to")]
    yes: bool,
}

/// How the report is printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Output {
    /// For reading
    #[default]
    Text,
    /// One JSON object
    Json,
}

impl Replay {
    pub(super) async fn run(self) -> Ended {
        let config = self.config.load()?;
        match &self.to {
            Some(to) => self.publish(&config, to).await,
            None => self.rehearse(&config).await,
        }
    }

    /// What is read, and its name.
    async fn open(&self, config: &Config) -> Result<(Box<dyn History>, String), Refused> {
        if let Some(file) = &self.file {
            return Ok((Box::new(Lines::open(file)?), file.display().to_string()));
        }
        let (name, subscription) = one_of(config, self.subscription.as_deref())?;
        let week = Duration::from_secs(7 * 24 * 3600);
        let since = self.since.unwrap_or_else(|| Timestamp::now() - week);
        Ok((history(&name, &subscription, &config.control, since).await?, name))
    }

    async fn rehearse(&self, config: &Config) -> Ended {
        let resources = assemble::resources(config)?;
        let rules = assemble::rules(config, &Registry::standard(), &resources)?;
        let guardrails = assemble::guardrails(config)?;
        // A broker has left out what was published before; a file knows only the events' own time.
        let since = self.since.filter(|_| self.file.is_some());
        let mut rehearsal = Rehearsal::new(&rules, &config.cluster, &guardrails, since);
        let (mut history, name) = self.open(config).await?;
        let stop = signals::watch(signals::Words {
            asked: "reading no more",
            insisted: "left at once, without a report",
        })?;
        let progress = progress(&*history);
        while let Some(read) = signals::unless_asked(&stop, history.next()).await
            && let Some(message) = read?
        {
            rehearsal.take(&message);
            progress.inc(1);
        }
        let cut = stop.is_cancelled();
        progress.finish_and_clear();
        let source = if cut { format!("{name} (interrupted)") } else { name };
        let report = rehearsal.end(source);
        match self.output {
            Output::Text => say(report.to_string().trim_end())?,
            Output::Json => say(serde_json::to_string(&report)?)?,
        }
        Ok(if cut { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    async fn publish(&self, config: &Config, to: &str) -> Ended {
        let (to, target) = one_of(config, Some(to))?;
        let outlet = Outlet::to(&target).await?;
        let (mut history, name) = self.open(config).await?;
        let many = history.total().map_or("the".to_owned(), |total| format!("up to {total}"));
        let question =
            format!("publish {many} events of {name} into {to}, for its workers to answer?");
        // Whoever pipes events in can't be asked on the same standard input.
        let piped = self.file.as_deref().is_some_and(|file| file.as_os_str() == "-");
        if !self.yes && (piped && std::io::stdin().is_terminal() || !agreed(&question)?) {
            return Err(Refused("nothing was published".to_owned()));
        }
        let stop = signals::watch(signals::Words {
            asked: "publishing no more, but what is under way",
            insisted: "left at once; what was under way may be published, or not",
        })?;
        let progress = progress(&*history);
        let pause = self.rate.map(|rate| Duration::from_secs(1) / rate);
        let (mut next, mut done) = (Instant::now(), 0_u64);
        let mut under_way = FuturesUnordered::new();
        while let Some(read) = signals::unless_asked(&stop, history.next()).await
            && let Some(message) = read?
        {
            if let Some(pause) = pause {
                sleep_until(next).await;
                next = next.max(Instant::now() - pause) + pause;
            }
            let outlet = &outlet;
            under_way.push(async move { publish(outlet, &message).await });
            if under_way.len() == AT_ONCE
                && let Some(published) = under_way.next().await
            {
                published?;
                done += 1;
                progress.inc(1);
            }
        }
        while let Some(published) = under_way.next().await {
            published?;
            done += 1;
            progress.inc(1);
        }
        progress.finish_and_clear();
        let cut = if stop.is_cancelled() { "; interrupted, the rest was not" } else { "" };
        say(format_args!("published {done} events of {name} into {to}{cut}"))?;
        Ok(if stop.is_cancelled() { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

async fn publish(outlet: &Outlet<'_>, message: &Message) -> Result<(), Error> {
    // Headers of ours say what became of that copy, not of this one.
    let own = |(name, _): &&(String, Bytes)| !name.starts_with("stoop-");
    let headers: Vec<_> = message.headers.iter().filter(own).cloned().collect();
    outlet.publish(message.key.as_deref(), &message.payload, &headers).await
}

/// On standard error, where that is a terminal.
fn progress(history: &dyn History) -> ProgressBar {
    let (bar, template) = match history.total() {
        Some(total) => (ProgressBar::new(total), "{bar:30} {pos}/{len} {per_sec} eta {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} {per_sec}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
