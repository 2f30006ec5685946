//! A Job and a PipelineRun that the real API server takes, once, by someone who may do nothing else.

use k8s_openapi::api::batch::v1::Job;
use kube::{
    ResourceExt as _,
    api::ListParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::json;

use super::{
    api_server, connect, container_id,
    definitions::{PIPELINE_RUNS, define},
    event_about, namespace, pod,
    roles::connect_with,
};
use crate::fixtures::{Setup, words};

fn job(namespace: &str) -> String {
    format!(
        r#"
mode: enforce
actions:
  - run:
      namespace: {namespace}
      serviceAccount: scanner
      parameters: {{EVENT_COMMAND: proc.cmdline, EVENT_POD: target.pod}}
      template:
        apiVersion: batch/v1
        kind: Job
        spec:
          backoffLimit: 0
          template:
            spec:
              restartPolicy: Never
              containers: [{{name: scan, image: "scan:1"}}]
"#
    )
}

#[tokio::test]
async fn a_job_is_started_once_with_exactly_these_rights() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "run", &container_id("run")).await;
    let mut event = event_about(&pod, None);
    event["output_fields"]["proc.cmdline"] = json!("sh -c '$(id)'\0\n\u{202e}".repeat(1000));
    let spec = job(&namespace);
    let rights = Setup::new(connect(access).await).build().plan(&spec).permissions();
    let bench = Setup::new(connect_with(access, "act-run", &rights).await).build();
    let dry = bench.run(&spec.replace("mode: enforce", "mode: dryRun"), &event).await;
    assert_eq!(words(&dry), ["run skipped (dry-run)"], "{}", dry.overall.detail());
    assert_eq!(words(&bench.run(&spec, &event).await), ["run applied"]);
    assert_eq!(words(&bench.run(&spec, &event).await), ["run already-done"]);

    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let jobs = kube::Api::<Job>::namespaced(client, &namespace);
    let all = jobs.list(&ListParams::default()).await.expect("jobs").items;
    let [job] = &all[..] else { panic!("{}", all.len()) };
    assert!(job.name_any().starts_with("stoop-run-"));
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).expect("a pod");
    assert_eq!(pod.service_account_name.as_deref(), Some("scanner"));

    for missing in [("jobs", "get"), ("jobs", "create")] {
        let is_missing = |right: &&playbooks::act::Permission| {
            (right.resource.as_str(), right.verb.as_str()) == missing
        };
        let fewer: Vec<_> = rights.iter().filter(|right| !is_missing(right)).cloned().collect();
        let user = format!("act-run-no-{}", missing.1);
        let mut other = event.clone();
        other["rule"] = json!(user);
        let report =
            Setup::new(connect_with(access, &user, &fewer).await).build().run(&spec, &other).await;
        assert_eq!(words(&report), ["run failed (permanent)"], "{missing:?}");
    }
}

#[tokio::test]
async fn a_slip_in_a_template_is_refused_by_the_server_and_not_left_out() {
    let access = api_server().await;
    let namespace = namespace(access).await;
    let pod = pod(access, &namespace, "slip", &container_id("slip")).await;
    let spec = job(&namespace).replace("backoffLimit", "backofLimit");
    let bench = Setup::new(connect(access).await).build();
    let report = bench.run(&spec, &event_about(&pod, None)).await;
    assert_eq!(words(&report), ["run failed (permanent)"]);
    assert!(report.overall.detail().contains("backofLimit"), "{}", report.overall.detail());
}

#[tokio::test]
async fn a_pipeline_run_is_started_as_tekton_defines_it() {
    let access = api_server().await;
    define(access, &[PIPELINE_RUNS]).await;
    let namespace = namespace(access).await;
    let spec = format!(
        "mode: enforce\nactions:\n  - run:\n      namespace: {namespace}\n      serviceAccount: scanner\n      parameters: {{command: proc.cmdline, pod: target.pod}}\n      template: {{apiVersion: tekton.dev/v1, kind: PipelineRun, spec: {{pipelineRef: {{name: respond}}}}}}\n"
    );
    let pod = pod(access, &namespace, "tekton", &container_id("tekton")).await;
    let mut event = event_about(&pod, None);
    event["output_fields"]["proc.cmdline"] = json!("sh -c id");
    let rights = Setup::new(connect(access).await).build().plan(&spec).permissions();
    let bench = Setup::new(connect_with(access, "act-tekton", &rights).await).build();
    let report = bench.run(&spec, &event).await;
    assert_eq!(words(&report), ["run applied"], "{}", report.overall.detail());
    let client = access.client().await.map_err(|error| error.to_string()).expect("a client");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
    let runs = kube::Api::<DynamicObject>::namespaced_with(client, &namespace, &resource);
    let all = runs.list(&ListParams::default()).await.expect("runs").items;
    assert_eq!(all.len(), 1);
    let name = pod.metadata.name;
    assert_eq!(
        all[0].data["spec"]["params"],
        json!([{"name": "command", "value": "sh_-c_id"}, {"name": "pod", "value": name}])
    );
    assert_eq!(all[0].data["spec"]["taskRunTemplate"]["serviceAccountName"], "scanner");
}
