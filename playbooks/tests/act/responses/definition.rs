//! The definition that `stoop crds` prints.

use playbooks::{act::StoredResponse, decide::yaml};

#[test]
fn it_has_a_status_of_its_own_columns_and_rules() {
    let definition = StoredResponse::definition();
    assert_eq!(definition["metadata"]["name"], "responses.stoop.dev");
    assert_eq!(definition["spec"]["scope"], "Namespaced");
    let version = &definition["spec"]["versions"][0];
    assert!(version["subresources"]["status"].is_object());
    let columns = version["additionalPrinterColumns"].as_array().expect("columns");
    let names: Vec<_> = columns.iter().filter_map(|column| column["name"].as_str()).collect();
    assert_eq!(
        names,
        ["Playbook", "Kind", "Of", "Target", "Phase", "Done", "Expires", "Rule", "Age"]
    );
    let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
    assert_eq!(spec["x-kubernetes-validations"].as_array().map(Vec::len), Some(5));
}

#[test]
fn as_yaml_it_is_read_as_it_was_meant() {
    let definition = StoredResponse::definition();
    let text = yaml::print(&definition).map_err(|error| error.to_string()).expect("YAML");
    let read = yaml::parse("crds", &text).map_err(|error| error.to_string()).expect("YAML");
    assert_eq!(read.value, definition);
}
