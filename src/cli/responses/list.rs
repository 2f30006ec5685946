//! `stoop responses list`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use playbooks::act::{Shelf, StoredResponse};

use super::select::Conditions;
use crate::cli::{Ended, dlq::table, output::say, safe};

#[derive(Debug, Args)]
#[command(
    after_help = "Example: stoop responses list --playbook shell-in-container --phase Failed"
)]
pub(super) struct List {
    #[command(flatten)]
    conditions: Conditions,

    /// How they are printed
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How responses are printed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Output {
    /// For reading
    #[default]
    Table,
    /// One JSON object a line
    Json,
}

const HEAD: [&str; 6] = ["NAME", "TARGET", "PHASE", "BEGAN", "EXPIRES", "DONE"];

impl List {
    pub(super) async fn run(self, shelf: &Shelf) -> Ended {
        let mut all = shelf.list(None).await?;
        all.retain(|stored| self.conditions.want(stored));
        all.sort_by_key(|stored| std::cmp::Reverse(stored.spec.began));
        match self.output {
            Output::Table if all.is_empty() => say("no responses")?,
            Output::Table => say(table(&HEAD, &all.iter().map(row).collect::<Vec<_>>()))?,
            Output::Json => {
                for mut stored in all {
                    stored.metadata.managed_fields = None;
                    say(serde_json::to_string(&stored)?)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Names and phases are checked by the API server; what an action says may quote an event.
fn row(stored: &StoredResponse) -> [String; 6] {
    let status = stored.current();
    let target = match &stored.spec.target {
        None => "-".to_owned(),
        Some(target) => {
            let namespace = target.namespace.as_ref().map(|it| format!("{it}/"));
            let kind = target.kind.to_lowercase();
            format!("{kind} {}{}", namespace.unwrap_or_default(), target.name)
        }
    };
    let expires = status.and_then(|status| status.expires_at);
    [
        stored.metadata.name.clone().unwrap_or_default(),
        safe(&target),
        stored.phase().as_str().to_owned(),
        shown(stored.spec.began),
        expires.map_or_else(|| "-".to_owned(), shown),
        status.map(|status| safe(&status.done)).unwrap_or_default(),
    ]
}

fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
