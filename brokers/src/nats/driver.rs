//! Connects, binds to the consumer, and watches over each term: one after another for as long as the worker lives.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Event,
    jetstream::{consumer, context::Context},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    beat, client,
    config::Config,
    fit,
    health::Monitor,
    lag::Lag,
    lookup::{self, Missing},
    outbox::Outbox,
    session::Session,
    term::Term,
    window::Limits,
};

/// How long is waited before something that is away is looked for again.
const AGAIN: Duration = Duration::from_secs(2);

/// How often the consumer is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What receiver, ledger and driver share.
pub(super) struct Shared {
    pub(super) config: Config,
    /// How many messages the worker holds at most.
    pub(super) slots: usize,
    pub(super) monitor: Monitor,
    pub(super) outbox: Outbox,
    /// The session of the current term, once the receiver has it.
    pub(super) session: tokio::sync::Mutex<Option<Session>>,
    /// The client, once there is one.
    pub(super) context: watch::Sender<Option<Context>>,
    /// Counts connections.
    pub(super) connections: watch::Sender<u64>,
    /// Asks the driver to look at the consumer now.
    pub(super) trouble: Notify,
    pub(super) lag: Mutex<Lag>,
    /// Fires when the worker leaves.
    pub(super) left: CancellationToken,
}

impl Shared {
    pub(super) fn new(config: Config, slots: usize) -> Self {
        Self {
            config,
            slots,
            monitor: Monitor::default(),
            outbox: Outbox::open(),
            session: tokio::sync::Mutex::default(),
            context: watch::Sender::new(None),
            connections: watch::Sender::new(0),
            trouble: Notify::new(),
            lag: Mutex::default(),
            left: CancellationToken::new(),
        }
    }

    /// What the client tells by itself.
    pub(super) fn told(&self, event: &Event) {
        tracing::debug!(%event, "NATS");
        match event {
            Event::Connected => {
                self.connections.send_modify(|count| *count += 1);
                self.trouble.notify_one();
            }
            Event::SlowConsumer(_) => {
                tracing::warn!(
                    "NATS brought messages faster than they were taken, and they were dropped"
                );
            }
            _ => {
                if let Some(what) = client::explain_event(&self.config, event) {
                    self.monitor.away(what);
                }
            }
        }
    }

    /// Connects, and tries again until it is.
    pub(super) async fn connect(self: &Arc<Self>) -> Context {
        loop {
            let weak = Arc::downgrade(self);
            let told = move |event| {
                if let Some(shared) = weak.upgrade() {
                    shared.told(&event);
                }
            };
            match client::connect(&self.config, told).await {
                Ok(client) => match client::too_old(&client) {
                    None => {
                        let context = client::jetstream(client);
                        self.context.send_replace(Some(context.clone()));
                        return context;
                    }
                    Some(what) => self.monitor.away(what),
                },
                Err(error) => self.monitor.away(client::explain(&self.config, &error)),
            }
            sleep(AGAIN).await;
        }
    }
}

pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: Arc<str>,
    pub(super) consumer: Arc<str>,
    pub(super) sessions: mpsc::Sender<Session>,
}

impl Driver {
    /// Runs until the worker leaves.
    pub(super) async fn run(self) {
        let left = self.shared.left.clone();
        left.run_until_cancelled(self.serve()).await;
    }

    async fn serve(&self) {
        let context = self.shared.connect().await;
        loop {
            let info = self.bind(&context).await;
            let term = Arc::new(Term::new(
                context.client(),
                self.stream.clone(),
                self.consumer.clone(),
                info.config.ack_wait,
            ));
            // Ends the term even where this is cancelled.
            let _over = OnDrop(term.clone());
            self.shared.monitor.well();
            let connections = self.shared.connections.subscribe();
            let session = Session::new(term.clone(), Limits::of(&info.config), connections);
            if self.sessions.send(session).await.is_err() {
                return;
            }
            let why = tokio::select! {
                why = self.watch(&context, &info) => why,
                () = beat::keep(term.clone()) => {
                    "NATS has not been heard of for so long that what we hold may be delivered to others".to_owned()
                }
            };
            self.shared.monitor.away(why);
        }
    }

    /// The consumer, once all is as it should be.
    async fn bind(&self, context: &Context) -> consumer::Info {
        loop {
            match self.look(context).await {
                Ok(info) => return info,
                Err(missing) => self.shared.monitor.away(missing.into_text()),
            }
            drop(timeout(AGAIN, self.shared.trouble.notified()).await);
        }
    }

    async fn look(&self, context: &Context) -> Result<consumer::Info, Missing> {
        let events = lookup::events(context, &self.stream).await?;
        if let Some(subject) = &self.shared.config.dead_letters
            && lookup::dead_letters(context, subject, Some(&self.stream)).await?.is_none()
        {
            tracing::warn!(
                "no stream holds deadLetters {subject}: create one with `stoop setup`; until then nothing can be given up"
            );
        }
        let info =
            lookup::consumer(context, &self.stream, &self.consumer, self.shared.slots).await?;
        for doubt in fit::doubts(&events) {
            tracing::warn!("the stream {} {doubt}", self.stream);
        }
        Ok(info)
    }

    /// Looks at the consumer now and then, until it is not the one that `bound` tells of.
    async fn watch(&self, context: &Context, bound: &consumer::Info) -> String {
        loop {
            let (stream, name, slots) = (&self.stream, &self.consumer, self.shared.slots);
            match lookup::consumer(context, stream, name, slots).await {
                Ok(info) if info.created != bound.created => {
                    return format!("the consumer {name} was made anew");
                }
                Ok(info) => {
                    *self.shared.lag.lock().unwrap_or_else(PoisonError::into_inner) =
                        Lag::of(&info);
                    self.shared.monitor.well();
                }
                Err(Missing::Gone(what)) => return what,
                Err(Missing::Unknown(what)) => self.shared.monitor.away(what),
            }
            drop(timeout(LOOK, self.shared.trouble.notified()).await);
        }
    }
}

/// Ends a term when it is dropped.
struct OnDrop(Arc<Term>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.lease.lose();
    }
}
