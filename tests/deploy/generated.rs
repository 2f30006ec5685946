//! What was generated from the code or by Helm is in the repository as it would be generated now.

use std::{env, fs, path::Path};

use serde_json::Value;

use crate::{chart, chart::Worker, ways};

/// `path`, seen from the repository, holds `text`; `STOOP_BLESS=1` writes it there.
fn is_current(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("STOOP_BLESS").is_some() {
        fs::write(&file, text).expect("it can be written");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{path} is not current: write it anew with STOOP_BLESS=1");
}

fn printed(arguments: &[&str]) -> String {
    Worker::of(&[]).prints(arguments)
}

#[test]
fn the_chart_knows_what_each_action_takes() {
    is_current("deploy/helm/stoop/files/rights.yaml", &ways::text());
}

#[test]
fn the_chart_installs_the_definitions_that_the_program_prints() {
    is_current("deploy/helm/stoop/crds/stoop.yaml", &printed(&["crds"]));
}

#[test]
fn the_chart_has_the_alerts_and_the_dashboard() {
    for (of, copy) in
        [("alerts/stoop.yaml", "alerts.yaml"), ("dashboards/stoop.json", "dashboard.json")]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(of);
        let text = fs::read_to_string(path).expect("a file");
        is_current(&format!("deploy/helm/stoop/files/{copy}"), &text);
    }
}

#[test]
fn the_schema_of_the_values_holds_those_of_the_configuration_and_of_playbooks() {
    let path = "deploy/helm/stoop/values.schema.json";
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let mut schema: Value = serde_json::from_str(&text.expect("a schema")).expect("JSON");
    for of in ["config", "playbook"] {
        let mut printed: Value = serde_json::from_str(&printed(&["schema", of])).expect("JSON");
        printed["$id"] = format!("{of}.json").into();
        schema["$defs"][of] = printed;
    }
    let text = serde_json::to_string_pretty(&schema).expect("JSON");
    is_current(path, &format!("{text}\n"));
}

#[test]
fn the_chart_is_of_the_programs_version() {
    let text = fs::read_to_string(chart::folder().join("Chart.yaml")).expect("a chart");
    let chart = &chart::documents(&text)[0];
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key], env!("CARGO_PKG_VERSION"), "{key}");
    }
}

#[test]
fn the_plain_manifests_are_what_the_chart_makes_of_their_values() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let (chart, values) = (root.join("helm/stoop"), root.join("manifests/values.yaml"));
    let (chart, values) = (chart.to_string_lossy(), values.to_string_lossy());
    let arguments =
        ["template", "stoop", &chart, "--include-crds", "--namespace", "stoop", "-f", &values];
    let ran = chart::helm(&arguments);
    assert!(ran.ok, "{}", ran.err);
    let head = "# Generated from the chart and values.yaml beside this: change those. See docs/deploy.md.\n";
    is_current("deploy/manifests/stoop.yaml", &format!("{head}{}", ran.out));
}
