//! `stoop setup`: what the subscriptions need on their brokers.

use std::process::ExitCode;

use brokers::{Error, kafka, nats, pubsub};
use clap::Args;
use futures::future::BoxFuture;

use super::{ConfigArgs, Ended, Refused, output::say, signals};
use crate::config::{Broker, Subscription};

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
        let stop = signals::watch(signals::Words {
            asked: "setting up no more",
            insisted: "left at once",
        })?;
        let mut refused = Vec::new();
        for (name, subscription) in &streams {
            if self.subscriptions.is_empty() || self.subscriptions.contains(name) {
                // What one broker refuses is no reason to leave the others undone.
                let set_up = self.subscription(name, subscription);
                let Some(done) = signals::unless_asked(&stop, set_up).await else {
                    refused.push(format!(
                        "{name}: interrupted, so some of it may be there and some not: repeat it, and only what is missing is created"
                    ));
                    break;
                };
                refused.extend(done.err().map(|Refused(why)| format!("{name}: {why}")));
            }
        }
        match refused.is_empty() {
            true => Ok(ExitCode::SUCCESS),
            false => Err(Refused(refused.join("\n"))),
        }
    }

    async fn subscription(&self, name: &str, subscription: &Subscription) -> Result<(), Refused> {
        let broker = subscription.broker().map_err(|why| Refused(why.to_owned()))?;
        match Todo::of(broker).await? {
            None => say(format_args!("{name}: a journal needs nothing"))?,
            Some(todo) if todo.changes.is_empty() => say(format_args!("{name}: all is there"))?,
            Some(todo) => self.make(name, todo).await?,
        }
        Ok(())
    }

    async fn make(&self, name: &str, todo: Todo<'_>) -> Result<(), Refused> {
        let verb = if self.dry_run { "would " } else { "" };
        for change in &todo.changes {
            say(format_args!("{name}: {verb}{change}"))?;
        }
        if !self.dry_run {
            todo.make.await?;
        }
        Ok(())
    }
}

/// What is missing on a broker.
struct Todo<'a> {
    /// A line each.
    changes: Vec<String>,
    /// Makes all of them.
    make: BoxFuture<'a, Result<(), Error>>,
}

impl Todo<'_> {
    /// Looks at the broker. A journal needs nothing of anybody.
    async fn of(broker: Broker<'_>) -> Result<Option<Self>, Error> {
        Ok(match broker {
            Broker::Kafka(config) => {
                let plan = kafka::Plan::of(config).await?;
                let changes = plan.changes().iter().map(ToString::to_string).collect();
                Some(Self { changes, make: Box::pin(async move { plan.apply().await }) })
            }
            Broker::Nats(config) => {
                let plan = nats::Plan::of(config).await?;
                let changes = plan.changes().iter().map(ToString::to_string).collect();
                Some(Self { changes, make: Box::pin(plan.apply()) })
            }
            Broker::PubSub(config) => {
                let plan = pubsub::Plan::of(config).await?;
                let changes = plan.changes().iter().map(ToString::to_string).collect();
                Some(Self { changes, make: Box::pin(plan.apply()) })
            }
            Broker::Journal(_) => None,
        })
    }
}
