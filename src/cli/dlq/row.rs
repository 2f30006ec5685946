//! A dead letter as it is printed. What an event or a header says is an attacker's word: nothing of it reaches a terminal
//! unescaped.

use std::borrow::Cow;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use brokers::dead_letter::Buried;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::pretty::pretty;
use crate::letters::rule_of;

/// The longest error in a table.
const ERROR_WIDTH: usize = 60;

/// The heads of a table's columns.
pub(super) const HEAD: [&str; 7] =
    ["PLACE", "LAST FAILED", "REASON", "TRIES", "RULE", "PLAYBOOKS", "ERROR"];

/// A line of a table.
pub(super) fn row(buried: &Buried) -> [String; 7] {
    let letter = &buried.letter;
    let rule = rule_of(buried).unwrap_or(Cow::Borrowed("-"));
    let time = letter.last_failed.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let failed = if letter.failed.is_empty() { "all".to_owned() } else { letter.failed.join(",") };
    [
        buried.place.clone(),
        time,
        one_line(&letter.reason, ERROR_WIDTH),
        letter.attempts.to_string(),
        one_line(&rule, ERROR_WIDTH),
        one_line(&failed, ERROR_WIDTH),
        one_line(&letter.error, ERROR_WIDTH),
    ]
}

/// Lines of columns, each as wide as its widest.
pub(crate) fn table(head: &[&str], rows: &[impl AsRef<[String]>]) -> String {
    let width = |column: usize| {
        let cells =
            rows.iter().filter_map(|row| row.as_ref().get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|head| head.len())).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let head: Vec<_> = head.iter().map(|&head| head.to_owned()).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let lines = std::iter::once(line(&head)).chain(rows.iter().map(|row| line(row.as_ref())));
    lines.collect::<Vec<_>>().join("\n")
}

/// A dead letter as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    subscription: &'a str,
    place: &'a str,
    message_id: String,
    rule: Option<Cow<'a, str>>,
    reason: &'a str,
    error: &'a str,
    attempts: u32,
    first_failed: Timestamp,
    last_failed: Timestamp,
    playbooks: &'a [String],
    worker: &'a str,
    published: Option<Timestamp>,
    #[serde(flatten)]
    message: Option<Whole<'a>>,
}

/// What only `show` shows. A body that is JSON stands as it is, any other in base64.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    key: Option<String>,
    headers: Vec<(&'a str, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// A dead letter as JSON, with its headers and body where `whole`.
pub(super) fn document<'a>(
    subscription: &'a str,
    buried: &'a Buried,
    whole: bool,
) -> serde_json::Result<String> {
    let (letter, message) = (&buried.letter, &buried.message);
    let body: Option<&RawValue> = serde_json::from_slice(&message.payload).ok();
    let document = Document {
        subscription,
        place: &buried.place,
        message_id: message.id.to_string(),
        rule: rule_of(buried),
        reason: &letter.reason,
        error: &letter.error,
        attempts: letter.attempts,
        first_failed: letter.first_failed,
        last_failed: letter.last_failed,
        playbooks: &letter.failed,
        worker: &letter.worker,
        published: message.published,
        message: whole.then(|| Whole {
            key: message.key.as_deref().map(text),
            headers: message
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), text(value)))
                .collect(),
            body,
            body_base64: body.is_none().then(|| BASE64_STANDARD.encode(&message.payload)),
        }),
    };
    serde_json::to_string(&document)
}

/// Bytes as text: what is no UTF-8 is escaped, and so is the backslash then, so that nothing is lost.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// Text for a terminal, on one line and no longer than `width`.
pub(super) fn one_line(text: &str, width: usize) -> String {
    let safe = safe(text).replace('\n', "\\n");
    match safe.char_indices().nth(width) {
        Some((cut, _)) => format!("{}…", safe.get(..cut).unwrap_or_default()),
        None => safe,
    }
}

/// Text for a terminal: what would move its cursor, colour it or turn it around is escaped.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            c if c.is_control() || turns(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// The characters that change the direction of what follows, or hide.
fn turns(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A body for a terminal: JSON over several lines, or the bytes escaped so that they can be had back.
pub(super) fn body(payload: &[u8]) -> String {
    match pretty(payload) {
        Some(pretty) => safe(&pretty),
        None => payload.escape_ascii().to_string(),
    }
}

/// A header's value, or a key.
pub(super) fn value(bytes: &[u8]) -> String {
    safe(&text(bytes)).replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_that_moves_a_cursor_is_printed(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "\\PC*|[\\x00-\\u{a0}]*") {
            for shown in [body(&bytes), value(&bytes), body(text.as_bytes()), one_line(&text, 20)] {
                prop_assert!(shown.chars().all(|c| c == '\n' || !(c.is_control() || turns(c))), "{shown:?}");
            }
            prop_assert!(one_line(&text, 20).chars().count() <= 21);
        }
    }

    #[test]
    fn an_escape_sequence_in_an_event_is_seen_and_not_obeyed() {
        assert_eq!(body(b"{\"a\":\"\\u001b[2J\"}"), "{\n  \"a\": \"\\u001b[2J\"\n}");
        assert_eq!(one_line("\u{1b}[31mred\nline", 60), "\\u{1b}[31mred\\nline");
        assert_eq!(body(b"not json \x1b\xff"), "not json \\x1b\\xff");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(table(&["X", "Y"], &rows), "X     Y\na     1\nlong");
    }
}
