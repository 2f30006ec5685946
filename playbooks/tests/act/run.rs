//! `run`: one object for one event, with the event's values as parameters and nothing else of it.

use http::Method;
use playbooks::act::{Advance, GuardrailOptions, Report};
use serde_json::{Value, json};

use crate::{
    fixtures::{POD, Setup, UID, event, pod, words},
    wire::{Answer, Request, Wire, error, not_found},
};

const JOBS: &str = "/apis/batch/v1/namespaces/forensics/jobs";
const RUNS: &str = "/apis/tekton.dev/v1/namespaces/forensics/pipelineruns";
const WHOAMI: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

const JOB: &str = r#"
mode: enforce
actions:
  - run:
      namespace: forensics
      serviceAccount: scanner
      parameters: {EVENT_COMMAND: proc.cmdline, EVENT_POD: target.pod, EVENT_UID: target.uid}
      template:
        apiVersion: batch/v1
        kind: Job
        spec:
          template:
            spec:
              restartPolicy: Never
              containers: [{name: scan, image: "scan:1"}]
"#;

const PIPELINE: &str = r#"
mode: enforce
actions:
  - run:
      namespace: forensics
      serviceAccount: scanner
      parameters: {command: proc.cmdline}
      template:
        apiVersion: tekton.dev/v1
        kind: PipelineRun
        spec: {pipelineRef: {name: respond}}
"#;

/// A server that has a pod and keeps what is created; it believes us to be `us`.
struct Server {
    us: &'static str,
    created: Vec<(String, Value)>,
}

impl Server {
    fn new() -> Server {
        Server { us: "system:serviceaccount:stoop:stoop", created: Vec::new() }
    }

    fn with(mut self, path: &str, object: Value) -> Server {
        self.created.push((path.to_owned(), object));
        self
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let path = request.path.as_str();
        match request.method {
            Method::GET if path == POD => Answer::Json(200, pod()),
            Method::GET => match self.created.iter().find(|(at, _)| at == path) {
                Some((_, object)) => Answer::Json(200, object.clone()),
                None => not_found(),
            },
            Method::POST if path == WHOAMI => Answer::Json(
                201,
                json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
                       "metadata": {}, "status": {"userInfo": {"username": self.us}}}),
            ),
            Method::POST => {
                let name = request.body["metadata"]["name"].as_str().expect("a name");
                let at = format!("{path}/{name}");
                if self.created.iter().any(|(there, _)| *there == at) {
                    return error(409, "AlreadyExists", "it is there");
                }
                if !request.query.contains("dryRun=All") {
                    self.created.push((at, request.body.clone()));
                }
                Answer::Json(201, request.body.clone())
            }
            _ => not_found(),
        }
    }

    fn serve(mut self) -> (playbooks::act::Api, Wire) {
        Wire::new(move |request| self.answer(request))
    }
}

async fn run(server: Server, spec: &str, event: &Value) -> (Report, Wire) {
    let (api, wire) = server.serve();
    (Setup::new(api).build().run(spec, event).await, wire)
}

fn created(wire: &Wire, path: &str) -> Vec<Request> {
    wire.writes().into_iter().filter(|write| write.is(&Method::POST, path)).collect()
}

#[tokio::test]
async fn a_job_is_started_with_parameters_of_the_event_and_of_the_verified_pod() {
    let mut event = event();
    event["output_fields"]["proc.cmdline"] = json!("sh -c '$(id)'\nrm -rf /");
    let (report, wire) = run(Server::new(), JOB, &event).await;
    assert_eq!(words(&report), ["run applied"]);
    let [job] = &created(&wire, JOBS)[..] else { panic!("{:?}", wire.writes()) };
    assert_eq!(job.query, "fieldManager=stoop-run&fieldValidation=Strict");
    let pod = &job.body["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "scanner");
    let env = json!([
        {"name": "EVENT_COMMAND", "value": "sh -c '$$(id)' rm -rf /"},
        {"name": "EVENT_POD", "value": "web"},
        {"name": "EVENT_UID", "value": UID},
    ]);
    assert_eq!(pod["containers"][0]["env"], env);
    let name = job.body["metadata"]["name"].as_str().expect("a name");
    assert!(name.starts_with("stoop-run-") && name.len() <= 63, "{name}");
}

#[tokio::test]
async fn a_pipeline_run_is_started_with_params_that_mean_nothing_in_a_script() {
    let mut event = event();
    event["output_fields"]["proc.cmdline"] = json!("sh -c $(params.x); id");
    let (report, wire) = run(Server::new(), PIPELINE, &event).await;
    assert_eq!(words(&report), ["run applied"]);
    let [started] = &created(&wire, RUNS)[..] else { panic!("{:?}", wire.writes()) };
    let params = json!([{"name": "command", "value": "sh_-c___params.x___id"}]);
    assert_eq!(started.body["spec"]["params"], params);
    assert_eq!(started.body["spec"]["taskRunTemplate"]["serviceAccountName"], "scanner");
}

#[tokio::test]
async fn a_redelivery_finds_it_started_and_another_event_starts_another() {
    let (api, wire) = Server::new().serve();
    let bench = Setup::new(api).build();
    let (event, mut other) = (event(), event());
    other["rule"] = json!("Another rule");
    assert_eq!(words(&bench.run(JOB, &event).await), ["run applied"]);
    assert_eq!(words(&bench.run(JOB, &event).await), ["run already-done"]);
    assert_eq!(words(&bench.run(JOB, &other).await), ["run applied"]);
    let jobs = created(&wire, JOBS);
    assert_eq!(jobs.len(), 2);
    assert_ne!(jobs[0].body["metadata"]["name"], jobs[1].body["metadata"]["name"]);
}

#[tokio::test]
async fn two_workers_at_once_start_one() {
    // What was not there when it was asked for, and is when it is created.
    let mut server = Server::new();
    let mut asked = 0;
    let (api, wire) = Wire::new(move |request| {
        let is_ours = request.method == Method::GET && request.path.starts_with(JOBS);
        asked += usize::from(is_ours);
        if is_ours && asked == 2 { not_found() } else { server.answer(request) }
    });
    let bench = Setup::new(api).build();
    assert_eq!(words(&bench.run(JOB, &event()).await), ["run applied"]);
    // The same moment would do: the time is part of what an event is.
    let event =
        created(&wire, JOBS)[0].body["metadata"]["annotations"]["stoop.dev/event-id"].clone();
    assert!(event.is_string());
}

#[tokio::test]
async fn what_is_there_and_not_ours_is_no_success() {
    let event = event();
    let (_, wire) = run(Server::new(), JOB, &event).await;
    let mut stranger = created(&wire, JOBS)[0].body.clone();
    let path = format!("{JOBS}/{}", stranger["metadata"]["name"].as_str().expect("a name"));
    for annotations in [json!({}), json!({"stoop.dev/run": "another"})] {
        stranger["metadata"]["annotations"] = annotations;
        let server = Server::new().with(&path, stranger.clone());
        let (report, wire) = run(server, JOB, &event).await;
        assert_eq!(words(&report), ["run failed (permanent)"]);
        assert!(report.overall.detail().contains("not started for this event"));
        assert!(wire.writes().is_empty());
    }
}

#[tokio::test]
async fn nothing_runs_as_the_worker_or_in_a_protected_namespace() {
    let mut server = Server::new();
    server.us = "system:serviceaccount:forensics:scanner";
    let (report, wire) = run(server, JOB, &event()).await;
    assert_eq!(words(&report), ["run refused (own-account)"]);
    assert!(created(&wire, JOBS).is_empty());

    for (namespace, own) in [("kube-system", None), ("forensics", Some("forensics".to_owned()))] {
        let (api, wire) = Server::new().serve();
        let mut setup = Setup::new(api);
        setup.guardrails = GuardrailOptions { own_namespace: own, ..GuardrailOptions::default() };
        let spec = JOB.replace("namespace: forensics", &format!("namespace: {namespace}"));
        let report = setup.build().run(&spec, &event()).await;
        assert_eq!(words(&report), ["run refused (protected-namespace)"]);
        assert!(wire.writes().is_empty());
    }
}

#[tokio::test]
async fn its_end_is_waited_for_where_the_playbook_says_so() {
    let spec = JOB.replace("serviceAccount: scanner", "serviceAccount: scanner\n      wait: true");
    for (condition, expected) in [("Complete", "run applied"), ("Failed", "run failed (permanent)")]
    {
        let mut server = Server::new();
        let mut reads = 0;
        let (api, _) = Wire::new(move |request| {
            let mut answer = server.answer(request);
            if let Answer::Json(200, object) = &mut answer
                && request.path.starts_with(JOBS)
            {
                reads += 1;
                if reads > 1 {
                    object["status"] =
                        json!({"conditions": [{"type": condition, "status": "True"}]});
                }
            }
            answer
        });
        let bench = Setup::new(api).build();
        let mut response = bench.begin(&spec, &event()).await;
        for _ in 0..2 {
            assert!(matches!(bench.advance(&mut response).await, Advance::Retry(_)));
        }
        let Advance::Finished(report) = bench.advance(&mut response).await else {
            panic!("not finished")
        };
        assert_eq!(words(&report), [expected]);
    }
}

#[tokio::test]
async fn a_dry_run_is_judged_by_the_server_and_an_observer_starts_nothing() {
    let (report, wire) = run(Server::new(), &JOB.replace("enforce", "dryRun"), &event()).await;
    assert_eq!(words(&report), ["run skipped (dry-run)"]);
    assert!(created(&wire, JOBS)[0].query.contains("dryRun=All"));
    let (report, wire) = run(Server::new(), &JOB.replace("enforce", "observe"), &event()).await;
    assert_eq!(words(&report), ["run skipped (observe)"]);
    assert!(wire.writes().is_empty());
}

#[tokio::test]
async fn it_needs_a_target_only_where_a_parameter_is_of_it() {
    let mut host = event();
    host["output_fields"] = json!({"container.id": "host", "proc.cmdline": "sh"});
    let (report, _) = run(Server::new(), JOB, &host).await;
    assert_eq!(words(&report), ["run refused (identity)"]);
    let (report, _) = run(Server::new(), PIPELINE, &host).await;
    assert_eq!(words(&report), ["run applied"]);
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_its_place() {
    let (api, _) = Server::new().serve();
    let bench = Setup::new(api).build();
    for (from, to, says) in [
        ("proc.cmdline", "k8s.pod.name", "write target.pod"),
        ("EVENT_COMMAND", "PATH", "could change how programs run"),
        ("namespace: forensics", "namespace: Kube_System", "can't be the name of a namespace"),
        ("      serviceAccount: scanner\n", "", "serviceAccount"),
        ("image: \"scan:1\"", "image: \"scan:1\", args: [\"$(EVENT_POD)\"]", "text of a command"),
        ("kind: Job", "kind: Deployment", "neither a Job nor a PipelineRun"),
        (
            "      serviceAccount: scanner\n",
            "      serviceAccount: scanner\n      templateFile: /no/such/file\n",
            "one of template",
        ),
    ] {
        let refused = bench.refuse(&JOB.replace(from, to));
        assert!(refused.contains(says), "{refused}");
    }
}

#[tokio::test]
async fn a_template_is_read_from_a_regular_file_of_a_bounded_size_alone() {
    let (api, _) = Server::new().serve();
    let bench = Setup::new(api).build();
    let large = tempfile::NamedTempFile::new().expect("a file");
    large.as_file().set_len((1 << 20) + 1).expect("it grows");
    let large = large.path().display().to_string();
    for (file, says) in [
        ("/dev/zero", "no regular file"),
        ("/", "no regular file"),
        (large.as_str(), "larger than 1048576 bytes"),
    ] {
        let run = format!("{{run: {{namespace: a, serviceAccount: b, templateFile: {file}}}}}");
        let refused = bench.refuse(&format!("actions: [{run}]"));
        assert!(refused.contains(says), "{refused}");
    }
}
