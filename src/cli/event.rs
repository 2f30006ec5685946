//! `stoop event`: what Falco would say now about a live pod, printed or published.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use playbooks::{
    act::{Api, Scene},
    decide::Priority,
};

use super::{ConfigArgs, Ended, Refused, output::say};
use crate::worker::publish::Outlet;

/// Send what Falco would say now about a live pod.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stoop event --rule 'Terminal shell in container' --pod shop/web-7d4b9
  stoop event --rule 'Terminal shell in container' --pod shop/web-7d4b9 --to falco
  stoop event --rule 'Read sensitive file untrusted' --priority Warning --pod shop/web-7d4b9 \\
    --field fd.name=/etc/shadow | stoop explain -")]
pub struct Event {
    #[command(flatten)]
    config: ConfigArgs,

    /// The rule that Falco would name
    #[arg(long)]
    rule: String,

    /// The pod it would be about
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = pod)]
    pod: (String, String),

    /// Its container [default: the first]
    #[arg(long)]
    container: Option<String>,

    /// How severe it would be
    #[arg(long, default_value = "Notice", value_parser = priority)]
    priority: Priority,

    /// An output field more; can be repeated
    #[arg(long = "field", value_name = "KEY=VALUE", value_parser = field)]
    fields: Vec<(String, String)>,

    /// Publish to this subscription of the configuration, rather than print
    #[arg(long, value_name = "SUBSCRIPTION")]
    to: Option<String>,
}

pub(super) fn pod(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write NAMESPACE/NAME, such as shop/web-7d4b9".to_owned()),
    }
}

fn priority(text: &str) -> Result<Priority, String> {
    text.parse().map_err(|error: playbooks::decide::UnknownPriority| error.to_string())
}

fn field(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "write KEY=VALUE, such as fd.name=/etc/shadow".to_owned())
}

impl Event {
    pub(super) async fn run(self) -> Ended {
        let config = self.config.load()?;
        let api = Api::connect(None, config.limits.action_timeout.0).await?;
        let mut fields: BTreeMap<_, _> = self.fields.into_iter().collect();
        if let Some(cluster) = &config.cluster.name {
            fields.entry(config.cluster.field.clone()).or_insert_with(|| cluster.clone());
        }
        let scene =
            Scene { rule: self.rule, priority: self.priority, container: self.container, fields };
        let (namespace, name) = &self.pod;
        let event = api.testify(namespace, name, &scene).await?;
        let payload = serde_json::to_vec(&event)?;
        let Some(to) = &self.to else {
            say(String::from_utf8_lossy(&payload))?;
            return Ok(ExitCode::SUCCESS);
        };
        let streams = config.streams();
        let subscription = streams.get(to).ok_or_else(|| {
            let known: Vec<_> = streams.keys().map(String::as_str).collect();
            Refused(format!("no subscription is called `{to}`; known: {}", known.join(", ")))
        })?;
        Outlet::to(subscription).await?.publish(None, &payload, &[]).await?;
        say(format_args!("published to {to}: {} about {namespace}/{name}", scene.rule))?;
        Ok(ExitCode::SUCCESS)
    }
}
