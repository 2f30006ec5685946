//! A pod, an event about it, a playbook, and an engine to bring them together.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use playbooks::{
    act::{
        Advance, Api, Captures, ClusterPolicy, Destinations, Engine, EngineParts, Exemptions,
        Functions, GuardrailOptions, Guardrails, Needs, Notifiers, Occurrence, Outcome, Plan,
        Registry, Report, Resources, Response, Standing, Verification,
    },
    decide::{Claim, Event, Mode, Playbook, read_text},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::wire::{Answer, DEADLINE, Request, Wire, not_found};

pub(crate) const UID: &str = "0b6f1d3c-7e58-4c0e-9a41-3d2f7c1b5a90";
pub(crate) const OTHER_UID: &str = "ffffffff-7e58-4c0e-9a41-3d2f7c1b5a90";
pub(crate) const CONTAINER: &str = "6ac7d190134e";
pub(crate) const POD: &str = "/api/v1/namespaces/shop/pods/web";
pub(crate) const EVICTION: &str = "/api/v1/namespaces/shop/pods/web/eviction";

/// The pod `shop/web` of a ReplicaSet, an hour old.
pub(crate) fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": UID,
            "creationTimestamp": ago(3600).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "labels": {"app": "web"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "uid": "rs-uid",
                "controller": true
            }]
        },
        "spec": {"nodeName": "node-1", "terminationGracePeriodSeconds": 30, "containers": [{"name": "c", "image": "shop/web:1"}]},
        "status": {"containerStatuses": [{
            "name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "containerID": format!("containerd://{CONTAINER}3f2a6ac7d190134e3f2a")
        }]}
    })
}

pub(crate) fn pod_with(change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = pod();
    change(&mut pod);
    pod
}

pub(crate) fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

/// What Falco would have said about the pod, a minute ago.
pub(crate) fn event() -> Value {
    event_at(ago(60))
}

pub(crate) fn event_at(time: Timestamp) -> Value {
    json!({
        "rule": "Terminal shell in container", "priority": "Notice", "source": "syscall",
        "time": time.to_string(), "output": "A shell was spawned", "hostname": "node-1",
        "output_fields": {
            "container.id": CONTAINER, "k8s.ns.name": "shop", "k8s.pod.name": "web", "k8s.pod.uid": UID
        }
    })
}

/// The trace that every event of a test was published in.
pub(crate) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) fn occurrence(event: &Value) -> (Claim, Occurrence) {
    let payload = event.to_string().into_bytes();
    let event = Event::decode(&payload).expect("an event");
    let cluster =
        event.fields().expect("fields").text("static.cluster").map(|name| name.into_owned());
    let id = event.id(cluster.as_deref()).expect("an id");
    let claim = event.claim().expect("a claim");
    let owned = Occurrence::new(&event, id, cluster, payload.clone().into(), TRACE.parse().ok())
        .expect("an occurrence");
    (claim, owned)
}

/// What an engine is built from; the defaults are a worker that may do everything.
pub(crate) struct Setup {
    pub(crate) api: Option<Api>,
    pub(crate) cluster: ClusterPolicy,
    pub(crate) guardrails: GuardrailOptions,
    pub(crate) notifiers: Notifiers,
    pub(crate) cap: Mode,
    pub(crate) registry: Registry,
    pub(crate) enforces_policies: bool,
    pub(crate) destinations: Destinations,
    pub(crate) functions: Functions,
    pub(crate) enforces_cluster_policies: bool,
    pub(crate) captures: Option<Captures>,
}

impl Setup {
    pub(crate) fn new(api: Api) -> Setup {
        Setup {
            api: Some(api),
            cluster: ClusterPolicy::default(),
            guardrails: GuardrailOptions::default(),
            notifiers: Notifiers::default(),
            cap: Mode::Enforce,
            registry: Registry::standard(),
            enforces_policies: false,
            destinations: Destinations::default(),
            functions: Functions::default(),
            enforces_cluster_policies: false,
            captures: None,
        }
    }

    pub(crate) fn build(self) -> Bench {
        let notifiers = Arc::new(self.notifiers);
        let namespace = self.guardrails.exemptions != Exemptions::Off;
        let engine = Engine::new(EngineParts {
            api: self.api,
            cluster: self.cluster,
            guardrails: Guardrails::new(self.guardrails).expect("guardrails"),
            notifiers: Arc::clone(&notifiers),
            mode_cap: self.cap,
            // Shorter than what a call may take by itself.
            action_timeout: DEADLINE - Duration::from_secs(1),
        });
        let mut resources = Resources::new(notifiers)
            .enforcing_policies(self.enforces_policies)
            .enforcing_cluster_policies(self.enforces_cluster_policies)
            .with_destinations(self.destinations)
            .with_functions(self.functions);
        if let Some(captures) = self.captures {
            resources = resources.capturing(captures);
        }
        let needs = Needs { namespace, ..Needs::default() };
        Bench { engine, registry: self.registry, resources, needs }
    }
}

/// An engine and what binds playbooks for it.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    registry: Registry,
    resources: Resources,
    /// What is read beside the target.
    needs: Needs,
}

impl Bench {
    /// Binds a playbook of these lines below `spec`, which matches everything.
    pub(crate) fn plan(&self, spec: &str) -> Arc<Plan> {
        let playbook = playbook(spec);
        Arc::new(
            self.registry
                .bind(&playbook, &self.resources)
                .map_err(|error| error.to_string())
                .expect("a plan"),
        )
    }

    /// Binds a playbook of this name.
    pub(crate) fn plan_named(&self, name: &str, spec: &str) -> Arc<Plan> {
        let plan = self.registry.bind(&playbook_named(name, spec), &self.resources);
        Arc::new(plan.map_err(|error| error.to_string()).expect("a plan"))
    }

    /// Binds a playbook that was read otherwise.
    pub(crate) fn bind(&self, playbook: Playbook) -> Result<Arc<Plan>, String> {
        let plan = self.registry.bind(&Arc::new(playbook), &self.resources);
        plan.map(Arc::new).map_err(|errors| errors.to_string())
    }

    pub(crate) fn refuse(&self, spec: &str) -> String {
        match self.registry.bind(&playbook(spec), &self.resources) {
            Ok(_) => panic!("accepted: {spec}"),
            Err(errors) => errors.to_string(),
        }
    }

    pub(crate) async fn verify(&self, event: &Value) -> Verification {
        let (claim, occurrence) = occurrence(event);
        self.engine.verify(&claim, &occurrence, Needs::default()).await.expect("a verification")
    }

    /// Verifies, and begins a response.
    pub(crate) async fn begin(&self, spec: &str, event: &Value) -> Response {
        self.try_begin(spec, event).await.expect("a verification")
    }

    /// As `begin`; `None` where verification has to be tried again.
    pub(crate) async fn try_begin(&self, spec: &str, event: &Value) -> Option<Response> {
        let (claim, occurrence) = occurrence(event);
        let plan = self.plan(spec);
        // Of namespaces and owners only those know who ask for them.
        let needs = Needs { node: plan.needs().node, ..self.needs };
        let verified = self.engine.verify(&claim, &occurrence, needs).await.ok()?;
        let standing = Standing::of(verified).expect("our cluster's event");
        Some(Response::new(plan, standing, Arc::new(occurrence)))
    }

    pub(crate) async fn advance(&self, response: &mut Response) -> Advance {
        self.engine.advance(response, &CancellationToken::new()).await
    }

    /// Verifies and advances until the end, which must come at once.
    pub(crate) async fn run(&self, spec: &str, event: &Value) -> Report {
        let mut response = self.begin(spec, event).await;
        match self.advance(&mut response).await {
            Advance::Finished(report) => *report,
            other => panic!("not finished: {other:?}"),
        }
    }
}

pub(crate) fn playbook(spec: &str) -> Arc<playbooks::decide::Playbook> {
    playbook_named("test", spec)
}

pub(crate) fn playbook_named(name: &str, spec: &str) -> Arc<playbooks::decide::Playbook> {
    let lines: String = spec.trim().lines().map(|line| format!("  {line}\n")).collect();
    let text = format!(
        "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata:\n  name: {name}\nspec:\n  match: {{rules: ['*']}}\n{lines}"
    );
    read_text("test.yaml", &text).map_err(|error| error.to_string()).expect("a playbook").remove(0)
}

/// The outcomes of a report, in words.
pub(crate) fn words(report: &Report) -> Vec<String> {
    report.steps.iter().map(|step| format!("{} {}", step.action, word(&step.outcome))).collect()
}

pub(crate) fn word(outcome: &Outcome) -> String {
    match outcome.reason() {
        Some(reason) => format!("{} ({reason})", outcome.as_str()),
        None => outcome.as_str().to_owned(),
    }
}

/// A server that has one pod and does with it what it is asked to.
pub(crate) fn server(pod: Value) -> (Api, Wire) {
    Wire::new(with_pod(pod))
}

/// Answers for one pod: reads, and deletes that honour the uid precondition.
pub(crate) fn with_pod(pod: Value) -> impl FnMut(&Request) -> Answer + Send + 'static {
    let mut live = Some(pod);
    move |request| {
        let Some(pod) = live.clone() else { return not_found() };
        let uid = pod["metadata"]["uid"].clone();
        let (options, write) = match (request.method.as_str(), request.path.as_str()) {
            ("GET", POD) => return Answer::Json(200, pod),
            ("GET", "/api/v1/pods") => return crate::wire::list(&[pod]),
            ("DELETE", POD) => (request.body.clone(), pod),
            ("POST", EVICTION) => (
                request.body["deleteOptions"].clone(),
                json!({"kind": "Status", "status": "Success"}),
            ),
            _ => return not_found(),
        };
        let wanted = &options["preconditions"]["uid"];
        if !wanted.is_null() && *wanted != uid {
            return crate::wire::error(
                409,
                "Conflict",
                "the UID in the precondition does not match",
            );
        }
        if options["dryRun"].is_null() {
            live = None;
        }
        Answer::Json(200, write)
    }
}
