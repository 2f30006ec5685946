//! The pages about actions: every playbook in them can be run as it stands.

use std::{sync::Arc, time::Duration};

use playbooks::{
    act::{Destinations, Functions, Registry, Resources},
    decide::{Playbook, read_text},
};

use crate::{capture::Kept, forward::Topic};

const PAGES: [(&str, &str); 11] = [
    ("call", include_str!("../../../docs/actions/call.md")),
    ("capture", include_str!("../../../docs/actions/capture.md")),
    ("delete", include_str!("../../../docs/actions/delete.md")),
    ("forward", include_str!("../../../docs/actions/forward.md")),
    ("run", include_str!("../../../docs/actions/run.md")),
    ("label", include_str!("../../../docs/actions/label.md")),
    ("taint", include_str!("../../../docs/actions/taint.md")),
    ("cordon", include_str!("../../../docs/actions/cordon.md")),
    ("drain", include_str!("../../../docs/actions/drain.md")),
    ("scale", include_str!("../../../docs/actions/scale.md")),
    ("taint", include_str!("../../../docs/guardrails.md")),
];

/// What is kept of them, and how it is taken back.
const RESPONSES: &str = include_str!("../../../docs/responses.md");

#[test]
fn the_playbooks_of_the_page_about_responses_can_be_run_and_need_them() {
    let blocks = RESPONSES.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let texts: Vec<_> = blocks.collect();
    assert_eq!(texts.len(), 2);
    for text in texts {
        let playbook = read_text("responses", text).map_err(|error| error.to_string());
        let playbook = playbook.expect("a playbook").remove(0);
        let plan = Registry::standard().bind(&playbook, &Resources::default());
        assert!(plan.map_err(|error| error.to_string()).expect("a plan").needs_records());
    }
}

/// What a playbook says as an object.
const PLAYBOOKS: &str = include_str!("../../../docs/playbooks.md");

#[test]
fn the_object_of_the_page_about_playbooks_can_be_applied_as_it_stands() {
    let (_, section) = PLAYBOOKS.split_once("## As objects in the cluster").expect("a section");
    let block = section.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let object = serde_saphyr::from_str(block.expect("an object")).expect("YAML");
    let playbook = Playbook::from_value("the page's", object).map_err(|errors| errors.to_string());
    let playbook = Arc::new(playbook.expect("a playbook"));
    assert_eq!(playbook.name, "shop/shell");
    let plan = Registry::standard().bind(&playbook, &Resources::default());
    assert_eq!(plan.map_err(|error| error.to_string()).err(), None);
}

/// What the pages' configurations name.
fn resources() -> Resources {
    let named = ["sensitive", "others"];
    let destinations = named
        .iter()
        .fold(Destinations::new(), |all, name| all.with(name, Arc::new(Topic::default())));
    let functions = serde_json::json!({"scan": {"url": "https://scan.example"}});
    let functions = serde_json::from_value(functions).expect("functions");
    let functions = Functions::new(&functions, Duration::from_secs(5)).expect("functions");
    Resources::default().with_destinations(destinations).with_functions(functions)
}

#[test]
fn every_page_has_a_playbook_that_names_its_action_and_every_playbook_can_be_run() {
    let kept = Kept::new("http://stoop:2809");
    let resources = resources().capturing(kept.captures.clone());
    for (action, page) in PAGES {
        let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let playbooks: Vec<_> = blocks.filter(|block| block.contains("kind: Playbook")).collect();
        let is_named = |text: &&&str| text.contains(&format!("- {action}:"));
        assert!(playbooks.iter().any(|text| is_named(&text)), "{action}");
        for text in playbooks {
            let read = read_text(action, text).map_err(|error| error.to_string());
            for playbook in read.expect(action) {
                let plan = Registry::standard().bind(&playbook, &resources);
                assert!(
                    plan.is_ok(),
                    "{action}: {}",
                    plan.err().map(|error| error.to_string()).unwrap_or_default()
                );
            }
        }
    }
}
