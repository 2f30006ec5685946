//! JSON over several lines, with every token as it was written: no key is moved, no number rounded.

use serde::de::IgnoredAny;

/// The text laid out anew; `None` if it is not JSON.
pub(super) fn pretty(json: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(json).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut tokens = text.chars().peekable();
    while let Some(c) = tokens.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            c if c.is_ascii_whitespace() => {}
            '{' | '[' => {
                out.push(c);
                while tokens.next_if(char::is_ascii_whitespace).is_some() {}
                match tokens.next_if(|close| matches!(close, '}' | ']')) {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    Some(out)
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\]:, \n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-z\"\\\\:{]{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_says_the_same_and_is_laid_out_as_usual(value in value()) {
            let usual = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(pretty(value.to_string().as_bytes()), Some(usual.clone()));
            prop_assert_eq!(pretty(usual.as_bytes()), Some(usual));
        }
    }

    #[test]
    fn no_key_is_moved_and_no_number_rounded() {
        let written = r#"{"z":123456789012345678901234567890,"a":1.10,"z":[ ]}"#;
        let shown = "{\n  \"z\": 123456789012345678901234567890,\n  \"a\": 1.10,\n  \"z\": []\n}";
        assert_eq!(pretty(written.as_bytes()).as_deref(), Some(shown));
        assert_eq!(pretty(json!({}).to_string().as_bytes()).as_deref(), Some("{}"));
        assert_eq!(pretty(b"{"), None);
        assert_eq!(pretty(b"{} {}"), None);
    }
}
