//! Text from events and servers, made harmless for logs, messages and reports.
//!
//! Every byte of an event's field can be an attacker's choice: line breaks would forge log lines, escape
//! sequences would move a terminal's cursor, and bidirectional controls would show a name as another.

/// `text` on one line, without control, ANSI and bidirectional characters, of at most `limit` characters.
///
/// What is cut ends in `…`.
pub fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit.saturating_mul(4)));
    for (count, c) in (Harmless { rest: text }).enumerate() {
        if count == limit {
            // The mark takes the last one's place, so that the limit holds.
            out.pop();
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

/// Clean text that means nothing where it may be shown as Markdown, as HTML or in a chat: no mention, no link, no
/// formatting. What could begin one is shown by a look-alike.
pub(super) fn inert(text: &str) -> String {
    let text: String = text.chars().map(alike).collect();
    // What would be linked without any markup.
    text.replace("://", ":\u{2215}\u{2215}").replace("www.", "www\u{2024}")
}

fn alike(c: char) -> char {
    match c {
        '<' => '\u{2039}',
        '>' => '\u{203a}',
        '@' => '\u{ff20}',
        '#' => '\u{ff03}',
        '!' => '\u{ff01}',
        '[' => '\u{ff3b}',
        ']' => '\u{ff3d}',
        '{' => '\u{ff5b}',
        '}' => '\u{ff5d}',
        '|' => '\u{ff5c}',
        '*' => '\u{2217}',
        '~' => '\u{223c}',
        '\\' => '\u{2216}',
        '&' => '\u{ff06}',
        '`' => '\'',
        c => c,
    }
}

/// The characters of a text that may be shown.
struct Harmless<'a> {
    rest: &'a str,
}

impl Iterator for Harmless<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            let mut chars = self.rest.chars();
            let c = chars.next()?;
            self.rest = chars.as_str();
            match c {
                '\u{1b}' | '\u{9b}' => self.rest = after_escape(c, self.rest),
                '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => return Some(' '),
                c if c.is_control() || is_invisible(c) => {}
                c => return Some(c),
            }
        }
    }
}

/// What follows the escape sequence that `introducer` opened (ECMA-48: CSI, and strings such as OSC).
fn after_escape(introducer: char, rest: &str) -> &str {
    let mut chars = rest.chars();
    let is_csi = introducer == '\u{9b}' || rest.starts_with('[');
    let is_string = rest.starts_with([']', 'P', 'X', '^', '_']);
    if is_csi {
        if introducer == '\u{1b}' {
            chars.next();
        }
        // Parameters and intermediates run from space to `?`; one final byte ends it.
        let body = chars.as_str();
        let end = body.find(|c: char| !(' '..='?').contains(&c)).unwrap_or(body.len());
        let tail = body.get(end..).unwrap_or_default();
        return match tail.chars().next() {
            Some(c) if ('@'..='~').contains(&c) => tail.get(c.len_utf8()..).unwrap_or_default(),
            _ => tail,
        };
    }
    if is_string {
        // Ended by BEL or ESC \; without an end, only the introducer is dropped, not the text behind it.
        return match rest.find(['\u{7}', '\u{1b}', '\u{9c}']) {
            Some(end) => {
                rest.get(end..).unwrap_or_default().trim_start_matches(['\u{7}', '\u{9c}'])
            }
            None => rest.get(1..).unwrap_or_default(),
        };
    }
    match chars.next() {
        Some(c) if c.is_ascii_graphic() => chars.as_str(),
        _ => rest,
    }
}

/// Marks that reorder or hide text: bidirectional controls, zero-width characters, tags, the byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_forge_is_taken_out() {
        let table = [
            ("plain text", "plain text"),
            ("two\nlines\r\tand a tab", "two lines  and a tab"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[38;5;196mred", "red"),
            ("\u{9b}31mred", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]no end", "no end"),
            ("\u{1b}cреset", "реset"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("gpj.\u{202e}exe", "gpj.exe"),
            ("a\u{200b}b\u{2066}c\u{2069}", "abc"),
            ("nul\0bell\u{7}del\u{7f}", "nulbelldel"),
            ("line\u{2028}separator", "line separator"),
            ("naïve 日本 🦅", "naïve 日本 🦅"),
        ];
        for (raw, shown) in table {
            assert_eq!(clean(raw, 1000), shown, "{raw:?}");
        }
    }

    #[test]
    fn what_a_chat_or_a_page_would_act_on_means_nothing() {
        for (raw, shown) in [
            ("<!channel> @here", "\u{2039}\u{ff01}channel\u{203a} \u{ff20}here"),
            ("[bank](https://evil)", "\u{ff3b}bank\u{ff3d}(https:\u{2215}\u{2215}evil)"),
            ("`a` www.evil", "'a' www\u{2024}evil"),
            ("shop/web-5d_x.y", "shop/web-5d_x.y"),
        ] {
            assert_eq!(inert(raw), shown, "{raw}");
        }
    }

    #[test]
    fn a_cut_keeps_whole_characters() {
        assert_eq!(clean("日本語", 3), "日本語");
        assert_eq!(clean("日本語です", 3), "日本…");
    }

    proptest! {
        #[test]
        fn nothing_that_controls_survives(text in any::<String>(), limit in 1usize..200) {
            let shown = clean(&text, limit);
            prop_assert!(shown.chars().count() <= limit);
            prop_assert!(!shown.chars().any(|c| c.is_control() || is_invisible(c)));
        }

        #[test]
        fn cleaning_twice_changes_nothing(text in any::<String>()) {
            let once = clean(&text, 100);
            prop_assert_eq!(clean(&once, 100), once.clone());
        }
    }
}
