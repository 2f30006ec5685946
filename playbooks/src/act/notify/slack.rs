//! Slack's incoming webhooks.
//!
//! Texts from events can't become mentions, links or formatting: `& < >` are escaped, values stand in code
//! spans that they can't end, and `verbatim` keeps Slack from turning what is left into links.
//! <https://docs.slack.dev/messaging/formatting-message-text>

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use settings::Secret;

use super::{
    Notification, Pace, Sink, StepLine,
    http::{self, Endpoint},
};
use crate::act::{config::ConfigError, outcome::Failure, text::clean};

/// `slack: {url}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlackConfig {
    /// The incoming webhook; whoever has it can write to the channel.
    pub url: Secret,
}

#[derive(Debug)]
pub(super) struct Slack(Endpoint);

impl Slack {
    pub(super) fn new(config: &SlackConfig, timeout: Duration) -> Result<Slack, ConfigError> {
        Ok(Slack(Endpoint::new(&config.url, "", http::headers(&BTreeMap::new())?, timeout)?))
    }
}

#[async_trait]
impl Sink for Slack {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        http::settle(self.0.post(&render(message)).send().await).await
    }

    fn preview(&self, message: &Notification<'_>) -> Value {
        render(message)
    }

    /// <https://docs.slack.dev/apis/web-api/rate-limits/>: one a second to a channel.
    fn pace(&self) -> Option<Pace> {
        Some(Pace::apart(Duration::from_secs(1)))
    }
}

/// How many characters of a value are shown, escaped: Slack takes 3,000 a section, and 50 blocks.
const VALUE: usize = 120;
const OUTPUT: usize = 1000;
/// Why something was not done: all that a step says of it.
const WHY: usize = 260;
/// How many steps stand in one section.
const STEPS: usize = 8;

/// How many of what goes along stand in one section, shorter still.
const LINES: usize = 3;
const SHORT: usize = 60;

fn render(message: &Notification<'_>) -> Value {
    let target = match (&message.target, message.verified) {
        (Some(target), true) => code(target, VALUE),
        (Some(target), false) => format!("{} (not verified)", code(target, VALUE)),
        (None, _) => "no pod".to_owned(),
    };
    let mut about = vec![format!("*{}* {}", message.priority, code(&message.rule, VALUE)), target];
    if let Some(cluster) = &message.cluster {
        about.push(format!("cluster {}", code(cluster, VALUE)));
    }
    let mut blocks = vec![section(&about.join(" · "))];
    blocks.extend(sections(message.steps.chunks(STEPS), step));
    if let Some(link) = &message.link {
        blocks.push(section(&format!("{} · whoever has this link may answer", question(link))));
    }
    if !message.output.is_empty() {
        blocks.push(section(&code(&message.output, OUTPUT)));
    }
    if !message.more.is_empty() {
        blocks.push(section(&format!("*and {} more:*", message.more.len())));
        blocks.extend(sections(message.more.chunks(LINES), |other| along(other)));
    }
    let foot = format!(
        "playbook {} · {} · {} · {}",
        code(&message.playbook, VALUE),
        message.mode,
        message.time,
        code(message.event_id.get(..16).unwrap_or_default(), VALUE)
    );
    blocks.push(json!({"type": "context", "elements": [text(&foot)]}));
    json!({
        // What phones show.
        "text": escape(&clean(&format!("{} {}", message.priority, message.rule), VALUE), WHY),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// A section for each chunk, a line for each of its items.
fn sections<'a, T: 'a>(
    chunks: impl Iterator<Item = &'a [T]>,
    line: impl Fn(&T) -> String,
) -> Vec<Value> {
    chunks.map(|items| section(&items.iter().map(&line).collect::<Vec<_>>().join("\n"))).collect()
}

fn step(step: &StepLine) -> String {
    let reason = step.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let limit = if step.is_undone() { WHY } else { VALUE };
    format!("• {} *{}*{reason}: {}", step.action, step.outcome, code(&step.detail, limit))
}

fn along(other: &Notification<'_>) -> String {
    let (rule, about) = (code(&other.rule, SHORT), code(&other.about(), SHORT));
    let done = code(&other.done(), VALUE);
    let question = other.link.as_deref().map(|link| format!(" · {}", question(link)));
    let question = question.unwrap_or_default();
    format!("• *{}* {rule} · {about}: {} {done}{question}", other.priority, other.result())
}

/// No button: Slack tells an app of its being pressed, and an incoming webhook has none that could answer.
fn question(link: &str) -> String {
    format!("*<{}|Approve or deny>*", escape(link, usize::MAX))
}

fn section(mrkdwn: &str) -> Value {
    json!({"type": "section", "text": text(mrkdwn)})
}

fn text(mrkdwn: &str) -> Value {
    json!({"type": "mrkdwn", "text": mrkdwn, "verbatim": true})
}

/// A value that was chosen by someone else, escaped, cut and in a code span.
fn code(value: &str, limit: usize) -> String {
    match escape(&clean(value, limit), limit) {
        empty if empty.trim().is_empty() => "-".to_owned(),
        value => format!("`{value}`"),
    }
}

/// Escapes what Slack reads as markup; a backtick becomes a quote, since a code span knows no escape for it. `limit` is how
/// long it may become, but for the mark of what is cut.
fn escape(value: &str, limit: usize) -> String {
    let mut out = String::with_capacity(value.len());
    let mut room = limit;
    for c in value.chars() {
        let (entity, size) = match c {
            '&' => ("&amp;", 5),
            '<' => ("&lt;", 4),
            '>' => ("&gt;", 4),
            '`' | '´' | '\u{ff40}' => ("'", 1),
            _ => ("", 1),
        };
        if size > room {
            out.push('…');
            break;
        }
        room -= size;
        match entity {
            "" => out.push(c),
            entity => out.push_str(entity),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_field_adds_no_mention_link_or_line() {
        let table = [
            ("<!channel>", "`&lt;!channel&gt;`"),
            ("<@U123> & <#C1>", "`&lt;@U123&gt; &amp; &lt;#C1&gt;`"),
            ("<https://evil|your bank>", "`&lt;https://evil|your bank&gt;`"),
            ("x` *bold* `y", "`x' *bold* 'y`"),
            ("```", "`'''`"),
            ("two\nlines", "`two lines`"),
            ("&lt;!here&gt;", "`&amp;lt;!here&amp;gt;`"),
            ("", "-"),
            ("\u{202e}\u{200b}", "-"),
        ];
        for (value, shown) in table {
            assert_eq!(code(value, 100), shown, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_value_ends_its_code_span(value in any::<String>()) {
            let shown = code(&value, 100);
            let inner = shown.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).unwrap_or_default();
            prop_assert!(!inner.contains(['`', '<', '>', '\n', '\r']));
            prop_assert!(shown.chars().count() <= 103);
        }
    }
}
