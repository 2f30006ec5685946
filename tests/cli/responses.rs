//! `stoop crds` and `stoop responses`.

use playbooks::decide::yaml;

use crate::stage::Stage;

#[test]
fn the_definitions_are_yaml_that_kubectl_takes() {
    let ran = Stage::empty().run(&["crds"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let read = yaml::parse_all("crds", &ran.out).expect("YAML");
    assert!(read.iter().all(|it| it.value["kind"] == "CustomResourceDefinition"), "{}", ran.out);
    assert_eq!(read[0].value["metadata"]["name"], "responses.stoop.dev");
    assert_eq!(read.len(), 3, "those of playbooks as well");
}

#[test]
fn without_a_cluster_it_says_how_to_name_one() {
    for command in
        [&["list"][..], &["show", "a"], &["revert", "a"], &["approve", "a"], &["deny", "a"]]
    {
        let ran = Stage::empty().run(&[&["responses"], command].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.err.contains("KUBECONFIG"), "{}", ran.err);
    }
}

#[test]
fn a_phase_that_there_is_not_is_told_with_those_there_are() {
    let ran = Stage::empty().run(&["responses", "list", "--phase", "done"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("Succeeded, Failed"), "{}", ran.err);
}
