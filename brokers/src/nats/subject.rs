//! Subjects: words with dots between. In a pattern `*` stands for one word, and `>` at the end for one or more.

/// Whether it can name a stream or a consumer.
pub(super) fn is_name(name: &str) -> bool {
    is_word(name) && !name.contains(['.', '/', '\\'])
}

fn is_word(word: &str) -> bool {
    let unfit = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
    !word.is_empty() && !word.contains(unfit)
}

/// Whether it is a subject, with wildcards or without.
pub(super) fn is_pattern(subject: &str) -> bool {
    let words: Vec<&str> = subject.split('.').collect();
    let fit = |(place, word): (usize, &&str)| match *word {
        "*" => true,
        ">" => place + 1 == words.len(),
        word => is_word(word),
    };
    words.iter().enumerate().all(fit)
}

/// Whether it is one subject.
pub(super) fn is_literal(subject: &str) -> bool {
    is_pattern(subject) && !subject.contains(['*', '>'])
}

/// Whether a pattern takes in a subject, or all that another pattern takes in.
pub(super) fn matches(pattern: &str, subject: &str) -> bool {
    let mut words = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, words.next()) {
            (">", Some(_)) => return true,
            ("*", Some(word)) if word != ">" => {}
            (wanted, Some(word)) if wanted == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

/// A subject that the pattern takes in.
pub(super) fn example(pattern: &str) -> String {
    let word = |word| if matches!(word, "*" | ">") { "event" } else { word };
    pattern.split('.').map(word).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn falcosidekicks_subjects_leave_room_for_dead_letters() {
        assert!(matches("falco.*.*", "falco.notice.terminal_shell_in_container"));
        assert!(!matches("falco.*.*", "falco.dead"));
        assert!(matches("falco.>", "falco.dead"));
        assert!(!matches("falco.>", "falco"));
    }

    #[test]
    fn a_pattern_takes_in_narrower_ones() {
        assert!(matches("falco.>", "falco.*.*"));
        assert!(matches("falco.*.*", "falco.*.*"));
        assert!(!matches("falco.*.*", "falco.>"));
        assert!(!matches("falco.*", "falco.>"));
    }

    #[test]
    fn what_is_no_subject_is_none() {
        for wrong in ["", ".", "a..b", "a b", "a.>.b", "a*"] {
            assert!(!is_pattern(wrong), "{wrong}");
        }
        assert!(is_pattern("a.*.>") && !is_literal("a.*") && is_literal("a.b"));
    }

    proptest! {
        #[test]
        fn an_example_is_a_subject_that_the_pattern_takes_in(
            pattern in r"([a-z]{1,3}|\*)(\.([a-z]{1,3}|\*)){0,3}(\.>)?"
        ) {
            prop_assert!(is_pattern(&pattern));
            let example = example(&pattern);
            prop_assert!(is_literal(&example));
            prop_assert!(matches(&pattern, &example));
        }
    }
}
