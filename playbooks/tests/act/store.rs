//! An API server that keeps objects: JSON patches, versions, dry runs, scales and evictions as the real one does them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use http::Method;
use playbooks::act::{Advance, Api, Registry, Report, Resources, Response, Standing};
use serde_json::{Value, json};

use crate::{
    fixtures::{Setup, occurrence, playbook_named},
    wire::{Answer, Request, Wire, error, not_found, status},
};

/// Somebody else's change.
type Rival = Box<dyn FnOnce(&mut Objects) + Send>;

/// What is stored, by path.
#[derive(Default)]
pub(crate) struct Objects {
    all: BTreeMap<String, Value>,
    version: u64,
    /// Taken and run right before the next patch is judged: somebody else who is faster.
    rivals: Vec<Rival>,
}

impl Objects {
    /// Stores an object, as somebody else would.
    pub(crate) fn put(&mut self, path: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.all.insert(path.to_owned(), object);
    }

    /// Changes an object, as somebody else would.
    pub(crate) fn change(&mut self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(path);
        change(&mut object);
        self.put(path, object);
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.all.get(path).cloned().unwrap_or_default()
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.all.remove(path);
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let path = request.path.as_str();
        let dry_run = request.query.contains("dryRun=All");
        match request.method {
            Method::GET => self.read(path, &request.query),
            Method::PATCH => {
                if let Some(rival) = self.rivals.pop() {
                    rival(self);
                }
                match path.strip_suffix("/scale") {
                    Some(path) => self.scale(path, &request.body, dry_run),
                    None => self.patch(path, &request.body, dry_run),
                }
            }
            Method::POST => match path.strip_suffix("/eviction") {
                Some(path) => self.evict(path, &request.body, dry_run),
                None => not_found(),
            },
            Method::DELETE => match self.all.remove(path) {
                Some(object) => Answer::Json(200, object),
                None => not_found(),
            },
            _ => not_found(),
        }
    }

    fn read(&self, path: &str, query: &str) -> Answer {
        if let Some(object) = self.all.get(path) {
            return Answer::Json(200, object.clone());
        }
        let plural = path.rsplit('/').next().unwrap_or_default();
        let collections =
            ["nodes", "pods", "jobs", "horizontalpodautoscalers", "daemonsets", "replicasets"];
        if !collections.contains(&plural) {
            return not_found();
        }
        let (root, _) = path.rsplit_once('/').unwrap_or_default();
        let part = format!("/{plural}/");
        let items: Vec<_> = self
            .all
            .iter()
            .filter(|(path, _)| path.starts_with(root) && path.contains(&part))
            .map(|(_, object)| object.clone())
            .filter(|object| match query.split_once("spec.nodeName%3D") {
                Some((_, rest)) => {
                    let node = rest.split('&').next().unwrap_or_default();
                    object["spec"]["nodeName"] == *node
                }
                None => true,
            })
            .filter(|object| match query.split_once("capture-node%3D") {
                Some((_, rest)) => {
                    let node = rest.split('&').next().unwrap_or_default();
                    object["metadata"]["labels"]["stoop.dev/capture-node"] == *node
                }
                None => true,
            })
            .collect();
        crate::wire::list(&items)
    }

    fn patch(&mut self, path: &str, patch: &Value, dry_run: bool) -> Answer {
        let Some(mut object) = self.all.get(path).cloned() else { return not_found() };
        if !apply(&mut object, patch) {
            return unprocessable();
        }
        if !dry_run {
            self.put(path, object);
            object = self.get(path);
        }
        Answer::Json(200, object)
    }

    fn scale(&mut self, path: &str, patch: &Value, dry_run: bool) -> Answer {
        let Some(object) = self.all.get(path).cloned() else { return not_found() };
        let mut scale = json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": object["metadata"],
            "spec": {}
        });
        // As the real one leaves a zero out.
        if object["spec"]["replicas"] != json!(0) {
            scale["spec"]["replicas"] = object["spec"]["replicas"].clone();
        }
        if !apply(&mut scale, patch) {
            return unprocessable();
        }
        if !dry_run {
            self.change(path, |object| {
                object["spec"]["replicas"] = scale["spec"]["replicas"].clone()
            });
            scale["metadata"] = self.get(path)["metadata"].clone();
        }
        Answer::Json(200, scale)
    }

    fn evict(&mut self, path: &str, body: &Value, dry_run: bool) -> Answer {
        let Some(mut pod) = self.all.get(path).cloned() else { return not_found() };
        if body["deleteOptions"]["preconditions"]["uid"] != pod["metadata"]["uid"] {
            return error(409, "Conflict", "the UID in the precondition does not match");
        }
        if pod["metadata"]["annotations"]["test/budget"] == json!("used-up") {
            let mut answer = status(429, "TooManyRequests", "Cannot evict pod");
            answer["details"] = json!({"causes": [{"reason": "DisruptionBudget"}]});
            return Answer::Json(429, answer);
        }
        if !dry_run {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            self.put(path, pod);
        }
        Answer::Json(201, json!({"kind": "Status", "status": "Success"}))
    }
}

fn apply(object: &mut Value, patch: &Value) -> bool {
    let patch: json_patch::Patch = serde_json::from_value(patch.clone()).expect("a JSON patch");
    json_patch::patch(object, &patch).is_ok()
}

/// What a JSON patch whose `test` fails is answered with.
fn unprocessable() -> Answer {
    error(422, "Invalid", "the server rejected our request due to an error in our request")
}

/// The objects of a server that is asked while a test looks on.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<Objects>>);

impl Store {
    /// One that has these.
    pub(crate) fn of(objects: impl IntoIterator<Item = (String, Value)>) -> Store {
        let store = Store::default();
        for (path, object) in objects {
            store.lock().put(&path, object);
        }
        store
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().expect("objects")
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.lock().get(path)
    }

    /// Somebody else who changes an object right before the next patch.
    pub(crate) fn outrun(&self, path: &str, change: impl FnOnce(&mut Value) + Send + 'static) {
        let path = path.to_owned();
        let rival = move |objects: &mut Objects| objects.change(&path, change);
        self.lock().rivals.insert(0, Box::new(rival));
    }

    /// A server that answers from it.
    pub(crate) fn serve(&self) -> (Api, Wire) {
        let store = self.clone();
        Wire::new(move |request| store.lock().answer(request))
    }

    /// A server in whose way `between` stands: it has what was asked done, or not, and says what is answered.
    pub(crate) fn serve_but(
        &self,
        mut between: impl FnMut(&Request, &mut dyn FnMut() -> Answer) -> Answer + Send + 'static,
    ) -> (Api, Wire) {
        let store = self.clone();
        Wire::new(move |request| between(request, &mut || store.lock().answer(request)))
    }

    /// Verifies, and runs a playbook of this name until its end, which must come at once.
    pub(crate) async fn run_as(&self, name: &str, spec: &str, event: &Value) -> Report {
        let bench = Setup::new(self.serve().0).build();
        let playbook = playbook_named(name, spec);
        let plan = Registry::standard()
            .bind(&playbook, &Resources::default())
            .map_err(|error| error.to_string());
        let standing = Standing::of(bench.verify(event).await).expect("our cluster's event");
        let (_, occurrence) = occurrence(event);
        let mut response =
            Response::new(Arc::new(plan.expect("a plan")), standing, Arc::new(occurrence));
        match bench.advance(&mut response).await {
            Advance::Finished(report) => *report,
            other => panic!("not finished: {other:?}"),
        }
    }
}

/// A JSON patch's operations behind the two tests that pin it, which are checked here: no write goes without them.
pub(crate) fn pinned<'a>(write: &'a Request, uid: &str) -> &'a [Value] {
    let Some([first, second, rest @ ..]) = write.body.as_array().map(Vec::as_slice) else {
        panic!("no JSON patch: {}", write.body)
    };
    assert_eq!(*first, json!({"op": "test", "path": "/metadata/uid", "value": uid}));
    assert_eq!(
        (&second["op"], &second["path"]),
        (&json!("test"), &json!("/metadata/resourceVersion"))
    );
    rest
}

/// Without what changes with every write.
pub(crate) fn without_version(mut object: Value) -> Value {
    object["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
    object
}

/// What a crash leaves behind: the answer to the request of this number, from zero, never arrives, though it was done.
pub(crate) fn losing(number: usize) -> impl FnMut(&Request, &mut dyn FnMut() -> Answer) -> Answer {
    let mut asked = 0;
    move |_, carry_out| {
        let answer = carry_out();
        asked += 1;
        if asked - 1 == number { Answer::Broken } else { answer }
    }
}
