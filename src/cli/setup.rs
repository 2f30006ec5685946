//! `stoop setup`: what the subscriptions need on their brokers.

use std::process::ExitCode;

use brokers::kafka;
use clap::Args;

use super::{ConfigArgs, Ended, Refused, output::say};
use crate::config::Broker;

/// Create or check what the subscriptions need on their brokers; never deletes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop setup --dry-run       what would be created
  stoop setup                 create it, or check that it is there
  stoop setup falco           for one subscription alone")]
pub struct Setup {
    #[command(flatten)]
    config: ConfigArgs,

    /// For these subscriptions [default: all]
    subscriptions: Vec<String>,

    /// Only say what would be created
    #[arg(long)]
    dry_run: bool,
}

impl Setup {
    pub(super) async fn run(self) -> Ended {
        let config = self.config.load()?;
        let streams = config.streams();
        if let Some(unknown) = self.subscriptions.iter().find(|name| !streams.contains_key(*name)) {
            let known: Vec<_> = streams.keys().map(String::as_str).collect();
            return Err(Refused(format!(
                "no subscription is called `{unknown}`; known: {}",
                known.join(", ")
            )));
        }
        for (name, subscription) in &streams {
            if !self.subscriptions.is_empty() && !self.subscriptions.contains(name) {
                continue;
            }
            match subscription.broker().map_err(|why| Refused(why.to_owned()))? {
                Broker::Kafka(config) => self.kafka(name, config).await?,
                Broker::Journal(_) => say(format_args!("{name}: a journal needs nothing"))?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn kafka(&self, name: &str, config: &kafka::Config) -> Result<(), Refused> {
        let plan = kafka::Plan::of(config).await?;
        if plan.changes().is_empty() {
            say(format_args!("{name}: all is there"))?;
            return Ok(());
        }
        let verb = if self.dry_run { "would " } else { "" };
        for change in plan.changes() {
            say(format_args!("{name}: {verb}{change}"))?;
        }
        if !self.dry_run {
            plan.apply().await?;
        }
        Ok(())
    }
}
