//! Each action has a page that says what it may and how it can be wrong.

use std::collections::BTreeMap;

use playbooks::{act::Registry, decide::yaml};
use serde_json::Value;

use crate::page::{Page, pages, root};

/// Actions that share a page with another.
const TOGETHER: [(&str, &str); 1] = [("annotate", "label")];

fn page_of(action: &str) -> Page {
    let name = TOGETHER.iter().find(|(one, _)| *one == action).map_or(action, |(_, page)| page);
    let path = format!("docs/actions/{name}.md");
    let found = pages().into_iter().find(|page| page.path.ends_with(&path));
    found.unwrap_or_else(|| panic!("{action} has no page: write {path}"))
}

/// What each way of each action takes, as the chart has it: `tests/deploy` writes that from the code.
fn ways() -> BTreeMap<String, Value> {
    let path = "deploy/helm/stoop/files/rights.yaml";
    let text = std::fs::read_to_string(root().join(path)).expect("the chart's rights");
    let read = yaml::parse(path, &text).map_err(|error| error.to_string()).expect("YAML");
    read.value.as_object().expect("ways").clone().into_iter().collect()
}

#[test]
fn every_action_has_a_page_with_its_rights_and_its_ways_to_be_wrong() {
    for action in Registry::standard().names() {
        let page = page_of(action);
        for section in ["Permissions", "How it can be wrong"] {
            assert!(page.section(section).is_some(), "{}: no `## {section}`", page.path.display());
        }
        assert!(page.text.contains(&format!("- {action}:")), "{}: no example", page.path.display());
    }
}

#[test]
fn the_rights_on_a_page_are_those_that_the_code_asks_for() {
    let (ways, mut seen) = (ways(), 0);
    for action in Registry::standard().names() {
        let page = page_of(action);
        let section = page.section("Permissions").expect("rights");
        let of_action = ways.iter().filter(|(way, _)| way.split('/').next() == Some(action));
        for (way, takes) in of_action {
            for right in takes["rights"].as_array().expect("rights") {
                let text = |key: &str| right[key].as_str().unwrap_or_default().to_owned();
                let resource = text("resource");
                let verbs = right["verbs"].as_array().expect("verbs");
                let names = std::iter::once(resource.as_str())
                    .chain(verbs.iter().filter_map(Value::as_str));
                for name in names {
                    assert!(
                        section.contains(name),
                        "{}: {way} takes {right}, and `{name}` is not there",
                        page.path.display()
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 50, "{seen} were looked for");
}

/// Resources and verbs that a page names and no way of its action takes would be rights too many.
#[test]
fn no_page_asks_for_a_right_that_the_code_does_not_take() {
    let ways = ways();
    let verbs = [
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
        "impersonate",
        "escalate",
        "bind",
    ];
    for action in Registry::standard().names() {
        let page = page_of(action);
        let of_page: Vec<_> = std::iter::once(action)
            .chain(
                TOGETHER
                    .iter()
                    .filter(|(one, page)| *one == action || *page == action)
                    .flat_map(|(a, b)| [*a, *b]),
            )
            .collect();
        let taken: Vec<_> = ways
            .iter()
            .filter(|(way, _)| {
                let first = way.split('/').next().unwrap_or_default();
                of_page.contains(&first) || (action == "notify" && first == "notifier")
            })
            .flat_map(|(_, takes)| takes["rights"].as_array().cloned().unwrap_or_default())
            .flat_map(|right| right["verbs"].as_array().cloned().unwrap_or_default())
            .collect();
        let section = page.section("Permissions").expect("rights");
        for verb in verbs {
            let written = section.contains(&format!("`{verb}`"));
            assert!(
                !written || taken.iter().any(|it| it == verb),
                "{}: {verb}",
                page.path.display()
            );
        }
    }
}
