//! Where the objects are: a sorted map with one revision counter, as etcd is one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    kinds::{Kind, POD},
    meta,
};

/// What names an object. The namespace is empty for a kind that has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) resource: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(kind: &Kind, namespace: &str, name: &str) -> Key {
        Key { resource: kind.resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

#[derive(Default)]
pub(super) struct Store {
    objects: BTreeMap<Key, Value>,
    revision: u64,
}

impl Store {
    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// The objects of one kind, in order of namespace and name.
    pub(super) fn all(&self, kind: &'static Kind) -> impl Iterator<Item = (&Key, &Value)> {
        let first = Key::new(kind, "", "");
        self.objects.range(first..).take_while(|(key, _)| key.resource == kind.resource)
    }

    /// The pods of a namespace that `wanted` selects, copied: controllers write while they look.
    pub(super) fn pods(&self, namespace: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let pods = self.all(&POD).map(|(_, pod)| pod);
        pods.filter(|pod| meta::namespace(pod) == namespace && wanted(pod)).cloned().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter()
    }

    /// Stores the object under a fresh revision, and gives it back as stored.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Value {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        self.objects.insert(key, object.clone());
        object
    }

    /// Stores the object if it is not what is there already, so that a controller's second look changes nothing.
    pub(super) fn put_changed(&mut self, key: Key, object: Value) {
        if self.objects.get(&key) != Some(&object) {
            self.put(key, object);
        }
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Value> {
        let gone = self.objects.remove(key)?;
        self.revision += 1;
        Some(gone)
    }

    /// Counts every change there ever was.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }
}
