//! A pod, its owners, node, events and logs; and a place where jobs are made and end as the test says.

use http::Method;
use playbooks::{
    act::{Advance, Api, Report, Response},
    decide::Mode,
};
use serde_json::{Value, json};

use super::{Kept, NAMESPACE};
use crate::{
    fixtures::{Bench, POD, Setup, UID, ago, pod_with},
    store::Store,
    wire::{Answer, Request, Wire, error, list, not_found},
};

/// As a runtime names it: in full.
pub(crate) const ID: &str = "6ac7d190134e3f2a6ac7d190134e3f2a6ac7d190134e3f2a6ac7d190134e3f2a";

pub(crate) const EVENTS: &str = "/api/v1/namespaces/shop/events";
pub(crate) const LOG: &str = "/api/v1/namespaces/shop/pods/web/log";
pub(crate) const NODE: &str = "/api/v1/nodes/node-1";
pub(crate) const SET: &str = "/apis/apps/v1/namespaces/shop/replicasets/web-5d";
pub(crate) const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

pub(crate) fn jobs() -> String {
    format!("/apis/batch/v1/namespaces/{NAMESPACE}/jobs")
}

pub(crate) fn pods() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/pods")
}

/// A pod with secrets in it, that has run before.
pub(crate) fn victim() -> Value {
    pod_with(|pod| {
        pod["metadata"]["annotations"] = json!({
            "kubectl.kubernetes.io/last-applied-configuration": "{\"password\": \"hunter2\"}"
        });
        pod["spec"]["containers"][0]["env"] = json!([{"name": "GREETING", "value": "hunter2"}]);
        pod["spec"]["containers"][0]["args"] = json!(["--password", "hunter2"]);
        pod["status"]["podIPs"] = json!([{"ip": "10.0.0.7"}]);
        let status = &mut pod["status"]["containerStatuses"][0];
        status["containerID"] = json!(format!("containerd://{ID}"));
        status["restartCount"] = json!(1);
        status["state"] = json!({"running": {}});
    })
}

/// The cluster, as it is kept.
#[derive(Clone, Default)]
pub(crate) struct World(pub(crate) Store);

impl World {
    pub(crate) fn new() -> World {
        World::of(victim())
    }

    pub(crate) fn of(pod: Value) -> World {
        let set = json!({
            "metadata": {
                "name": "web-5d", "uid": "rs-uid",
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "deployment-uid",
                    "controller": true
                }]
            },
            "spec": {"template": {"spec": {"containers": [{"env": [{"name": "A", "value": "hunter2"}]}]}}}
        });
        let node = json!({
            "metadata": {"name": "node-1", "uid": "node-uid", "annotations": {"node/secret": "hunter2"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "images": [{"names": ["many"]}]}
        });
        World(Store::of([
            (POD.to_owned(), pod),
            (SET.to_owned(), set),
            (DEPLOYMENT.to_owned(), json!({"metadata": {"name": "web", "uid": "deployment-uid"}})),
            (NODE.to_owned(), node),
        ]))
    }

    /// A server that answers from it, but for what `instead` answers.
    pub(crate) fn serve_but(
        &self,
        mut instead: impl FnMut(&Request) -> Option<Answer> + Send + 'static,
    ) -> (Api, Wire) {
        let world = self.clone();
        self.0.serve_but(move |request, carry_out| {
            instead(request).or_else(|| world.answer_to(request)).unwrap_or_else(carry_out)
        })
    }

    pub(crate) fn answer_to(&self, request: &Request) -> Option<Answer> {
        let path = request.path.as_str();
        if request.method == Method::GET && path == EVENTS {
            let event = json!({
                "metadata": {"name": "e", "managedFields": []}, "message": "Killing --token hunter2",
                "involvedObject": {"uid": UID}
            });
            return Some(list(&[event]));
        }
        if request.method == Method::GET && path == LOG {
            return Some(match request.query.contains("previous=true") {
                true => Answer::Text(200, "t0 an earlier run\n"),
                false => Answer::Text(200, "t1 started with password=hunter2\nt2 serving\n"),
            });
        }
        if request.method == Method::POST && path == jobs() {
            return Some(self.create(request));
        }
        // The store of objects lists no jobs' pods by itself.
        (request.method == Method::GET && path == pods()).then(|| match self.0.get(&pods()) {
            Value::Null => list(&[]),
            pod => list(&[pod]),
        })
    }

    fn create(&self, request: &Request) -> Answer {
        let mut job = request.body.clone();
        let path = format!("{}/{}", jobs(), job["metadata"]["name"].as_str().unwrap_or_default());
        if self.0.get(&path) != Value::Null {
            return error(409, "AlreadyExists", "jobs already exists");
        }
        job["metadata"]["uid"] = json!("job-uid");
        job["metadata"]["creationTimestamp"] = json!(ago(0).to_string());
        if !request.query.contains("dryRun=All") {
            self.0.lock().put(&path, job.clone());
        }
        Answer::Json(201, job)
    }

    /// The only job's path.
    pub(crate) fn job_path(&self, wire: &Wire) -> String {
        let name = |request: Request| request.body["metadata"]["name"].as_str().map(str::to_owned);
        let posted = wire.writes().into_iter().filter(|request| request.path == jobs());
        let names: Vec<_> = posted.filter_map(name).collect();
        let [name] = &names[..] else { panic!("{names:?}") };
        format!("{}/{name}", jobs())
    }

    /// What the job's program is told.
    pub(crate) fn request(&self, job: &str) -> Value {
        let job = self.0.get(job);
        let text = &job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"];
        serde_json::from_str(text.as_str().expect("a text")).expect("JSON")
    }

    /// The job ends, with these last words of its pod.
    pub(crate) fn end(&self, job: &str, condition: &str, words: &Value) {
        self.0.lock().change(job, |job| {
            job["status"] = json!({"conditions": [{
                "type": condition, "status": "True", "reason": "BackoffLimitExceeded", "message": "it failed"
            }]});
        });
        let pod = json!({
            "metadata": {"name": "p", "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job-uid", "controller": true
            }]},
            "status": {"containerStatuses": [{
                "name": "capture", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"terminated": {"exitCode": 0, "message": words.to_string()}}
            }]}
        });
        self.0.lock().put(&pods(), pod);
    }

    /// The pod is deleted by somebody.
    pub(crate) fn lose_pod(&self) {
        self.0.lock().remove(POD);
    }
}

/// A worker on that API server.
pub(crate) fn worker(api: Api, kept: &Kept) -> Bench {
    let mut setup = Setup::new(api);
    setup.captures = Some(kept.captures.clone());
    setup.build()
}

pub(crate) fn observer(api: Api, kept: &Kept, cap: Mode) -> Bench {
    let mut setup = Setup::new(api);
    setup.captures = Some(kept.captures.clone());
    setup.cap = cap;
    setup.build()
}

/// One pass, which must not be the last.
pub(crate) async fn waits(bench: &Bench, response: &mut Response) -> String {
    match bench.advance(response).await {
        Advance::Retry(failure) => failure.why,
        other => panic!("not waiting: {other:?}"),
    }
}

/// One pass, which must be the last.
pub(crate) async fn ends(bench: &Bench, response: &mut Response) -> Report {
    match bench.advance(response).await {
        Advance::Finished(report) => *report,
        other => panic!("not finished: {other:?}"),
    }
}

pub(crate) fn forbidden(what: &str) -> Answer {
    error(403, "Forbidden", what)
}

pub(crate) fn gone() -> Answer {
    not_found()
}
