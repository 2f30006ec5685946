//! Keys and values as Kubernetes takes them, checked when a playbook is read and not when an attack is answered.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>

use crate::act::config::ConfigError;

/// A key of labels, annotations and taints: a name of at most 63 characters, with or without a DNS prefix.
pub(super) fn qualified(key: &str) -> Result<(), ConfigError> {
    let is_good = match key.split_once('/') {
        None => is_name(key),
        Some((prefix, name)) => is_domain(prefix) && is_name(name),
    };
    is_good.then_some(()).ok_or_else(|| {
        ConfigError::new(format!("`{key}` is no key that Kubernetes takes")).help(
            "at most 63 letters, digits, `-`, `_` and `.`, if need be behind a domain: `acme.example/suspect`",
        )
    })
}

/// A label's value, or a taint's: can be empty.
pub(super) fn label_value(value: &str) -> Result<(), ConfigError> {
    (value.is_empty() || is_name(value)).then_some(()).ok_or_else(|| {
        ConfigError::new(format!("`{value}` is no value that Kubernetes takes"))
            .help("at most 63 letters, digits, `-`, `_` and `.`, a letter or digit first and last")
    })
}

/// True for keys that are Kubernetes' own.
pub(super) fn is_kubernetes(key: &str) -> bool {
    is_below(key, &["kubernetes.io", "k8s.io"])
}

/// True for keys that stoop keeps its notes under.
pub(super) fn is_stoops(key: &str) -> bool {
    is_below(key, &["stoop.dev"])
}

fn is_below(key: &str, domains: &[&str]) -> bool {
    let Some((prefix, _)) = key.split_once('/') else { return false };
    domains.iter().any(|domain| {
        prefix.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn is_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_inner)
}

fn is_domain(prefix: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(is_letter)
            && label.ends_with(is_letter)
            && label.chars().all(|c| is_letter(c) || c == '-')
    };
    prefix.len() <= 253 && prefix.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_that_the_server_takes() {
        let long = "x".repeat(64);
        for good in ["a", "A.b-c_d", "acme.example/suspect", "a/b", &long[..63]] {
            assert!(qualified(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a/", "/a", "a/b/c", "Acme/a", "a..b/c", "ä", &long] {
            assert!(qualified(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_domain_is_told_from_one_that_only_ends_alike() {
        assert!(is_kubernetes("kubernetes.io/a") && is_kubernetes("node.kubernetes.io/a"));
        assert!(
            is_kubernetes("node-role.kubernetes.io/control-plane") && is_kubernetes("k8s.io/a")
        );
        assert!(!is_kubernetes("notkubernetes.io/a") && !is_kubernetes("kubernetes.io"));
        assert!(is_stoops("stoop.dev/a") && !is_stoops("acme.example/stoop.dev"));
    }
}
