//! The pages about actions: every playbook in them can be run as it stands.

use playbooks::{
    act::{Registry, Resources},
    decide::read_text,
};

use crate::capture::Kept;

const PAGES: [(&str, &str); 7] = [
    ("capture", include_str!("../../../docs/actions/capture.md")),
    ("label", include_str!("../../../docs/actions/label.md")),
    ("taint", include_str!("../../../docs/actions/taint.md")),
    ("cordon", include_str!("../../../docs/actions/cordon.md")),
    ("drain", include_str!("../../../docs/actions/drain.md")),
    ("scale", include_str!("../../../docs/actions/scale.md")),
    ("taint", include_str!("../../../docs/guardrails.md")),
];

#[test]
fn every_page_has_a_playbook_that_names_its_action_and_every_playbook_can_be_run() {
    let kept = Kept::new("http://stoop:2809");
    let resources = Resources::default().capturing(kept.captures.clone());
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
