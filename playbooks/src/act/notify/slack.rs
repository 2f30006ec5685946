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
    Notification, Sink,
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

    /// <https://docs.slack.dev/apis/web-api/rate-limits/>: one a second to a channel.
    fn apart(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }
}

/// How many characters of a value are shown. Slack takes 3,000 a section, each up to five times as long escaped.
const VALUE: usize = 120;
const OUTPUT: usize = 400;
const STEPS: usize = 8;

/// How many of what goes along stand in one section, shorter still.
const LINES: usize = 4;
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
    if !message.steps.is_empty() {
        let lines: Vec<_> = message
            .steps
            .iter()
            .take(STEPS)
            .map(|step| {
                let reason = step.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                format!(
                    "• {} *{}*{reason}: {}",
                    step.action,
                    step.outcome,
                    code(&step.detail, VALUE)
                )
            })
            .collect();
        blocks.push(section(&lines.join("\n")));
    }
    if !message.output.is_empty() {
        blocks.push(section(&code(&message.output, OUTPUT)));
    }
    for others in message.more.chunks(LINES) {
        let lines = others.iter().map(|other| {
            let (rule, about) = (code(&other.rule, SHORT), code(&other.about(), SHORT));
            format!("• *{}* {rule} · {about}: {}", other.priority, other.result())
        });
        blocks.push(section(&lines.collect::<Vec<_>>().join("\n")));
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
        "text": escape(&clean(&format!("{} {}", message.priority, message.rule), VALUE)),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn section(mrkdwn: &str) -> Value {
    json!({"type": "section", "text": text(mrkdwn)})
}

fn text(mrkdwn: &str) -> Value {
    json!({"type": "mrkdwn", "text": mrkdwn, "verbatim": true})
}

/// A value that was chosen by someone else, cut, escaped and in a code span.
fn code(value: &str, limit: usize) -> String {
    match escape(&clean(value, limit)) {
        empty if empty.trim().is_empty() => "-".to_owned(),
        value => format!("`{value}`"),
    }
}

/// Escapes what Slack reads as markup; a backtick becomes a quote, since a code span knows no escape for it.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' | '´' | '\u{ff40}' => out.push('\''),
            c => out.push(c),
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
            prop_assert!(shown.chars().count() <= 502);
        }
    }
}
