//! `stoop dlq show`.

use std::process::ExitCode;

use brokers::dead_letter::Buried;
use clap::Args;

use super::{
    list::Output,
    row::{body, document, safe, value},
    select::one_of,
};
use crate::{
    cli::{Ended, Refused, output::say},
    config::Config,
    letters::queue,
};

#[derive(Debug, Args)]
#[command(after_help = "Example: stoop dlq show 0/17 --subscription falco")]
pub(super) struct Show {
    /// Where it lies, as `stoop dlq list` says
    place: String,

    /// Of this subscription [default: the only one]
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,

    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Show {
    pub(super) async fn run(self, config: &Config) -> Ended {
        let (name, subscription) = one_of(config, self.subscription.as_deref())?;
        let mut queue = queue(&name, &subscription, &config.control).await?;
        while let Some(buried) = queue.next().await? {
            if buried.place == self.place {
                match self.output {
                    Output::Table => say(shown(&buried))?,
                    Output::Json => say(document(&name, &buried, true)?)?,
                }
                return Ok(ExitCode::SUCCESS);
            }
        }
        Err(Refused(format!(
            "{name} has no dead letter at {}: `stoop dlq list` says where they are",
            self.place
        )))
    }
}

fn shown(buried: &Buried) -> String {
    let Buried { place, message, letter } = buried;
    let mut lines = Vec::new();
    let mut line = |what: &str, text: &str| {
        let text = safe(text).replace('\n', "\n              ");
        lines.push(format!("{what:<13} {text}"));
    };
    line("place", place);
    line("message", &message.id.to_string());
    if let Some(published) = message.published {
        line("published", &published.to_string());
    }
    line("reason", &letter.reason);
    line("error", &letter.error);
    line("tries", &letter.attempts.to_string());
    line("first failed", &letter.first_failed.to_string());
    line("last failed", &letter.last_failed.to_string());
    let all = "all that match: the letter names none".to_owned();
    line("playbooks", &if letter.failed.is_empty() { all } else { letter.failed.join(", ") });
    line("worker", &letter.worker);
    if let Some(key) = &message.key {
        line("key", &value(key));
    }
    for (name, content) in &message.headers {
        line("header", &format!("{}: {}", safe(name), value(content)));
    }
    lines.push(format!("\n{}", body(&message.payload)));
    lines.join("\n")
}
