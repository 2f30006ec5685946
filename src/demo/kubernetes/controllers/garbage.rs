//! Takes away what belongs to something that is gone: a namespace, or whatever its owner references name.

use serde_json::Value;

use crate::demo::kubernetes::{
    kinds::{Kind, NAMESPACE},
    meta,
    store::{Key, Store},
};

pub(super) fn collect(store: &mut Store) {
    let orphans = store.iter().filter(|(_, object)| is_orphan(store, object));
    let orphans: Vec<Key> = orphans.map(|(key, _)| key.clone()).collect();
    for key in orphans {
        store.remove(&key);
    }
}

fn is_orphan(store: &Store, object: &Value) -> bool {
    let namespace = meta::namespace(object);
    if !namespace.is_empty() && store.get(&Key::new(&NAMESPACE, "", namespace)).is_none() {
        return true;
    }
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.is_some_and(|owners| {
        !owners.is_empty() && owners.iter().all(|owner| is_gone(store, namespace, owner))
    })
}

fn is_gone(store: &Store, namespace: &str, owner: &Value) -> bool {
    let text = |field: &str| owner[field].as_str().unwrap_or_default();
    // An owner of a kind that isn't served here can't be looked up: it gets the benefit of the doubt.
    let Some(kind) = Kind::named(text("apiVersion"), text("kind")) else { return false };
    let found = store.get(&Key::new(kind, namespace, text("name")));
    found.is_none_or(|found| meta::uid(found) != text("uid"))
}
