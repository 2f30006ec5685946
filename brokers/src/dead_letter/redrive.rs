//! A dead letter on its way back: the headers that it is published again with, and what they ask of its handler.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use settings::Span;

use super::{Buried, FAILED, PREFIX};
use crate::message::Message;

/// The header that allows a redriven message to be as old as its value, such as `7d`.
pub const MAX_AGE: &str = "stoop-max-age";

/// The header that tells a redriven message from any other: when it was published again.
const REDRIVEN: &str = "redriven";

/// The handlers that a message is for alone: those that failed, if it is a dead letter that was published again with its
/// headers. `None` for any other message.
pub fn meant_for(message: &Message) -> Option<Vec<&str>> {
    Some(std::str::from_utf8(ours(message, FAILED)?).ok()?.split(',').collect())
}

/// How old a message may be by the word of whoever redrove it. `None` for any message that was not redriven.
///
/// It proves nothing: whoever may publish to the stream can write these headers, as they can write a younger event.
pub fn max_age(message: &Message) -> Option<Duration> {
    ours(message, REDRIVEN)?;
    let text = std::str::from_utf8(ours(message, MAX_AGE.strip_prefix(PREFIX)?)?).ok()?;
    Span::parse(text).ok().map(|span| span.0)
}

fn ours<'a>(message: &'a Message, name: &str) -> Option<&'a Bytes> {
    let is = |(header, _): &&(String, Bytes)| header.strip_prefix(PREFIX) == Some(name);
    message.headers.iter().find(is).map(|(_, value)| value)
}

impl Buried {
    /// The headers that its message is published again with: its own, then those that say that it was redriven, for which
    /// handlers alone, and `more`.
    pub fn redriven(&self, more: &[(String, Bytes)]) -> Vec<(String, Bytes)> {
        let mut headers = self.message.headers.clone();
        headers.extend(self.redrive_headers(more));
        headers
    }

    /// Those of [`Buried::redriven`] that the message did not have before.
    pub(crate) fn redrive_headers(&self, more: &[(String, Bytes)]) -> Vec<(String, Bytes)> {
        let now = Timestamp::now().to_string();
        let mut headers = vec![(format!("{PREFIX}{REDRIVEN}"), Bytes::from(now))];
        if !self.letter.failed.is_empty() {
            let failed = self.letter.failed.join(",");
            headers.push((format!("{PREFIX}{FAILED}"), Bytes::from(failed)));
        }
        headers.extend(more.iter().cloned());
        headers
    }

    /// The same dead letter for `handlers` alone, and those that it is left for after them. `None` where it names no
    /// handlers, or none of these.
    pub fn narrowed(&self, handlers: &[String]) -> Option<(Self, Vec<String>)> {
        let (now, later): (Vec<_>, Vec<_>) =
            self.letter.failed.iter().cloned().partition(|failed| handlers.contains(failed));
        let mut narrowed = self.clone();
        narrowed.letter.failed = now;
        (!narrowed.letter.failed.is_empty()).then_some((narrowed, later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Attempt, MessageId};

    fn message(headers: &[(&str, &str)]) -> Message {
        let own =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Bytes::from((*value).to_owned()));
        Message {
            id: MessageId::in_stream("s".into(), 1),
            payload: Bytes::new(),
            key: None,
            headers: headers.iter().map(own).collect(),
            published: None,
            attempt: Attempt::Unknown,
        }
    }

    fn buried(failed: &str) -> Buried {
        let failed = if failed.is_empty() { vec![] } else { vec![("stoop-failed", failed)] };
        let headers = [&[("stoop-reason", "failed"), ("traceparent", "00-1")], failed.as_slice()];
        Buried::read("1".to_owned(), message(&headers.concat()))
    }

    #[test]
    fn a_redriven_message_is_for_those_that_failed_and_may_be_old() {
        let more = [(MAX_AGE.to_owned(), Bytes::from_static(b"7d"))];
        let again = Message { headers: buried("b,a").redriven(&more), ..message(&[]) };
        assert_eq!(meant_for(&again), Some(vec!["b", "a"]));
        assert_eq!(max_age(&again), Some(Duration::from_secs(7 * 24 * 3600)));
        assert!(again.headers.contains(&("traceparent".to_owned(), Bytes::from_static(b"00-1"))));
        let for_all = Message { headers: buried("").redriven(&[]), ..message(&[]) };
        assert_eq!((meant_for(&for_all), max_age(&for_all)), (None, None));
    }

    #[test]
    fn what_was_not_redriven_has_no_age_of_its_own() {
        assert_eq!(max_age(&message(&[(MAX_AGE, "7d")])), None);
        assert_eq!(max_age(&message(&[(MAX_AGE, "7d"), ("stoop-failed", "a")])), None);
        assert_eq!(max_age(&message(&[("stoop-redriven", "x"), (MAX_AGE, "for ever")])), None);
        assert!(max_age(&message(&[("stoop-redriven", "x"), (MAX_AGE, "1h")])).is_some());
    }

    #[test]
    fn a_part_can_be_redriven_and_the_rest_is_known() {
        let (narrowed, left) = buried("a,b,c").narrowed(&["b".to_owned(), "x".to_owned()]).unwrap();
        assert_eq!(
            (narrowed.letter.failed, left),
            (vec!["b".to_owned()], vec!["a".into(), "c".into()])
        );
        assert!(buried("a").narrowed(&["x".to_owned()]).is_none());
        assert!(buried("").narrowed(&["a".to_owned()]).is_none());
    }
}
