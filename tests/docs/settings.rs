//! Every YAML of the book is read by whoever reads it in earnest.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Container;
use playbooks::{
    act::{Registry, Resources},
    decide::{Mode, Playbook, read_text, yaml},
};
use serde_json::{Value, json};
use stoop::{config, import::import_talon, worker::assemble};

use crate::page::{Block, pages, root};

/// Everything that playbooks of the book name.
const NAMED: &str = r"
destinations:
  sensitive: {kafka: {brokers: [127.0.0.1:9092], topic: falco.sensitive}}
  others: {kafka: {brokers: [127.0.0.1:9092], topic: falco.others}}
functions:
  scan: {url: http://there.example}
notifiers:
  security-slack: {slack: {url: http://there.example}}
  pager: {webhook: {url: http://there.example}}
  findings: {securityCommandCenter: {source: organizations/1/sources/2}}
captureNamespace: stoop-captures
captureImage: registry.example/stoop-capture@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";

/// What a block is, by its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Playbook,
    Settings,
    /// The chart's; `tests/deploy` renders those of deploy.md with Helm.
    Values,
    /// Of another program, which nobody here can ask: Falcosidekick, Prometheus.
    Others,
    /// An object of Kubernetes, or a part of a pod.
    Kubernetes,
    TalonRules,
}

fn shape(value: &Value) -> Shape {
    let has = |key: &str| value.get(key).is_some();
    match value {
        Value::Array(_) => Shape::TalonRules,
        _ if value["apiVersion"] == "stoop.dev/v1alpha1" => Shape::Playbook,
        _ if has("apiVersion") || (has("env") && !has("config")) => Shape::Kubernetes,
        _ if has("config") => Shape::Values,
        _ if value["kafka"]["hostport"].is_string() || has("groups") || has("scrape_configs") => {
            Shape::Others
        }
        _ => Shape::Settings,
    }
}

fn resources() -> (tempfile::TempDir, Resources) {
    let folder = tempfile::tempdir().expect("a folder");
    let evidence = format!(
        "evidence: {{url: 'file://{}', uploads: {{url: 'http://stoop:2809', secret: {}}}}}\n",
        folder.path().display(),
        "s".repeat(32)
    );
    let config =
        config::parse("named.yaml", &format!("{NAMED}{evidence}"), []).expect("it can be read");
    let resources = assemble::resources(&config).map_err(|error| error.to_string());
    (folder, resources.expect("they can be used"))
}

fn bound(playbooks: Vec<Arc<Playbook>>, resources: &Resources) -> Result<(), String> {
    let bind = |playbook: &Arc<Playbook>| {
        let plan = Registry::standard().bind(playbook, resources);
        plan.map(drop).map_err(|error| error.to_string())
    };
    playbooks.iter().try_for_each(bind)
}

fn values(value: &Value, resources: &Resources) -> Result<(), String> {
    let text = yaml::print(&value["config"]).map_err(|error| error.to_string())?;
    config::parse("config", &text, []).map_err(|error| error.to_string())?;
    for (name, playbook) in value["playbooks"].as_object().into_iter().flatten() {
        // Either the text of a file, or an object whose head may be left out.
        let read = match playbook.as_str() {
            Some(text) => read_text(name, text).map_err(|error| error.to_string())?,
            None => {
                let object = json!({
                    "apiVersion": "stoop.dev/v1alpha1", "kind": "ClusterPlaybook", "metadata": {"name": name},
                    "spec": playbook["spec"],
                });
                let read = Playbook::from_value(name, object).map_err(|error| error.to_string())?;
                vec![Arc::new(read)]
            }
        };
        bound(read, resources)?;
    }
    Ok(())
}

fn kubernetes(value: &Value) -> Result<(), String> {
    if value.get("apiVersion").is_some() {
        let named = value["kind"].is_string() && value["metadata"]["name"].is_string();
        return if named { Ok(()) } else { Err("an object has a kind and a name".to_owned()) };
    }
    let mut container = value.clone();
    container["name"] = "stoop".into();
    serde_json::from_value::<Container>(container).map(drop).map_err(|error| error.to_string())
}

fn check(block: &Block, resources: &Resources) -> Result<Shape, String> {
    let text = &block.text;
    let documents = yaml::parse_all(&block.place, text).map_err(|error| error.to_string())?;
    let value = &documents.first().ok_or("nothing is in it")?.value;
    let shape = shape(value);
    match shape {
        Shape::Playbook => {
            let read = read_text(&block.place, text).map_err(|error| error.to_string())?;
            bound(read, resources)
        }
        Shape::Settings => {
            config::parse(&block.place, text, []).map(drop).map_err(|error| error.to_string())
        }
        Shape::Values => values(value, resources),
        Shape::Kubernetes => kubernetes(value),
        Shape::Others => Ok(()),
        Shape::TalonRules => {
            let imported = import_talon(&[(block.place.clone(), text.clone())], Mode::Observe);
            imported.map(drop).map_err(|errors| errors[0].to_string())
        }
    }
    .map(|()| shape)
}

#[test]
fn every_yaml_is_read_by_who_reads_it() {
    let (_folder, resources) = resources();
    let (mut shapes, mut wrong) = (Vec::new(), Vec::new());
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.language == "yaml") {
            match check(block, &resources) {
                Ok(shape) => shapes.push(shape),
                Err(error) => wrong.push(format!("{}: {error}", block.place)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let count = |shape| shapes.iter().filter(|it| **it == shape).count();
    assert!(count(Shape::Playbook) > 15 && count(Shape::Settings) > 10, "{shapes:?}");
    assert!(count(Shape::Others) <= 3, "what nobody here can read stays little");
}

#[test]
fn the_example_playbooks_can_be_run() {
    let (_folder, resources) = resources();
    let files = std::fs::read_dir(root().join("examples/playbooks")).expect("a folder");
    let mut paths: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    // The configuration for all of them.
    paths.retain(|path| {
        path.extension().is_some_and(|it| it == "yaml") && !path.ends_with("stoop.yaml")
    });
    let read = playbooks::decide::read_paths(&paths).map_err(|error| error.to_string());
    let read = read.expect("playbooks");
    assert!(read.len() >= 5);
    bound(read, &resources).expect("they can be bound");
}
