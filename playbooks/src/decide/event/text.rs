//! JSON strings that borrow from the message where they can.

use serde::Deserialize;
use std::borrow::Cow;

/// A string, borrowed unless it had escapes. serde borrows a bare `Cow`, but not one inside `Option` or `Vec`.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// How deeply arrays and objects of one message may be nested. Falco's own are at three.
const DEEPEST: usize = 64;

/// Whether `json` nests deeper than [`DEEPEST`]. serde_json skips unknown values without a limit of its own.
///
/// Real events have a handful of brackets, so counting them settles it; only a message with many is walked.
pub(super) fn too_deep(json: &str) -> bool {
    let brackets = memchr::memchr2_iter(b'[', b'{', json.as_bytes());
    brackets.take(DEEPEST + 1).count() > DEEPEST && depth(json) > DEEPEST
}

fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
