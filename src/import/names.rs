//! Names and texts of others in places of ours.

/// The longest part of a playbook's name that comes from a rule's.
const LONGEST: usize = 60;

/// A text as part of a Kubernetes name: lower case, everything else a hyphen.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
        if slug.len() == LONGEST {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "rule".to_owned() } else { slug.to_owned() }
}

/// A text as the name of an environment variable.
pub(super) fn variable(text: &str) -> String {
    slug(text).to_uppercase().replace('-', "_")
}

/// A text where a glob is expected, meant as it stands.
pub(super) fn literal(text: &str) -> String {
    if !text.contains(['*', '?', '[', '{']) {
        return text.to_owned();
    }
    let escaped = |c: char| match c {
        '*' | '?' | '[' | ']' | '{' | '}' | '\\' => format!("\\{c}"),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// A text on one line: nothing in it ends a comment or turns a terminal's text around.
pub(super) fn one_line(text: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if hides(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_always_one_that_kubernetes_takes() {
        let long = "x ".repeat(100);
        for (text, expected) in [
            ("Terminal shell in container", "terminal-shell-in-container"),
            ("  (C2) über/all ", "c2-ber-all"),
            ("日本", "rule"),
            ("", "rule"),
        ] {
            assert_eq!(slug(text), expected);
        }
        assert!(playbooks::decide::is_subdomain(&slug(&long)));
    }

    #[test]
    fn what_would_be_a_glob_is_escaped_and_nothing_else_is() {
        assert_eq!(literal(r"a\b"), r"a\b");
        assert_eq!(literal(r"read [x] \ {y}*?"), r"read \[x\] \\ \{y\}\*\?");
    }
}
