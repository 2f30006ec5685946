//! Any bytes as a broker might hand them over.
//!
//! Decoding, fields, claim, identity and matching end without a panic; a claim has only names that are names;
//! and the filter never skips what a playbook is for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use playbooks::decide::{Event, Holds, Matcher, read_text};
use std::sync::LazyLock;

static MATCHER: LazyLock<Matcher> =
    LazyLock::new(|| match read_text("fuzz", include_str!("../playbooks.yaml")) {
        Ok(playbooks) => Matcher::new(playbooks),
        Err(errors) => panic!("{errors}"),
    });

fuzz_target!(|payload: &[u8]| {
    let wanted = MATCHER.wants(payload);
    let Ok(event) = Event::decode(payload) else { return };
    if let Ok(claim) = event.claim() {
        for name in [&claim.namespace, &claim.pod, &claim.node].into_iter().flatten() {
            assert!(
                name != "host"
                    && name.bytes().all(|b| b.is_ascii_lowercase()
                        || b.is_ascii_digit()
                        || b"-.".contains(&b))
            );
        }
        assert!(
            claim
                .container_id
                .is_none_or(|id| id.len() >= 12 && id.bytes().all(|b| b.is_ascii_hexdigit()))
        );
        assert!(event.id(Some("cluster")).is_ok());
    }
    let Ok(found) = MATCHER.candidates(&event) else { return };
    assert!(wanted || found.is_empty());
    for (position, playbook) in MATCHER.playbooks().iter().enumerate() {
        let checks = playbook.explain(&event);
        let expected = Holds::all(&checks) != Holds::No;
        assert_eq!(found.iter().any(|found| found.position == position), expected, "{checks:?}");
    }
});
