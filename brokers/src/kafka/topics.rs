//! Which topics a subscription is about: some by name, or all that match a pattern.

use regex::Regex;

/// The topics of a subscription.
#[derive(Clone, Debug)]
pub enum Topics {
    /// These; one at the least.
    Named(Vec<String>),
    /// All whose whole name matches, those that are made later too.
    Matching(Pattern),
}

/// A regular expression of what all engines understand alike, for the client library has its own.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Reads a pattern, for the whole name whether or not it says so.
    ///
    /// # Errors
    /// It is none, or engines differ about it; the text says what to change.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('^').unwrap_or(text);
        let inner = inner.strip_suffix('$').filter(|i| !i.ends_with('\\')).unwrap_or(inner);
        if inner.is_empty() {
            return Err("topicPattern is empty: write one such as `falco\\..*`".to_owned());
        }
        if let Some(pair) = inner.as_bytes().windows(2).find(|pair| engines_differ(pair)) {
            return Err(format!(
                "topicPattern has `{}`, which Kafka's client reads otherwise: \
                 use only . * + ? [] () | {{}}, and a backslash only before such a sign",
                String::from_utf8_lossy(pair)
            ));
        }
        let text = format!("^({inner})$");
        let regex = Regex::new(&text).map_err(|error| format!("topicPattern is none: {error}"))?;
        Ok(Self { text, regex })
    }

    /// Whether a topic is meant.
    pub fn matches(&self, topic: &str) -> bool {
        self.regex.is_match(topic)
    }
}

/// Classes such as `\d`, groups such as `(?:`, and repetitions that are lazy or possessive.
fn engines_differ(pair: &[u8]) -> bool {
    match pair {
        [b'\\', next] => next.is_ascii_alphanumeric(),
        [b'(', b'?'] => true,
        [b'*' | b'+' | b'?' | b'}', b'?' | b'+' | b'*'] => true,
        _ => false,
    }
}

impl Topics {
    /// As the client subscribes to them: what begins with `^` is a pattern to it.
    pub(super) fn subscription(&self) -> Vec<&str> {
        match self {
            Self::Named(names) => names.iter().map(String::as_str).collect(),
            Self::Matching(pattern) => vec![&pattern.text],
        }
    }

    /// The first of those named.
    pub fn first(&self) -> Option<&str> {
        match self {
            Self::Named(names) => names.first().map(String::as_str),
            Self::Matching(_) => None,
        }
    }

    /// Whether a topic is one of them.
    pub fn contain(&self, topic: &str) -> bool {
        match self {
            Self::Named(names) => names.iter().any(|name| name == topic),
            Self::Matching(pattern) => pattern.matches(topic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_the_whole_name() {
        for text in [r"falco\..*", r"^falco\..*", r"^falco\..*$"] {
            let pattern = Pattern::read(text).unwrap();
            assert_eq!(pattern.text, r"^(falco\..*)$");
            assert!(pattern.matches("falco.a") && !pattern.matches("falco"));
            assert!(!pattern.matches("dead.falco.a"));
        }
        assert!(!Pattern::read("a|b").unwrap().matches("ab"));
    }

    #[test]
    fn what_engines_read_differently_is_refused() {
        for text in [r"falco\d", "(?i)falco", "falco.*?", "falco.++", "", "^$", "falco("] {
            assert!(Pattern::read(text).is_err(), "{text}");
        }
        assert!(Pattern::read(r"(falco|audit)[.-][0-9]+\.v1?").is_ok());
    }
}
