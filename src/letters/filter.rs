//! Which dead letters are meant: a pure question to each.

use std::borrow::Cow;

use brokers::dead_letter::Buried;
use jiff::Timestamp;
use playbooks::decide::Event;
use serde::{Deserialize, Serialize};

/// Conditions, all of which have to hold. None is no condition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// The Falco rule of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why it was given up: `failed`, `held-back`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A playbook that failed on it. A letter that names none, since it is for all, is none of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playbook: Option<String>,
    /// It failed last at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// It failed last before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether a dead letter is meant.
    pub fn wants(&self, buried: &Buried) -> bool {
        let letter = &buried.letter;
        self.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
            && self.playbook.as_ref().is_none_or(|playbook| letter.failed.contains(playbook))
            && self.since.is_none_or(|since| letter.last_failed >= since)
            && self.until.is_none_or(|until| letter.last_failed < until)
            // Last: it reads the body.
            && self.rule.as_ref().is_none_or(|rule| rule_of(buried).as_deref() == Some(rule))
    }
}

/// The rule that a dead letter's event names, if its body is an event.
pub fn rule_of(buried: &Buried) -> Option<Cow<'_, str>> {
    Event::decode(&buried.message.payload).ok().map(|event| event.rule)
}

#[cfg(test)]
mod tests {
    use brokers::{Attempt, Message, MessageId};
    use bytes::Bytes;

    use super::*;

    fn buried(payload: &'static str) -> Buried {
        let headers = [
            ("stoop-reason", "failed"),
            ("stoop-failed", "delete,isolate"),
            ("stoop-last-failed", "2026-11-20T12:00:00Z"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
        let message = Message {
            id: MessageId::in_stream("dead".into(), 1),
            payload: Bytes::from(payload),
            key: None,
            headers: headers.into(),
            published: None,
            attempt: Attempt::Unknown,
        };
        Buried::read("1".to_owned(), message)
    }

    const EVENT: &str = r#"{"rule":"Shell","priority":"Notice","time":"2026-11-20T11:00:00Z"}"#;

    #[test]
    fn each_condition_has_to_hold() {
        let none = Filter::default();
        let text = |text: &str| Some(text.to_owned());
        let at = |time: &str| Some(time.parse().unwrap());
        for (filter, wanted) in [
            (none.clone(), true),
            (Filter { rule: text("Shell"), ..none.clone() }, true),
            (Filter { rule: text("shell"), ..none.clone() }, false),
            (Filter { reason: text("failed"), ..none.clone() }, true),
            (Filter { reason: text("held-back"), ..none.clone() }, false),
            (Filter { playbook: text("isolate"), ..none.clone() }, true),
            (Filter { playbook: text("iso"), ..none.clone() }, false),
            (Filter { since: at("2026-11-20T12:00:00Z"), ..none.clone() }, true),
            (Filter { since: at("2026-11-20T12:00:01Z"), ..none.clone() }, false),
            (Filter { until: at("2026-11-20T12:00:00Z"), ..none.clone() }, false),
            (Filter { until: at("2026-11-20T12:00:01Z"), ..none.clone() }, true),
        ] {
            assert_eq!(filter.wants(&buried(EVENT)), wanted, "{filter:?}");
        }
        let rule = Filter { rule: text("Shell"), ..none.clone() };
        assert!(!rule.wants(&buried("no event")) && none.wants(&buried("no event")));
    }
}
