//! Deployments, ReplicaSets and StatefulSets: what should be there is there again.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::demo::kubernetes::{
    create::create,
    eviction::is_ready,
    kinds::{DEPLOYMENT, Kind, POD, REPLICA_SET, STATEFUL_SET},
    meta, selectors,
    store::{Key, Store},
};

pub(super) fn reconcile(store: &mut Store) {
    for_each(store, &DEPLOYMENT, deployment);
    for_each(store, &REPLICA_SET, replica_set);
    for_each(store, &STATEFUL_SET, stateful_set);
}

fn for_each(store: &mut Store, kind: &'static Kind, one: fn(&mut Store, &Value)) {
    let owners: Vec<Value> = store.all(kind).map(|(_, owner)| owner.clone()).collect();
    for owner in owners {
        one(store, &owner);
    }
}

/// Keeps one ReplicaSet a template; those of earlier templates are scaled to nothing.
fn deployment(store: &mut Store, deployment: &Value) {
    let namespace = meta::namespace(deployment);
    let template = &deployment["spec"]["template"];
    let mut hasher = DefaultHasher::new();
    template.to_string().hash(&mut hasher);
    let hash = format!("{:08x}", hasher.finish() as u32);
    let current = format!("{}-{hash}", meta::name(deployment));

    if store.get(&Key::new(&REPLICA_SET, namespace, &current)).is_none() {
        let mut spec = json!({
            "replicas": deployment["spec"]["replicas"],
            "selector": deployment["spec"]["selector"],
            "template": template,
        });
        spec["selector"]["matchLabels"][HASH] = hash.clone().into();
        spec["template"]["metadata"]["labels"][HASH] = hash.into();
        let labels = spec["template"]["metadata"]["labels"].clone();
        let metadata = json!({
            "name": current,
            "labels": labels,
            "ownerReferences": [reference(deployment, &DEPLOYMENT)],
        });
        make(store, &REPLICA_SET, namespace, json!({"metadata": metadata, "spec": spec}));
    }

    let sets = store.all(&REPLICA_SET).map(|(key, set)| (key.clone(), set.clone()));
    let sets: Vec<(Key, Value)> = sets.filter(|(_, set)| is_owned(set, deployment)).collect();
    for (key, mut set) in sets {
        let wanted = if key.name == current { wanted(deployment) } else { 0 };
        set["spec"]["replicas"] = wanted.into();
        store.put_changed(key, set);
    }
    let names = |pod: &Value| {
        let set = meta::controller(pod).and_then(|set| set["name"].as_str());
        set.and_then(|set| store.get(&Key::new(&REPLICA_SET, namespace, set)))
            .is_some_and(|set| is_owned(set, deployment))
    };
    let pods = store.pods(namespace, names);
    report(store, &DEPLOYMENT, deployment, &pods);
}

const HASH: &str = "pod-template-hash";

fn replica_set(store: &mut Store, set: &Value) {
    let namespace = meta::namespace(set);
    claim(store, set, &REPLICA_SET);
    let mut pods = active(store, set);
    // What came last is what there is too much of.
    pods.sort_by_key(|pod| meta::text(pod, "creationTimestamp").to_owned());
    for _ in pods.len()..wanted(set) {
        let name = json!({"generateName": format!("{}-", meta::name(set))});
        make(store, &POD, namespace, pod(set, &REPLICA_SET, name));
    }
    for surplus in pods.drain(wanted(set).min(pods.len())..) {
        store.remove(&Key::new(&POD, namespace, meta::name(&surplus)));
    }
    let pods = active(store, set);
    report(store, &REPLICA_SET, set, &pods);
}

/// A pod's successor takes over its name, once the name is free.
fn stateful_set(store: &mut Store, set: &Value) {
    let namespace = meta::namespace(set);
    claim(store, set, &STATEFUL_SET);
    for ordinal in 0..wanted(set) {
        let name = format!("{}-{ordinal}", meta::name(set));
        if store.get(&Key::new(&POD, namespace, &name)).is_none() {
            make(store, &POD, namespace, pod(set, &STATEFUL_SET, json!({ "name": name })));
        }
    }
    let pods = active(store, set);
    report(store, &STATEFUL_SET, set, &pods);
}

/// Lets go of pods that the selector doesn't select any more, and takes in those that nobody has and it does.
fn claim(store: &mut Store, owner: &Value, kind: &Kind) {
    let Some(selector) = selectors::of_spec(owner) else { return };
    let namespace = meta::namespace(owner);
    for mut pod in store.pods(namespace, |pod| !meta::is_terminating(pod)) {
        let owners = pod["metadata"]["ownerReferences"].as_array();
        let mut left: Vec<Value> = owners.cloned().unwrap_or_default();
        let is_free = !left.iter().any(|owner| owner["controller"] == true);
        let is_ours =
            left.iter().any(|of| of["controller"] == true && of["uid"] == meta::uid(owner));
        match selectors::selects(&selector, &pod) {
            true if is_free => left.push(reference(owner, kind)),
            false if is_ours => left.retain(|of| of["uid"] != meta::uid(owner)),
            _ => continue,
        }
        pod["metadata"]["ownerReferences"] = left.into();
        let Ok(pod) = POD.shape(pod) else { continue };
        store.put_changed(Key::new(&POD, namespace, meta::name(&pod)), pod.clone());
    }
}

fn active(store: &Store, owner: &Value) -> Vec<Value> {
    let ended = |pod: &Value| {
        ["Succeeded", "Failed"].contains(&pod["status"]["phase"].as_str().unwrap_or_default())
    };
    store.pods(meta::namespace(owner), |pod| {
        is_owned(pod, owner) && !meta::is_terminating(pod) && !ended(pod)
    })
}

fn wanted(owner: &Value) -> usize {
    owner["spec"]["replicas"].as_u64().and_then(|count| count.try_into().ok()).unwrap_or(1)
}

fn is_owned(object: &Value, owner: &Value) -> bool {
    meta::controller(object).is_some_and(|controller| controller["uid"] == meta::uid(owner))
}

fn pod(owner: &Value, kind: &Kind, mut metadata: Value) -> Value {
    let template = &owner["spec"]["template"];
    for kept in ["labels", "annotations"] {
        metadata[kept] = template["metadata"][kept].clone();
    }
    metadata["ownerReferences"] = json!([reference(owner, kind)]);
    json!({"metadata": metadata, "spec": template["spec"]})
}

fn reference(owner: &Value, kind: &Kind) -> Value {
    json!({
        "apiVersion": kind.api_version(),
        "kind": kind.kind,
        "name": meta::name(owner),
        "uid": meta::uid(owner),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Creates a child. A template that makes no valid object makes none, as in a cluster, where only an event tells of it.
fn make(store: &mut Store, kind: &'static Kind, namespace: &str, child: Value) {
    drop(create(store, kind, namespace, child, false));
}

fn report(store: &mut Store, kind: &'static Kind, owner: &Value, pods: &[Value]) {
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let key = Key::new(kind, meta::namespace(owner), meta::name(owner));
    let Some(mut owner) = store.get(&key).cloned() else { return };
    let observed = owner["metadata"]["generation"].clone();
    owner["status"] = json!({
        "replicas": pods.len(),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "observedGeneration": observed,
    });
    store.put_changed(key, owner);
}
