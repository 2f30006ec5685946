//! What the object of a playbook and target is called: the same for every worker, delivery and restart.

use sha2::{Digest as _, Sha256};

/// How much of the playbook's name is shown.
const READABLE: usize = 40;

/// A label of the DNS: what can be read of the playbook's name, and a hash of that and of the target.
///
/// `concern` is the target's uid, or the event's identity where there is no target.
pub(super) fn name(playbook: &str, concern: &str) -> String {
    let mut hash = Sha256::new();
    hash.update((playbook.len() as u64).to_be_bytes());
    hash.update(playbook.as_bytes());
    hash.update(concern.as_bytes());
    let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let readable: String = playbook
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .take(READABLE)
        .collect();
    match readable.trim_matches('-') {
        "" => format!("response-{hash}"),
        readable => format!("{readable}-{hash}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_the_same_every_time_and_another_for_whatever_differs() {
        let one = name("shell-in-container", "u");
        assert!(one.starts_with("shell-in-container-"), "{one}");
        assert_eq!(one, name("shell-in-container", "u"));
        assert_ne!(one, name("shell-in-container", "v"));
        assert_ne!(name("shell.in-container", "u"), one, "they only read alike");
        assert_ne!(name("a", "bc"), name("ab", "c"));
    }

    proptest! {
        #[test]
        fn whatever_a_playbook_is_called_the_name_is_a_label_of_the_dns(playbook in ".{0,300}", concern in ".{0,80}") {
            let name = name(&playbook, &concern);
            let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            prop_assert!(name.len() <= 63);
            prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            prop_assert!(is_edge(name.chars().next()) && is_edge(name.chars().last()));
        }
    }
}
