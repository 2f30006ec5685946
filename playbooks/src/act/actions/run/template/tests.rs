use super::*;

fn identity() -> Identity {
    let (event, playbook) = ("e".repeat(64), "scan".to_owned());
    Identity { namespace: "forensics".to_owned(), event, playbook, run: "f".repeat(64) }
}

fn job() -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"labels": {"team": "sec"}},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never",
            "initContainers": [{"name": "first", "image": "scan:1"}],
            "containers": [{"name": "scan", "image": "scan:1", "args": ["--all"], "env": [{"name": "HOME", "value": "/"}]}],
        }}},
    })
}

fn pipeline_run() -> Value {
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "spec": {"pipelineRef": {"name": "respond"}, "params": [{"name": "mode", "value": "fast"}]},
    })
}

fn parameters(names: &[&str]) -> Vec<Parameter> {
    let read = |name: &&str| Parameter::read(name, "proc.cmdline").expect("a parameter");
    names.iter().map(read).collect()
}

fn read(written: Value, names: &[&str]) -> Result<Template, ConfigError> {
    Template::read(written, "scanner", &parameters(names))
}

#[test]
fn a_job_gets_values_as_variables_and_nowhere_else() {
    let template = read(job(), &["EVENT_COMMAND"]).expect("a template");
    let value = "sh -c '$(HOME)'; rm -rf /".to_owned();
    let filled = template.fill("scanner", vec![("EVENT_COMMAND", value)], &identity());
    let variable = json!({"name": "EVENT_COMMAND", "value": "sh -c '$$(HOME)'; rm -rf /"});
    let mut expected = job();
    expected["metadata"] = json!({
        "name": format!("stoop-run-{}", "f".repeat(40)), "namespace": "forensics",
        "labels": {"team": "sec", "app.kubernetes.io/managed-by": "stoop"},
        "annotations": {
            "stoop.dev/run": "f".repeat(64), "stoop.dev/event-id": "e".repeat(64), "stoop.dev/playbook": "scan"
        },
    });
    expected["spec"]["ttlSecondsAfterFinished"] = json!(86400);
    let pod = &mut expected["spec"]["template"]["spec"];
    pod["serviceAccountName"] = json!("scanner");
    pod["initContainers"][0]["env"] = json!([variable]);
    pod["containers"][0]["env"] = json!([{"name": "HOME", "value": "/"}, variable]);
    assert_eq!(filled, expected);
}

#[test]
fn a_pipeline_run_gets_them_as_params() {
    let template = read(pipeline_run(), &["command"]).expect("a template");
    let filled = template.fill("scanner", vec![("command", "sh -c id".to_owned())], &identity());
    let mut expected = pipeline_run()["spec"].clone();
    expected["params"] =
        json!([{"name": "mode", "value": "fast"}, {"name": "command", "value": "sh_-c_id"}]);
    expected["taskRunTemplate"] = json!({"serviceAccountName": "scanner"});
    assert_eq!(filled["spec"], expected);
}

#[test]
fn what_a_template_may_not_say_is_refused_with_the_fix() {
    let with = |change: fn(&mut Value)| {
        let mut job = job();
        change(&mut job);
        job
    };
    fn pod(job: &mut Value) -> &mut Value {
        &mut job["spec"]["template"]["spec"]
    }
    let table = [
        (with(|job| job["kind"] = json!("CronJob")), "neither a Job"),
        (with(|job| job["status"] = json!({})), "status"),
        (with(|job| job["metadata"]["name"] = json!("x")), "its name is stoop's"),
        (with(|job| job["metadata"]["namespace"] = json!("kube-system")), "its namespace"),
        (with(|job| job["metadata"]["labels"]["stoop.dev/run"] = json!("x")), "stoop's own"),
        (with(|job| pod(job)["serviceAccountName"] = json!("admin")), "run as scanner"),
        (with(|job| pod(job)["serviceAccount"] = json!("admin")), "run as scanner"),
        (with(|job| pod(job)["containers"] = json!([])), "no containers"),
        (with(|job| pod(job)["containers"] = json!("x")), "no Job's"),
        (with(|job| job["spec"]["ttlSecondsAfterFinished"] = json!(60)), "start it again"),
        (
            with(|job| pod(job)["containers"][0]["args"] = json!(["x=$(EVENT_COMMAND)"])),
            "text of a command",
        ),
        (
            with(|job| pod(job)["containers"][0]["env"][0]["value"] = json!("$(EVENT_COMMAND)")),
            "text of a command",
        ),
        (
            with(|job| pod(job)["containers"][0]["env"][0]["name"] = json!("EVENT_COMMAND")),
            "defined by the template",
        ),
    ];
    for (job, says) in table {
        let error = read(job.clone(), &["EVENT_COMMAND"]).expect_err("refused");
        assert!(format!("{error} {}", error.help).contains(says), "{error} {}: {job}", error.help);
    }
    for name in ["PATH", "LD_PRELOAD", "EVENT_", "EVENT_x", "event_x", "EVENT_X Y", "EVENT_$"] {
        assert!(read(job(), &[name]).is_err(), "{name}");
    }
}

#[test]
fn a_pipeline_run_is_refused_as_well() {
    let table = [
        ("/spec/pipelineRef", Value::Null, "pipelineSpec"),
        ("/spec/pipelineSpec", json!({"tasks": []}), "pipelineSpec"),
        ("/spec/params", json!([{"name": "command", "value": "x"}]), "a param of the template"),
        ("/spec/taskRunTemplate", json!("x"), "no object"),
        ("/spec/params", json!({}), "no list"),
        ("/spec/taskRunTemplate", json!({"serviceAccountName": "admin"}), "run as scanner"),
        ("/spec/taskRunSpecs", json!([{"serviceAccountName": "admin"}]), "run as scanner"),
        ("/apiVersion", json!("tekton.dev/v1beta1"), "neither a Job"),
    ];
    for (path, value, says) in table {
        let mut run = pipeline_run();
        let (above, key) = path.rsplit_once('/').expect("a path");
        run.pointer_mut(above).expect("there")[key] = value;
        let error = read(run.clone(), &["command"]).expect_err("refused");
        assert!(format!("{error} {}", error.help).contains(says), "{error}: {run}");
    }
    assert!(read(pipeline_run(), &["a b"]).is_err());
}
