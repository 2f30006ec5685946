//! `stoop dlq list`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{
    row::{HEAD, document, row, table},
    select::{Conditions, one_of},
};
use crate::{
    cli::{Ended, Refused, output::say},
    config::{Config, Subscription},
    error::with_sources,
    letters::queue,
};

#[derive(Debug, Args)]
#[command(after_help = "Example: stoop dlq list --reason failed --since 1d")]
pub(super) struct List {
    /// Only this subscription [default: all]
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,

    #[command(flatten)]
    conditions: Conditions,

    /// At most so many of each subscription
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,

    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How dead letters are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Output {
    /// For reading
    #[default]
    Table,
    /// One JSON object a line
    Json,
}

impl List {
    pub(super) async fn run(self, config: &Config) -> Ended {
        let streams = match &self.subscription {
            Some(name) => [one_of(config, Some(name))?].into(),
            None => config.streams(),
        };
        let mut failed = Vec::new();
        for (name, subscription) in &streams {
            let titled = streams.len() > 1;
            if let Err(Refused(why)) = self.list(config, name, subscription, titled).await {
                // The others are there all the same.
                failed.push(format!("{name}: {why}"));
            }
        }
        match failed.is_empty() {
            true => Ok(ExitCode::SUCCESS),
            false => Err(Refused(failed.join("\nstoop: "))),
        }
    }

    async fn list(
        &self,
        config: &Config,
        name: &str,
        subscription: &Subscription,
        titled: bool,
    ) -> Result<(), Refused> {
        let mut queue = queue(name, subscription, &config.control).await?;
        let filter = self.conditions.filter();
        let (mut rows, mut more, mut broken) = (Vec::new(), false, None);
        loop {
            let buried = match queue.next().await {
                Ok(Some(buried)) => buried,
                Ok(None) => break,
                // What was read is shown.
                Err(error) => {
                    broken = Some(Refused(with_sources(&error)));
                    break;
                }
            };
            if !filter.wants(&buried) {
                continue;
            }
            if rows.len() == self.limit {
                more = true;
                break;
            }
            match self.output {
                Output::Table => rows.push(row(&buried)),
                Output::Json => {
                    rows.push(Default::default());
                    say(document(name, &buried, false)?)?;
                }
            }
        }
        if let Output::Table = self.output {
            if titled {
                say(format_args!("{name}"))?;
            }
            match rows.is_empty() {
                true => say("no dead letters")?,
                false => say(table(&HEAD, &rows))?,
            }
            if more {
                say(format_args!("… and more: --limit {} shows them", self.limit * 10))?;
            }
        }
        broken.map_or(Ok(()), Err)
    }
}
