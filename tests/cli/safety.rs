//! The pages about safety name tests, and tests are renamed.

use std::{fs, path::Path};

const PAGES: [&str; 2] =
    [include_str!("../../docs/safety.md"), include_str!("../../docs/threat-model.md")];

fn read_all(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(path).expect("a source"));
        }
    }
}

#[test]
fn every_test_that_holds_an_invariant_is_there() {
    let mut sources = String::new();
    for folder in ["playbooks/src", "playbooks/tests", "src", "tests"] {
        read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut sources);
    }
    let named: Vec<_> = PAGES
        .iter()
        .flat_map(|page| page.split('`').filter(|word| word.matches('_').count() > 2))
        .collect();
    assert!(named.len() > 40, "{named:?}");
    for name in named {
        // Or all that a module has of them.
        let is_there = [format!("fn {name}("), format!("mod {name} {{")];
        assert!(is_there.iter().any(|it| sources.contains(it)), "{name}");
    }
}
