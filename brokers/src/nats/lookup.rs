//! What the server says of a stream and a consumer, judged.

use async_nats::jetstream::{
    consumer,
    context::{ConsumerInfoErrorKind, Context, GetStreamByNameErrorKind, RequestErrorKind},
    response::Response,
    stream,
};

use super::fit;

/// Why a consumer can't be had, in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It isn't there, or isn't fit: what was delivered from it is lost to us.
    Gone(String),
    /// The server can't be asked now; nothing is known.
    Unknown(String),
}

impl Missing {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Gone(text) | Self::Unknown(text) => text,
        }
    }
}

/// A consumer, if it is there and fit for a worker that holds `slots` messages.
pub(super) async fn consumer(
    context: &Context,
    stream: &str,
    name: &str,
    slots: usize,
) -> Result<consumer::Info, Missing> {
    let info = found_consumer(context, stream, name).await?;
    let info = info.ok_or_else(|| Missing::Gone(no_consumer(stream, name)))?;
    fit::consumer(&info.config, slots).map_err(|fix| {
        Missing::Gone(format!("the consumer {name} of the stream {stream} {fix}"))
    })?;
    Ok(info)
}

fn no_consumer(stream: &str, name: &str) -> String {
    format!("the stream {stream} has no consumer {name}: create it with `stoop setup`")
}

fn no_stream(name: &str) -> String {
    format!("the stream {name} doesn't exist: create it with `stoop setup`")
}

/// A consumer as it is; `None` if its stream has none of that name.
pub(super) async fn found_consumer(
    context: &Context,
    stream: &str,
    name: &str,
) -> Result<Option<consumer::Info>, Missing> {
    let asked = context.get_stream_no_info(stream).await;
    let asked = asked.map_err(|error| Missing::Unknown(unanswered(&error)))?;
    match asked.consumer_info(name).await {
        Ok(info) => Ok(Some(info)),
        Err(error) => match error.kind() {
            ConsumerInfoErrorKind::NotFound => Ok(None),
            ConsumerInfoErrorKind::StreamNotFound => Err(Missing::Gone(no_stream(stream))),
            ConsumerInfoErrorKind::NoResponders => Err(Missing::Unknown(no_jetstream())),
            _ => Err(Missing::Unknown(unanswered(&error))),
        },
    }
}

/// A stream as it is, its subjects included; `None` if there is none of that name.
pub(super) async fn found_stream(
    context: &Context,
    name: &str,
) -> Result<Option<stream::Config>, Missing> {
    let asked = context.request(format!("STREAM.INFO.{name}"), &());
    match asked.await {
        Ok(Response::Ok(stream::Info { config, .. })) => Ok(Some(config)),
        Ok(Response::Err { error }) if error.code() == 404 => Ok(None),
        Ok(Response::Err { error }) => Err(Missing::Unknown(unanswered(&error))),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {
            Err(Missing::Unknown(no_jetstream()))
        }
        Err(error) => Err(Missing::Unknown(unanswered(&error))),
    }
}

/// The events' stream, if it is there and fit.
pub(super) async fn events(context: &Context, name: &str) -> Result<stream::Config, Missing> {
    let config = found_stream(context, name).await?;
    let config = config.ok_or_else(|| Missing::Gone(no_stream(name)))?;
    fit::events(&config).map_err(|fix| Missing::Gone(format!("the stream {name} {fix}")))?;
    Ok(config)
}

/// The name of the stream that keeps the dead letters of `subject`, if there is one; it is fit, and is not `events`.
pub(super) async fn dead_letters(
    context: &Context,
    subject: &str,
    events: Option<&str>,
) -> Result<Option<String>, Missing> {
    let name = match context.stream_by_subject(subject).await {
        Ok(name) => name,
        Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Missing::Unknown(unanswered(&error))),
    };
    if events == Some(name.as_str()) {
        return Err(Missing::Gone(format!(
            "deadLetters {subject} is one of the subjects of the stream {name} itself, which would be read again without end: take it out of the stream's subjects, or name another"
        )));
    }
    let Some(config) = found_stream(context, &name).await? else { return Ok(None) };
    fit::dead_letters(&config).map_err(|fix| {
        Missing::Gone(format!("the stream {name}, which holds deadLetters {subject}, {fix}"))
    })?;
    Ok(Some(name))
}

fn no_jetstream() -> String {
    "the NATS server has no JetStream for us: enable it there, for our account too".to_owned()
}

fn unanswered(error: &dyn std::fmt::Display) -> String {
    format!("JetStream does not answer: {error}")
}
