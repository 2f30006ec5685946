//! The part of an API server that keeps responses, beside whatever answers for the rest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http::Method;
use playbooks::act::{Api, StoredResponse};
use serde_json::{Value, json};

use crate::wire::{Answer, Request, Wire, error, not_found};

pub(crate) const RESPONSES: &str = "/apis/stoop.dev/v1alpha1/namespaces/stoop/responses";

/// Responses by name, with versions as the real one counts them.
#[derive(Clone, Default)]
pub(crate) struct Responses(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    all: BTreeMap<String, Value>,
    version: u64,
    is_absent: bool,
}

impl Responses {
    /// Of a cluster that doesn't have the definition.
    pub(crate) fn absent() -> Responses {
        Responses(Arc::new(Mutex::new(Kept { is_absent: true, ..Kept::default() })))
    }

    /// A server that answers for them, and leaves the rest to `rest`.
    pub(crate) fn serve(
        &self,
        mut rest: impl FnMut(&Request) -> Answer + Send + 'static,
    ) -> (Api, Wire) {
        let kept = self.clone();
        Wire::new(move |request| kept.answer(request).unwrap_or_else(|| rest(request)))
    }

    /// `None` for what is none of theirs.
    pub(crate) fn answer(&self, request: &Request) -> Option<Answer> {
        let mut kept = self.0.lock().expect("responses");
        let is_absent = kept.is_absent;
        match request.path.as_str() {
            "/apis" => return Some(groups(is_absent)),
            "/apis/stoop.dev/v1alpha1" if !is_absent => return Some(resources()),
            _ => {}
        }
        let rest = request.path.strip_prefix(RESPONSES)?;
        if is_absent {
            return Some(Answer::Text(404, "404 page not found"));
        }
        let (name, is_status) = match rest.trim_start_matches('/').split_once('/') {
            Some((name, _)) => (name, true),
            None => (rest.trim_start_matches('/'), false),
        };
        Some(kept.carry_out(request, name, is_status))
    }

    /// The only one there is.
    pub(crate) fn only(&self) -> StoredResponse {
        let mut all = self.all();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    pub(crate) fn all(&self) -> Vec<StoredResponse> {
        let kept = self.0.lock().expect("responses");
        let read = |value: &Value| serde_json::from_value(value.clone()).expect("a response");
        kept.all.values().map(read).collect()
    }

    /// Changes each, as somebody else would.
    pub(crate) fn change(&self, change: impl Fn(&mut StoredResponse)) {
        for mut stored in self.all() {
            change(&mut stored);
            let name = stored.metadata.name.clone().expect("a name");
            self.0.lock().expect("responses").put(&name, json!(stored));
        }
    }
}

impl Kept {
    fn put(&mut self, name: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.all.insert(name.to_owned(), object.clone());
        object
    }

    fn carry_out(&mut self, request: &Request, name: &str, is_status: bool) -> Answer {
        let old = self.all.get(name).cloned();
        let mut new = request.body.clone();
        match (&request.method, old) {
            (&Method::GET, None) if name.is_empty() => Answer::Json(
                200,
                json!({
                    "apiVersion": "stoop.dev/v1alpha1", "kind": "ResponseList", "metadata": {},
                    "items": self.all.values().filter(|it| selects(&request.query, it)).collect::<Vec<_>>(),
                }),
            ),
            (&Method::GET, Some(old)) => Answer::Json(200, old),
            (&Method::POST, None) if name.is_empty() => {
                let name = new["metadata"]["name"].as_str().expect("a name").to_owned();
                if self.all.contains_key(&name) {
                    return error(409, "AlreadyExists", "it exists");
                }
                new["metadata"]["uid"] = json!(format!("uid-of-{name}"));
                if let Some(fields) = new.as_object_mut() {
                    fields.remove("status");
                }
                Answer::Json(201, self.put(&name, new))
            }
            (&Method::PUT, Some(old)) => {
                if new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
                    return error(409, "Conflict", "the object has been modified");
                }
                match is_status {
                    true => {
                        new["spec"] = old["spec"].clone();
                        new["metadata"] = old["metadata"].clone();
                    }
                    false => new["status"] = old["status"].clone(),
                }
                if new["status"].is_null() {
                    new.as_object_mut().expect("an object").remove("status");
                }
                Answer::Json(200, self.put(name, new))
            }
            (&Method::DELETE, Some(old)) => {
                let wanted = &request.body["preconditions"]["resourceVersion"];
                if *wanted != old["metadata"]["resourceVersion"] {
                    return error(409, "Conflict", "the object has been modified");
                }
                self.all.remove(name);
                Answer::Json(200, old)
            }
            _ => not_found(),
        }
    }
}

/// As far as it is asked here: one label and its value.
fn selects(query: &str, object: &Value) -> bool {
    let selector = query.split('&').find_map(|part| part.strip_prefix("labelSelector="));
    let Some(selector) = selector else { return true };
    let selector = selector.replace("%2F", "/").replace("%3D", "=");
    let (key, value) = selector.split_once('=').expect("a label and its value");
    object["metadata"]["labels"][key] == *value
}

fn groups(is_absent: bool) -> Answer {
    let version = json!({"groupVersion": "stoop.dev/v1alpha1", "version": "v1alpha1"});
    let own = json!({"name": "stoop.dev", "versions": [version], "preferredVersion": version});
    let groups = if is_absent { json!([]) } else { json!([own]) };
    Answer::Json(200, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

fn resources() -> Answer {
    let one = json!({"name": "responses", "singularName": "response", "kind": "Response", "namespaced": true, "verbs": ["get"]});
    Answer::Json(
        200,
        json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "stoop.dev/v1alpha1",
            "resources": [one],
        }),
    )
}
