//! The notifier that is always there: one structured line in the worker's log.

use async_trait::async_trait;

use super::{Notification, Sink};
use crate::act::outcome::Failure;

#[derive(Debug)]
pub(super) struct Log;

#[async_trait]
impl Sink for Log {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        message.log("notification");
        Ok(())
    }
}

impl Notification<'_> {
    /// Writes it to the log.
    pub(in crate::act) fn log(&self, what: &str) {
        let steps: Vec<_> =
            self.steps.iter().map(|step| format!("{} {}", step.action, step.outcome)).collect();
        tracing::info!(
            target: "stoop::notification",
            key = self.key,
            event_id = self.event_id,
            rule = self.rule,
            priority = self.priority,
            object = self.target.as_deref().unwrap_or_default(),
            verified = self.verified,
            playbook = &*self.playbook,
            mode = self.mode,
            steps = steps.join(", "),
            output = self.output,
            "{what}"
        );
    }
}
