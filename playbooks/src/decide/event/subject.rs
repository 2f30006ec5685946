//! The subject that Falcosidekick publishes an event under on NATS.

/// The rule's part of a subject: lower case, every run of other characters an underscore, trimmed.
///
/// Slugs collide and can be empty, so they select by name only; nothing is identified by one.
pub(crate) fn slug(rule: &str) -> String {
    let mut slug = String::with_capacity(rule.len());
    for c in rule.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
    }
    if slug.ends_with('_') {
        slug.pop();
    }
    slug
}
