//! Actions and sinks that are added from outside, as `examples/` does: a script to play every part.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use playbooks::act::{Action, Context, Failure, Notification, Outcome, Registry, Sink, Subject};

/// An action that plays outcomes from a script, then is applied, and counts how often it was asked.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    name: &'static str,
    dry_run: bool,
    script: Arc<Mutex<VecDeque<Outcome>>>,
    calls: Arc<Mutex<usize>>,
}

impl Scripted {
    /// One that changes the verified target.
    pub(crate) fn containing(name: &'static str, script: impl Into<VecDeque<Outcome>>) -> Scripted {
        let script = Arc::new(Mutex::new(script.into()));
        Scripted { name, dry_run: true, script, ..Scripted::default() }
    }

    pub(crate) fn without_dry_run(self) -> Scripted {
        Scripted { dry_run: false, ..self }
    }

    pub(crate) fn calls(&self) -> usize {
        *self.calls.lock().expect("calls")
    }

    pub(crate) fn register(&self, registry: Registry) -> Registry {
        let action = self.clone();
        registry.with(self.name, move |_, _| Ok(Arc::new(action.clone())))
    }
}

#[async_trait]
impl Action for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self) -> String {
        format!("play {}", self.name)
    }

    fn needs_target(&self) -> bool {
        true
    }

    fn changes_cluster(&self) -> bool {
        true
    }

    fn supports_dry_run(&self) -> bool {
        self.dry_run
    }

    async fn apply(&self, _: &Context<'_>, subject: Subject<'_>) -> Outcome {
        assert!(matches!(subject, Subject::Target(_)));
        *self.calls.lock().expect("calls") += 1;
        self.script
            .lock()
            .expect("script")
            .pop_front()
            .unwrap_or_else(|| Outcome::Applied("played".into()))
    }
}

/// A sink that fails by a script, and keeps what it was sent.
#[derive(Clone, Default)]
pub(crate) struct Inbox {
    script: Arc<Mutex<VecDeque<Failure>>>,
    messages: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Inbox {
    pub(crate) fn failing(script: impl Into<VecDeque<Failure>>) -> Inbox {
        Inbox { script: Arc::new(Mutex::new(script.into())), ..Inbox::default() }
    }

    pub(crate) fn messages(&self) -> Vec<serde_json::Value> {
        self.messages.lock().expect("messages").clone()
    }
}

#[async_trait]
impl Sink for Inbox {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        if let Some(failure) = self.script.lock().expect("script").pop_front() {
            return Err(failure);
        }
        let message =
            serde_json::to_value(message).map_err(|error| Failure::permanent(error.to_string()))?;
        self.messages.lock().expect("messages").push(message);
        Ok(())
    }
}
