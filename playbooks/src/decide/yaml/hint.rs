//! From serde's messages to ones that carry the fix.

/// How alike two names must be for one to be suggested for the other.
const ALIKE: f64 = 0.5;

/// The one of `known` that `name` was probably meant to be.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Whether a message of [`explain`] is about a key rather than its value.
pub(super) fn is_about_the_key(message: &str) -> bool {
    message.starts_with("unknown key")
}

/// Turns serde's message into ours, and the fix.
///
/// serde gives the name and what is known only as text; its wording is stable and pinned by tests.
pub(super) fn explain(message: &str) -> (String, String) {
    for (theirs, ours) in [("unknown field", "unknown key"), ("unknown variant", "unknown value")] {
        if let Some(rest) = message.strip_prefix(theirs) {
            let mut quoted = rest.split('`').skip(1).step_by(2);
            let name = quoted.next().unwrap_or_default();
            return (format!("{ours} `{name}`"), suggestion(name, &quoted.collect::<Vec<_>>()));
        }
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return (format!("missing key {rest}"), format!("add {rest}"));
    }
    let mismatch =
        message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match mismatch.and_then(|rest| rest.split_once(", expected ")) {
        Some((found, expected)) => {
            (format!("expected {}, found {}", ours(expected), ours(found)), String::new())
        }
        None => (message.to_owned(), String::new()),
    }
}

/// serde's names for types, in YAML's words.
fn ours(name: &str) -> String {
    let word = |word: &str| match word {
        "sequence" => "list".to_owned(),
        "map" => "mapping".to_owned(),
        other => other.to_owned(),
    };
    match name {
        "unit value" | "unit" => "null".to_owned(),
        // The type's name is the program's business.
        name if name.starts_with("struct ") => "a mapping".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative".to_owned(),
        name => name.split(' ').map(word).collect::<Vec<_>>().join(" "),
    }
}

fn suggestion(name: &str, known: &[&str]) -> String {
    match (closest(name, known.iter().copied()), known) {
        (Some(close), _) => format!("did you mean `{close}`?"),
        (None, []) => "nothing can be set here".to_owned(),
        (None, known) => format!("known here: {}", known.join(", ")),
    }
}
