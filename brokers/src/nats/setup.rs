//! What a subscription needs on the servers: looks, says what is missing, and creates that. It never deletes, and never
//! changes what somebody else has set.

use std::{fmt, time::Duration};

use async_nats::jetstream::{
    consumer::{AckPolicy, pull},
    context::Context,
    stream::{self, RetentionPolicy},
};

use crate::contract::Error;

use super::{
    client,
    config::{Config, Source},
    lookup::{self, Missing},
    subject,
};

/// How long a worker may be silent before what it holds goes to others.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// How many messages all workers together may hold: the server's default of 1000 stops a fleet of a few.
const MAX_ACK_PENDING: i64 = 50_000;

/// What is missing.
#[derive(Clone)]
pub struct Plan {
    context: Context,
    replicas: usize,
    changes: Vec<Change>,
}

/// One thing to be done on the servers. Printing it says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Create the stream of events.
    CreateStream {
        /// Its name.
        name: String,
        /// What it holds.
        subject: String,
    },
    /// Create the durable consumer.
    CreateConsumer {
        /// Of which stream.
        stream: String,
        /// Its name.
        name: String,
    },
    /// Create the stream of dead letters.
    CreateDeadLetters {
        /// Its name.
        name: String,
        /// What it holds.
        subject: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateStream { name, subject } => {
                write!(f, "create the stream {name} of {subject}, a work queue in files")
            }
            Self::CreateConsumer { stream, name } => write!(
                f,
                "create the durable pull consumer {name} of the stream {stream}, with acks one by one within {ACK_WAIT:?}"
            ),
            Self::CreateDeadLetters { name, subject } => {
                write!(f, "create the stream {name} of dead letters on {subject}, kept for ever")
            }
        }
    }
}

impl Plan {
    /// Looks at the servers.
    ///
    /// # Errors
    /// They can't be asked, or a stream or the consumer is set up in a way that would lose messages; the text says what to
    /// change.
    pub async fn of(config: &Config) -> Result<Self, Error> {
        let context = client::jetstream(client::once(config).await?);
        let mut changes = Vec::new();
        let source = config.source()?;
        let mut events = None;
        if let Source::JetStream { stream, consumer } = &source {
            events = Some(stream.as_str());
            plan_events(&context, config, stream, &mut changes).await?;
            plan_consumer(&context, stream, consumer, &mut changes).await?;
        }
        if let Some(subject) = &config.dead_letters
            && lookup::dead_letters(&context, subject, events).await.map_err(refused)?.is_none()
        {
            let name = free_name(&context, subject).await?;
            changes.push(Change::CreateDeadLetters { name, subject: subject.clone() });
        }
        // A cluster has at least three servers, and a stream on one of them is gone with it.
        let clustered = context.client().server_info().cluster.is_some();
        Ok(Self { context, replicas: if clustered { 3 } else { 1 }, changes })
    }

    /// What is to be done, in order. Nothing if all is there.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Does it. What somebody else has done meanwhile in the same way counts as done.
    ///
    /// # Errors
    /// The servers refuse a change; those before it are done.
    pub async fn apply(self) -> Result<(), Error> {
        for change in &self.changes {
            self.make(change)
                .await
                .map_err(|error| Error::client(format!("to {change} failed"), error))?;
        }
        Ok(())
    }

    async fn make(&self, change: &Change) -> Result<(), async_nats::Error> {
        match change {
            Change::CreateStream { name, subject } => {
                self.make_stream(name, subject, RetentionPolicy::WorkQueue).await
            }
            Change::CreateDeadLetters { name, subject } => {
                self.make_stream(name, subject, RetentionPolicy::Limits).await
            }
            Change::CreateConsumer { stream, name } => {
                let consumer = pull::Config {
                    durable_name: Some(name.clone()),
                    ack_policy: AckPolicy::Explicit,
                    ack_wait: ACK_WAIT,
                    max_deliver: -1,
                    max_ack_pending: MAX_ACK_PENDING,
                    ..pull::Config::default()
                };
                let stream = self.context.get_stream_no_info(stream).await?;
                stream.create_consumer_strict(consumer).await?;
                Ok(())
            }
        }
    }

    async fn make_stream(
        &self,
        name: &str,
        subject: &str,
        retention: RetentionPolicy,
    ) -> Result<(), async_nats::Error> {
        let stream = stream::Config {
            name: name.to_owned(),
            subjects: vec![subject.to_owned()],
            retention,
            max_messages_per_subject: -1,
            storage: stream::StorageType::File,
            num_replicas: self.replicas,
            ..stream::Config::default()
        };
        self.context.create_stream(stream).await?;
        Ok(())
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("changes", &self.changes).finish_non_exhaustive()
    }
}

async fn plan_events(
    context: &Context,
    config: &Config,
    name: &str,
    changes: &mut Vec<Change>,
) -> Result<(), Error> {
    if lookup::found_stream(context, name).await.map_err(refused)?.is_none() {
        let subject = config.subject().to_owned();
        changes.push(Change::CreateStream { name: name.to_owned(), subject });
        return Ok(());
    }
    let found = lookup::events(context, name).await.map_err(refused)?;
    let Some(wanted) = &config.subject else { return Ok(()) };
    if !found.subjects.iter().any(|held| subject::matches(held, wanted)) {
        return Err(Error::Configuration(format!(
            "the stream {name} holds {}, and not all of {wanted}: add that to its subjects, or set `subject` to what it holds",
            found.subjects.join(", ")
        )));
    }
    Ok(())
}

async fn plan_consumer(
    context: &Context,
    stream: &str,
    name: &str,
    changes: &mut Vec<Change>,
) -> Result<(), Error> {
    let found = match changes.is_empty() {
        true => lookup::found_consumer(context, stream, name).await.map_err(refused)?,
        // There is no stream yet.
        false => None,
    };
    match found {
        // How many messages a worker holds is its own affair.
        Some(_) => lookup::consumer(context, stream, name, 1).await.map(drop).map_err(refused),
        None => {
            changes
                .push(Change::CreateConsumer { stream: stream.to_owned(), name: name.to_owned() });
            Ok(())
        }
    }
}

/// A name for the stream of a subject: `FALCO-DEAD` for `falco.dead`.
async fn free_name(context: &Context, subject: &str) -> Result<String, Error> {
    let name = subject.to_uppercase().replace(['.', '/', '\\'], "-");
    match lookup::found_stream(context, &name).await.map_err(refused)? {
        None => Ok(name),
        Some(_) => Err(Error::Configuration(format!(
            "deadLetters {subject} has no stream, and one called {name} holds something else: add {subject} to a stream that keeps it, or name another subject"
        ))),
    }
}

fn refused(missing: Missing) -> Error {
    match missing {
        Missing::Gone(text) => Error::Configuration(text),
        Missing::Unknown(text) => {
            Error::Client { source: "JetStream could not be asked".into(), context: text }
        }
    }
}
