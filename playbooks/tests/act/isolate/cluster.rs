//! A namespace with one pod and whatever selects it: reads, patches and preconditions as the API server has them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use playbooks::act::Api;
use serde_json::{Value, json};

use crate::{
    fixtures::{POD, pod},
    wire::{Answer, Request, Wire, error, list},
};

pub(super) const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies";
const SERVICES: &str = "/api/v1/namespaces/shop/services";

/// What is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    version: u64,
    pub(super) pod: Option<Value>,
    pub(super) policies: BTreeMap<String, Value>,
    pub(super) services: Vec<Value>,
    /// By path.
    pub(super) workloads: BTreeMap<String, Value>,
    /// Other kinds of policies: their path, and their names.
    pub(super) rivals: BTreeMap<String, Vec<String>>,
    /// Objects of those kinds, by path.
    pub(super) customs: BTreeMap<String, Value>,
}

#[derive(Clone)]
pub(super) struct Cluster(Arc<Mutex<State>>);

impl Cluster {
    /// The pod `shop/web` with three labels, which its ReplicaSet, its Service and nobody select it by.
    pub(super) fn new() -> Cluster {
        let mut pod = pod();
        pod["metadata"]["resourceVersion"] = json!("100");
        pod["metadata"]["labels"] = json!({"app": "web", "hash": "5d", "note": "x"});
        pod["metadata"]["annotations"] = json!({"theirs": "kept"});
        let owner = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "web-5d", "namespace": "shop", "uid": "rs-uid"},
            "spec": {"selector": {"matchLabels": {"app": "web", "hash": "5d"}}}
        });
        let service = |name: &str, selector: Value| json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"selector": selector}});
        Cluster(Arc::new(Mutex::new(State {
            version: 100,
            pod: Some(pod),
            policies: BTreeMap::new(),
            services: vec![
                service("web", json!({"app": "web"})),
                service("db", json!({"app": "db"})),
                service("by-hand", json!(null)),
            ],
            workloads: BTreeMap::from([(
                "/apis/apps/v1/namespaces/shop/replicasets/web-5d".to_owned(),
                owner,
            )]),
            rivals: BTreeMap::new(),
            customs: BTreeMap::new(),
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("the state")
    }

    /// With somebody's policy.
    pub(super) fn with_policy(self, name: &str, spec: Value) -> Cluster {
        self.state().add_policy(name, spec);
        self
    }

    pub(super) fn with_pod(self, change: impl FnOnce(&mut Value)) -> Cluster {
        change(self.state().pod.as_mut().expect("a pod"));
        self
    }

    /// With a kind that is served, by its path.
    pub(super) fn serving(self, path: &str) -> Cluster {
        self.state().rivals.entry(path.to_owned()).or_default();
        self
    }

    /// An API server of it that is asked directly.
    pub(super) fn serve(&self) -> (Api, Wire) {
        self.serve_with(|_, _| None)
    }

    /// As `serve`, but for what `first` does before a request, and answers in the server's place.
    pub(super) fn serve_with<F>(&self, mut first: F) -> (Api, Wire)
    where
        F: FnMut(&mut State, &Request) -> Option<Answer> + Send + 'static,
    {
        let cluster = self.clone();
        Wire::new(move |request| {
            let state = &mut *cluster.state();
            first(state, request).unwrap_or_else(|| state.answer(request))
        })
    }

    pub(super) fn labels(&self) -> Value {
        self.state().pod.as_ref().expect("a pod")["metadata"]["labels"].clone()
    }
}

impl State {
    pub(super) fn add_policy(&mut self, name: &str, spec: Value) {
        let version = self.next_version();
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-of-{name}"), "resourceVersion": version},
            "spec": spec
        });
        self.policies.insert(name.to_owned(), policy);
    }

    /// Somebody changes a label of the pod.
    pub(super) fn label(&mut self, key: &str, value: &str) {
        let version = self.next_version();
        let meta = &mut self.pod.as_mut().expect("a pod")["metadata"];
        meta["labels"][key] = json!(value);
        meta["resourceVersion"] = json!(version);
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let dry_run = request.query.contains("dryRun=All");
        let before = dry_run.then(|| self.clone());
        let answer = self.carry_out(request);
        if let Some(before) = before {
            *self = before;
        }
        answer
    }

    fn carry_out(&mut self, request: &Request) -> Answer {
        let path = request.path.as_str();
        let missing = || error(404, "NotFound", "not found");
        match (request.method.as_str(), path) {
            ("GET", POD) => self.pod.clone().map_or_else(missing, |pod| Answer::Json(200, pod)),
            ("PATCH", POD) => self.patch_pod(&request.body),
            ("DELETE", POD) => {
                let Some(pod) = &self.pod else { return missing() };
                if request.body["preconditions"]["uid"] != pod["metadata"]["uid"] {
                    return error(409, "Conflict", "the UID in the precondition does not match");
                }
                self.pod.take().map_or_else(missing, |pod| Answer::Json(200, pod))
            }
            ("GET", POLICIES) => list(&self.policies.values().cloned().collect::<Vec<_>>()),
            ("GET", SERVICES) => list(&self.services),
            ("GET", "/apis") => self.groups(),
            ("PATCH", path) if path.starts_with(POLICIES) => {
                let version = self.next_version();
                let name = &path[POLICIES.len() + 1..];
                apply(&mut self.policies, name, &request.body, &version)
            }
            ("DELETE", path) if path.starts_with(POLICIES) => {
                delete(&mut self.policies, &path[POLICIES.len() + 1..], &request.body)
            }
            ("PATCH", path) if self.serves(path) => {
                let version = self.next_version();
                apply(&mut self.customs, path, &request.body, &version)
            }
            ("DELETE", path) if self.serves(path) => delete(&mut self.customs, path, &request.body),
            ("GET", path) if self.serves(path) => {
                self.customs.get(path).map_or_else(missing, |it| Answer::Json(200, it.clone()))
            }
            ("GET", path) if self.workloads.contains_key(path) => {
                Answer::Json(200, self.workloads[path].clone())
            }
            ("GET", path) if self.rivals.contains_key(path) => {
                let named = self.rivals[path].iter();
                let named = named.map(|name| json!({"metadata": {"name": name}}));
                let below = |it: &String| it.rsplit_once('/').is_some_and(|(of, _)| of == path);
                let whole = self.customs.iter().filter(|(path, _)| below(path));
                list(&named.chain(whole.map(|(_, it)| it.clone())).collect::<Vec<_>>())
            }
            ("GET", path) => {
                self.resources(path).map_or_else(missing, |all| Answer::Json(200, all))
            }
            _ => missing(),
        }
    }

    fn patch_pod(&mut self, patch: &Value) -> Answer {
        let version = self.next_version();
        let Some(pod) = &mut self.pod else { return error(404, "NotFound", "no such pod") };
        let (meta, patch) = (&mut pod["metadata"], &patch["metadata"]);
        if !patch["uid"].is_null() && patch["uid"] != meta["uid"] {
            return error(422, "Invalid", "metadata.uid: Invalid value: field is immutable");
        }
        if !patch["resourceVersion"].is_null()
            && patch["resourceVersion"] != meta["resourceVersion"]
        {
            return error(409, "Conflict", "the object has been modified");
        }
        for field in ["labels", "annotations"] {
            for (key, value) in patch[field].as_object().into_iter().flatten() {
                match value {
                    Value::Null => drop(meta[field].as_object_mut().expect("a map").remove(key)),
                    value => meta[field][key] = value.clone(),
                }
            }
        }
        meta["resourceVersion"] = json!(version);
        Answer::Json(
            200,
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}),
        )
    }

    /// Whether it is the path of one object of a kind that is served.
    fn serves(&self, path: &str) -> bool {
        path.rsplit_once('/').is_some_and(|(of, _)| self.rivals.contains_key(of))
    }

    /// Group, version, whether namespaced, and plural of a path.
    fn rival(path: &str) -> (&str, &str, bool, &str) {
        let parts: Vec<_> = path.split('/').skip(2).collect();
        (parts[0], parts[1], parts[2] == "namespaces", parts[parts.len() - 1])
    }

    fn groups(&self) -> Answer {
        let mut groups = vec![
            json!({"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}),
        ];
        for path in self.rivals.keys() {
            let (group, version, ..) = State::rival(path);
            let of = format!("{group}/{version}");
            groups.push(
                json!({"name": group, "versions": [{"groupVersion": of, "version": version}]}),
            );
        }
        Answer::Json(200, json!({"kind": "APIGroupList", "groups": groups}))
    }

    fn resources(&self, path: &str) -> Option<Value> {
        let of = path.strip_prefix("/apis/")?;
        let served = self.rivals.keys().map(|path| State::rival(path));
        let resources: Vec<_> = served
            .filter(|(group, version, ..)| format!("{group}/{version}") == of)
            .map(|(.., namespaced, name)| {
                json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": "K", "verbs": ["list"]})
            })
            .collect();
        (!resources.is_empty())
            .then(|| json!({"kind": "APIResourceList", "groupVersion": of, "resources": resources}))
    }
}

fn apply(all: &mut BTreeMap<String, Value>, key: &str, applied: &Value, version: &str) -> Answer {
    let wanted = &applied["metadata"];
    let stored = all.get(key).map(|stored| &stored["metadata"]);
    let uid = match stored {
        Some(stored) if !wanted["uid"].is_null() && wanted["uid"] != stored["uid"] => {
            return error(422, "Invalid", "metadata.uid: field is immutable");
        }
        Some(stored)
            if !wanted["resourceVersion"].is_null()
                && wanted["resourceVersion"] != stored["resourceVersion"] =>
        {
            return error(409, "Conflict", "the object has been modified");
        }
        None if !wanted["uid"].is_null() => {
            return error(409, "Conflict", "uid mismatch: the object does not exist");
        }
        Some(stored) => stored["uid"].clone(),
        None => json!(format!("uid-of-{key}")),
    };
    let mut policy = applied.clone();
    // An empty list is not stored.
    let spec = policy["spec"].as_object_mut().expect("a spec");
    spec.retain(|_, value| *value != json!([]));
    policy["metadata"]["uid"] = uid;
    policy["metadata"]["resourceVersion"] = json!(version);
    policy["metadata"]["managedFields"] =
        json!([{"manager": "stoop-isolate", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]);
    all.insert(key.to_owned(), policy.clone());
    Answer::Json(201, policy)
}

fn delete(all: &mut BTreeMap<String, Value>, key: &str, options: &Value) -> Answer {
    let wanted = &options["preconditions"];
    let Some(stored) = all.get(key) else { return error(404, "NotFound", "not found") };
    let same = |key: &str| stored["metadata"][key] == wanted[key];
    if !same("uid") || !same("resourceVersion") {
        return error(409, "Conflict", "the precondition does not hold");
    }
    all.remove(key);
    Answer::Json(200, json!({"kind": "Status", "status": "Success"}))
}
