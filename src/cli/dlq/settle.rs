//! `stoop dlq redrive` and `stoop dlq drop`: what is chosen is counted and agreed to first, then done one by one.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    process::ExitCode,
};

use brokers::dead_letter::{Buried, MAX_AGE, Queue};
use bytes::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use settings::Span;
use tokio_util::sync::CancellationToken;

use super::{
    row::{HEAD, row, table},
    select::{Conditions, one_of},
};
use crate::{
    cli::{Ended, Refused, ask::agreed, output::say, signals},
    config::Config,
    error::with_sources,
    letters::{Filter, queue},
};

/// So many failures in a row are an outage, and trying the rest would only take long.
const OUTAGE: usize = 5;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop dlq redrive 0/17 0/18
  stoop dlq redrive --playbook delete-shell --since 2h --dry-run
  stoop dlq redrive --all --max-age 7d --yes

Interrupted it ends after the current one. What was redriven is marked or gone, so it can be repeated;
an event that comes twice finds what was done the first time.")]
pub(super) struct Redrive {
    #[command(flatten)]
    chosen: Chosen,

    /// Let events be answered that are up to so old, such as 7d. All other guardrails hold, and the target is verified all the same
    #[arg(long, value_name = "AGE", value_parser = age)]
    max_age: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop dlq drop 0/17
  stoop dlq drop --reason malformed --until 30d --dry-run")]
pub(super) struct Drop {
    #[command(flatten)]
    chosen: Chosen,
}

/// Which dead letters, and how sure.
#[derive(Debug, Args)]
struct Chosen {
    /// Where they lie, as `stoop dlq list` says
    places: Vec<String>,

    /// All of the subscription
    #[arg(long)]
    all: bool,

    /// Of this subscription [default: the only one]
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,

    #[command(flatten)]
    conditions: Conditions,

    /// At most so many, the oldest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Only say which
    #[arg(long)]
    dry_run: bool,

    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

fn age(text: &str) -> Result<String, String> {
    Span::parse(text).map(|_| text.to_owned())
}

/// What is done with each.
#[derive(Clone, Debug)]
enum Deed {
    /// For this playbook alone, if one is named.
    Redrive {
        playbook: Option<String>,
        more: Vec<(String, Bytes)>,
    },
    Drop,
}

impl Redrive {
    pub(super) async fn run(self, config: &Config) -> Ended {
        let more = self.max_age.map(|age| (MAX_AGE.to_owned(), Bytes::from(age)));
        let playbook = self.chosen.conditions.playbook.clone();
        let deed = Deed::Redrive { playbook, more: more.into_iter().collect() };
        self.chosen.run(config, &deed).await
    }
}

impl Drop {
    pub(super) async fn run(self, config: &Config) -> Ended {
        self.chosen.run(config, &Deed::Drop).await
    }
}

impl Chosen {
    async fn run(self, config: &Config, deed: &Deed) -> Ended {
        if self.places.is_empty() && !self.all && self.conditions.are_none() {
            return Err(Refused(
                "say which: places, a condition such as --rule, or --all".to_owned(),
            ));
        }
        let (name, subscription) = one_of(config, self.subscription.as_deref())?;
        let mut letters = queue(&name, &subscription, &config.control).await?;
        let (filter, places) = (self.conditions.filter(), self.places.iter().cloned().collect());
        let limit = self.limit.unwrap_or(usize::MAX);
        let chosen = choose(&mut *letters, &filter, &places, limit, self.dry_run).await?;
        let missing: Vec<_> = places.difference(&chosen.places).cloned().collect();
        if !missing.is_empty() && self.limit.is_none() {
            return Err(Refused(format!(
                "{name} has no such dead letter: {}; `stoop dlq list` says where they are",
                missing.join(", ")
            )));
        }
        if chosen.places.is_empty() {
            say(format_args!("{name}: no such dead letters"))?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.dry_run {
            say(table(&HEAD, &chosen.rows))?;
            say(format_args!("\n{} of {name} would be {}", chosen.places.len(), deed.done()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let many = chosen.places.len() > 1;
        if many
            && !self.yes
            && !agreed(&format!("{} {} of {name}?", deed.verb(), chosen.places.len()))?
        {
            return Err(Refused("nothing was done".to_owned()));
        }
        // A journal's file can be open once.
        drop(letters);
        let stop = signals::watch(signals::Words {
            asked: "ending after the current one",
            insisted: "left at once; the current one may be done, or not: repeat it",
        })?;
        // From the start again: the first pass only chose.
        let mut letters = queue(&name, &subscription, &config.control).await?;
        let tally = settle(&mut *letters, chosen.places, deed, &stop).await?;
        say(format_args!("{name}: {}", tally.told(deed)))?;
        Ok(if tally.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// The dead letters that are meant.
#[derive(Debug, Default)]
struct Choice {
    places: BTreeSet<String>,
    /// Filled only for showing.
    rows: Vec<[String; 7]>,
}

async fn choose(
    queue: &mut dyn Queue,
    filter: &Filter,
    places: &BTreeSet<String>,
    limit: usize,
    shown: bool,
) -> Result<Choice, brokers::Error> {
    let mut choice = Choice::default();
    while choice.places.len() < limit
        && let Some(buried) = queue.next().await?
    {
        let named = places.is_empty() || places.contains(&buried.place);
        if named && filter.wants(&buried) {
            if shown {
                choice.rows.push(row(&buried));
            }
            choice.places.insert(buried.place);
        }
    }
    Ok(choice)
}

impl Deed {
    fn verb(&self) -> &'static str {
        match self {
            Self::Redrive { .. } => "redrive",
            Self::Drop => "drop",
        }
    }

    fn done(&self) -> &'static str {
        match self {
            Self::Redrive { .. } => "redriven",
            Self::Drop => "dropped",
        }
    }

    async fn to(&self, queue: &mut dyn Queue, buried: &Buried) -> Result<(), brokers::Error> {
        match self {
            Self::Drop => queue.remove(buried).await,
            Self::Redrive { playbook: Some(playbook), more } if buried.letter.failed.len() > 1 => {
                queue.redrive_for(buried, std::slice::from_ref(playbook), more).await
            }
            Self::Redrive { more, .. } => queue.redrive(buried, more).await,
        }
    }
}

/// What became of those that were chosen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    done: usize,
    failed: usize,
    left: usize,
    why_ended: Option<&'static str>,
}

impl Tally {
    fn is_complete(&self) -> bool {
        self.failed == 0 && self.why_ended.is_none()
    }

    fn told(&self, deed: &Deed) -> String {
        let mut told = format!("{} {}", self.done, deed.done());
        if self.failed > 0 {
            told += &format!(", {} failed and stay", self.failed);
        }
        if let Some(why) = self.why_ended {
            told += &format!(", {} left as they were: {why}", self.left);
        } else if self.left > 0 {
            // Somebody else redrove or dropped them meanwhile.
            told += &format!(", {} were gone already", self.left);
        }
        told
    }
}

/// Does it to each of them, until `stop`: then the current one is ended and no other begun.
async fn settle(
    queue: &mut dyn Queue,
    mut places: BTreeSet<String>,
    deed: &Deed,
    stop: &CancellationToken,
) -> Result<Tally, brokers::Error> {
    let progress = ProgressBar::new(places.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} eta {eta}") {
        progress.set_style(style);
    }
    let (mut tally, mut in_a_row) = (Tally::default(), 0);
    while !places.is_empty() {
        if in_a_row == OUTAGE {
            tally.why_ended = Some("too many failed in a row");
            break;
        }
        let Some(found) = signals::unless_asked(stop, queue.next()).await else {
            tally.why_ended = Some("interrupted");
            break;
        };
        let Some(buried) = found? else { break };
        if !places.remove(&buried.place) {
            continue;
        }
        match deed.to(queue, &buried).await {
            Ok(()) => {
                tally.done += 1;
                in_a_row = 0;
            }
            Err(error) => {
                tally.failed += 1;
                in_a_row += 1;
                progress.suspend(|| {
                    // Nothing is left to tell it to where standard error is gone.
                    let _ =
                        writeln!(io::stderr(), "stoop: {}: {}", buried.place, with_sources(&error));
                });
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    tally.left = places.len();
    Ok(tally)
}

#[cfg(test)]
mod tests;
