use std::{env, fs, path::Path};

use super::*;

const PAGE: &str = "docs/observability.md";

/// What a label may be called, and so what it may be about. What it can be is a closed set, or a name that the operator gave.
const LABELS: [&str; 15] = [
    "action",
    "cause",
    "dependency",
    "fate",
    "guardrail",
    "how",
    "kind",
    "mode",
    "outcome",
    "playbook",
    "reason",
    "result",
    "scope",
    "state",
    "subscription",
];

fn table() -> String {
    let mut rows = vec![
        "| metric | type | labels | what it says |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    for Definition { name, kind, labels, help } in Metrics::new().unwrap().definitions() {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        rows.push(format!("| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(", ")));
    }
    rows.join("\n")
}

#[test]
fn the_page_names_every_metric_as_it_is() {
    const MARKS: [&str; 2] = ["<!-- metrics: generated -->\n", "\n<!-- end of metrics -->"];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (found, after) = rest.split_once(MARKS[1]).unwrap();
    if env::var_os("STOOP_BLESS").is_some() {
        fs::write(&path, [before, MARKS[0], &table(), MARKS[1], after].concat()).unwrap();
        return;
    }
    assert!(found == table(), "{PAGE} is not current: write it anew with STOOP_BLESS=1");
}

#[test]
fn labels_are_of_things_that_are_few() {
    for Definition { name, labels, .. } in Metrics::new().unwrap().definitions() {
        for label in labels {
            let is_known = LABELS.contains(&label.as_str()) || name == "stoop_build_info";
            assert!(is_known, "{name} has a label {label}: what bounds it?");
        }
    }
}

#[test]
fn what_is_counted_of_a_playbook_ends_with_it() {
    let metrics = Metrics::new().unwrap();
    for name in ["stays", "shop/goes"] {
        for outcome in ["applied", "failed"] {
            metrics.responses.with_label_values(&[name, "enforce", outcome]).inc();
        }
    }
    metrics.forget_others(&BTreeSet::from(["stays", "comes"]));
    let text = String::from_utf8(metrics.render().unwrap()).unwrap();
    assert_eq!(text.matches("playbook=\"stays\"").count(), 2, "{text}");
    assert!(!text.contains("shop/goes"), "{text}");
}

#[test]
fn a_lag_says_whether_it_adds_up_over_workers() {
    let metrics = Metrics::new().unwrap();
    for (name, is_fleets) in [("own", false), ("whole", true)] {
        let ask = Box::new(move || Gauges { lag: 7, is_fleets, ..Gauges::default() });
        metrics.watch(name, Arc::default(), Pool::new(1, 1), ask);
    }
    let text = String::from_utf8(metrics.render().unwrap()).unwrap();
    for told in [
        "stoop_lag{scope=\"worker\",subscription=\"own\"} 7",
        "stoop_lag{scope=\"fleet\",subscription=\"whole\"} 7",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn what_is_scraped_is_what_was_defined() {
    let metrics = Metrics::new().unwrap();
    metrics.response_time.with_label_values(&["applied"]).observe(1.0);
    metrics.shared.inc();
    let text = String::from_utf8(metrics.render().unwrap()).unwrap();
    let types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let defined = metrics.definitions();
    for told in ["stoop_response_seconds histogram", "stoop_shared_answers_total counter"] {
        assert!(types.contains(&told), "{told}: {text}");
    }
    for told in types {
        let is_defined = |it: &Definition| told == format!("{} {}", it.name, it.kind.as_str());
        assert!(defined.iter().any(is_defined), "{told}");
    }
}
