//! Which texts may be a Kubernetes name, a uid or a container id at all.
//!
//! A claim ends up in the path of an API request: what doesn't have the syntax of a name must never get there.

/// An RFC 1123 label: a namespace.
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

/// An RFC 1123 subdomain: a pod, a node.
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    bytes.iter().all(inner)
        && bytes.first().is_some_and(|b| *b != b'-')
        && bytes.last().is_some_and(|b| *b != b'-')
}

/// A container id, short or full: 12 to 64 hex digits.
pub(super) fn is_container_id(text: &str) -> bool {
    (12..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A uid as Kubernetes writes it: a UUID, or a static pod's config hash.
pub(super) fn is_uid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
