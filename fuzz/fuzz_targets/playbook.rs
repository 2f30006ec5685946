//! Any text as an operator might write it, or someone who means harm to the worker.
//!
//! Reading it ends without a panic, errors point into the text, and what is accepted can be matched with.

#![no_main]

use libfuzzer_sys::fuzz_target;
use playbooks::decide::{Event, Matcher, read_text};

const EVENT: &str = include_str!("../../playbooks/tests/data/falcosidekick.jsonl");

fuzz_target!(|text: &str| {
    match read_text("fuzz.yaml", text) {
        Ok(playbooks) => {
            let matcher = Matcher::new(playbooks);
            for line in EVENT.lines() {
                let Ok(event) = Event::decode(line.as_bytes()) else {
                    panic!("a sample that is no event")
                };
                let Ok(found) = matcher.candidates(&event) else {
                    panic!("a sample whose fields can't be read")
                };
                assert!(found.is_empty() || matcher.wants(line.as_bytes()));
            }
        }
        Err(errors) => {
            let lines = 1 + text.matches(['\n', '\r']).count();
            for error in errors.iter() {
                assert!(error.place().is_none_or(|place| place.line <= lines), "{error}");
                assert!(!error.to_string().is_empty());
            }
        }
    }
});
