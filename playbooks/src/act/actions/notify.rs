//! `notify`: tells the named notifiers what the event was and what was done about it.

use async_trait::async_trait;
use futures::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::act::{
    action::{Action, Context, Subject},
    config::{self, ConfigError},
    notify::{Notification, Notifiers},
    outcome::{Failure, FailureKind, Outcome, SkipReason},
};

/// The configured action.
#[derive(Debug)]
pub(in crate::act) struct Notify {
    to: Vec<String>,
    /// The first that is told of nothing unasked.
    reserved: Option<String>,
}

/// Tells somebody what the event was and what was done about it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Notify")]
pub(in crate::act) struct Written {
    /// Notifiers of the configuration, by name, and `log`.
    #[schemars(length(min = 1))]
    to: Vec<String>,
}

impl Notify {
    /// Reads the configuration; every name must be a notifier's.
    pub(in crate::act) fn configure(
        config: &Value,
        notifiers: &Notifiers,
    ) -> Result<Notify, ConfigError> {
        let Written { to } = config::read(config)?;
        if to.is_empty() {
            return Err(ConfigError::new("no one to notify").at("to").help("write `to: [log]`"));
        }
        if let Some(unknown) = to.iter().find(|name| !notifiers.has(name)) {
            let known: Vec<_> = notifiers.names().collect();
            return Err(ConfigError::new(format!("there is no notifier `{unknown}`"))
                .at("to")
                .help(format!("configured are: {}", known.join(", "))));
        }
        let reserved = to.iter().find(|name| !notifiers.are_told_anyway(name)).cloned();
        Ok(Notify { to, reserved })
    }

    async fn tell(&self, cx: &Context<'_>) -> Result<Outcome, Failure> {
        let message =
            Notification::new(cx.occurrence, cx.standing, cx.playbook, cx.mode, cx.so_far);
        if cx.dry_run() {
            message.log("dry run, not sent");
            return Ok(Outcome::Skipped(
                SkipReason::DryRun,
                format!("would notify {}", self.to.join(", ")),
            ));
        }
        // At once: one that is away must not keep the others from being told.
        let untold = self.to.iter().filter(|name| !cx.marks.is_done(name));
        let sent = untold.map(async |name| {
            cx.notifiers.send(name, &message, cx.limit.calls).await?;
            cx.marks.done(name);
            Ok(())
        });
        let failures = join_all(sent).await.into_iter().filter_map(Result::err).collect();
        match worst(failures) {
            None => Ok(Outcome::Applied(format!("notified {}", self.to.join(", ")))),
            Some(failure) => Err(failure),
        }
    }
}

/// What is worth waiting for comes first; a permanent failure counts when nothing else is left to try.
fn worst(mut failures: Vec<Failure>) -> Option<Failure> {
    failures.sort_by_key(|failure| match failure.kind {
        FailureKind::Unavailable(_) => 0,
        FailureKind::Transient => 1,
        FailureKind::Permanent => 2,
    });
    failures.into_iter().next()
}

#[async_trait]
impl Action for Notify {
    fn name(&self) -> &'static str {
        "notify"
    }

    fn describe(&self) -> String {
        format!("notify {}", self.to.join(", "))
    }

    /// Whoever is told of what is not done may be told of what is; the others are the operator's to use.
    fn within_namespace(&self) -> Result<(), ConfigError> {
        match &self.reserved {
            None => Ok(()),
            Some(name) => Err(ConfigError::new(format!(
                "`{name}` is none of the defaultNotifiers, and the playbook is bound to its namespace"
            ))
            .at("to")
            .help("name `log` or one of the defaultNotifiers, or make it a ClusterPlaybook")),
        }
    }

    fn needs_target(&self) -> bool {
        false
    }

    fn changes_cluster(&self) -> bool {
        false
    }

    fn supports_dry_run(&self) -> bool {
        true
    }

    async fn apply(&self, cx: &Context<'_>, _: Subject<'_>) -> Outcome {
        self.tell(cx).await.unwrap_or_else(Outcome::from)
    }
}
