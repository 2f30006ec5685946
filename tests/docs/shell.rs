//! The commands of a console block, taken apart as a shell would, as far as the book goes.

use crate::page::{Block, pages};

/// One program's call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) place: String,
    /// What stands in front: `NAME=value`.
    pub(crate) environment: Vec<String>,
    pub(crate) words: Vec<String>,
}

impl Call {
    pub(crate) fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// True where these words come first.
    pub(crate) fn begins(&self, words: &str) -> bool {
        let words: Vec<_> = words.split(' ').collect();
        self.words.len() >= words.len()
            && self.words.iter().zip(&words).all(|(is, word)| is == word)
    }
}

/// The lines behind the prompts of all pages, as calls.
pub(crate) fn calls() -> Vec<Call> {
    let pages = pages();
    let blocks = pages.iter().flat_map(|page| page.blocks());
    blocks.filter(|block| block.language == "console").flat_map(|block| of_block(&block)).collect()
}

fn of_block(block: &Block) -> Vec<Call> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block.text.lines() {
        let command = match line.strip_prefix("$ ") {
            Some(command) => {
                lines.push(String::new());
                command
            }
            None if goes_on => line.trim_start(),
            None => continue,
        };
        goes_on = command.ends_with('\\');
        if let Some(last) = lines.last_mut() {
            last.push_str(command.trim_end_matches('\\'));
        }
    }
    assert!(!lines.is_empty(), "{}: a console without a command", block.place);
    lines.iter().flat_map(|line| calls_of(&block.place, line)).collect()
}

/// Splits at pipes and the like, keeps quoted text together, and drops comments and redirections.
fn calls_of(place: &str, line: &str) -> Vec<Call> {
    let mut calls = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut depth = 0;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') if depth == 0 => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            // What is in `$(…)` is one word here.
            (None, '(') => {
                depth += 1;
                word.get_or_insert_default().push(c);
            }
            (None, ')') => {
                depth -= 1;
                word.get_or_insert_default().push(c);
            }
            (None, c) if depth > 0 => word.get_or_insert_default().push(c),
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';') => {
                calls.last_mut().expect("one").extend(word.take());
                calls.push(Vec::new());
            }
            (None, c) if c.is_whitespace() => calls.last_mut().expect("one").extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none() && depth == 0, "{place}: a quote without an end in `{line}`");
    calls.last_mut().expect("one").extend(word.take());
    calls.into_iter().filter(|words| !words.is_empty()).map(|words| call(place, words)).collect()
}

fn call(place: &str, words: Vec<String>) -> Call {
    let is_variable = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        })
    };
    let mut words = words;
    // A loop's own words belong to no program.
    while words.first().is_some_and(|word| ["do", "then"].contains(&word.as_str())) {
        words.remove(0);
    }
    let variables = words.iter().take_while(|word| is_variable(word)).count();
    let environment = words.drain(..variables).collect();
    let mut plain = Vec::new();
    let mut rest = words.into_iter().peekable();
    while let Some(word) = rest.next() {
        match word.trim_start_matches(|c: char| c.is_ascii_digit()) {
            ">" | ">>" | "<" => drop(rest.next()),
            redirected if redirected.starts_with(['>', '<']) && word != "<" => {}
            _ => plain.push(word),
        }
    }
    Call { place: place.to_owned(), environment, words: plain }
}

#[test]
fn a_line_is_taken_apart_as_a_shell_would() {
    let calls = calls_of(
        "here",
        r#"A=b stoop event --rule 'Terminal shell' --pod "shop/$pod" 2> run.log | stoop explain - & # later"#,
    );
    let words: Vec<_> = calls.iter().map(|call| call.words.join("·")).collect();
    assert_eq!(words, ["stoop·event·--rule·Terminal shell·--pod·shop/$pod", "stoop·explain·-"]);
    assert_eq!(calls[0].environment, ["A=b"]);
}
