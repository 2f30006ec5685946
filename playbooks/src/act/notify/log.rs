//! The notifier that is always there: one structured line in the worker's log.

use async_trait::async_trait;

use super::{Notification, Pace, Sink};
use crate::act::outcome::Failure;

#[derive(Debug)]
pub(super) struct Log;

#[async_trait]
impl Sink for Log {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        message.log("notification");
        Ok(())
    }

    fn pace(&self) -> Option<Pace> {
        None
    }
}

impl Notification<'_> {
    /// Writes it to the log, without its link: who reads there may not be who is asked.
    pub(in crate::act) fn log(&self, what: &str) {
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
            steps = self.done(),
            output = self.output,
            "{what}"
        );
    }
}
