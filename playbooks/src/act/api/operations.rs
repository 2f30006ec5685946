//! The operations of one JSON patch (RFC 6902), written down by path.

use json_patch::{
    AddOperation, Patch, PatchOperation, RemoveOperation, TestOperation, jsonptr::PointerBuf,
};
use serde_json::{Value, json};

/// What a patch changes, in order. Nothing that it doesn't name is touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::act) struct Operations(Vec<PatchOperation>);

impl Operations {
    /// Sets the value at a path, whether there is one or not; `-` behind a list's path adds to its end.
    pub(in crate::act) fn add(&mut self, path: &[&str], value: impl Into<Value>) {
        self.0.push(PatchOperation::Add(AddOperation { path: pointer(path), value: value.into() }));
    }

    /// Takes away what is at a path.
    pub(in crate::act) fn remove(&mut self, path: &[&str]) {
        self.0.push(PatchOperation::Remove(RemoveOperation { path: pointer(path) }));
    }

    /// Makes an empty mapping at a path where there is none, once: nothing can be added below what is not there.
    pub(in crate::act) fn ensure_mapping(&mut self, path: &[&str], is_there: bool) {
        let mapping = AddOperation { path: pointer(path), value: json!({}) };
        let mapping = PatchOperation::Add(mapping);
        if !is_there && !self.0.contains(&mapping) {
            self.0.push(mapping);
        }
    }

    /// The patch, refused by the server for any other object and for any other version.
    pub(super) fn pinned_to(self, uid: &str, version: &str) -> Patch {
        let test = |path: &[&str], value: &str| {
            PatchOperation::Test(TestOperation { path: pointer(path), value: value.into() })
        };
        let pins =
            [test(&["metadata", "uid"], uid), test(&["metadata", "resourceVersion"], version)];
        Patch(pins.into_iter().chain(self.0).collect())
    }
}

/// Keys are escaped: those of labels and annotations have slashes.
fn pointer(path: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(path.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_tests_whose_it_is_before_anything_else() {
        let mut operations = Operations::default();
        operations.ensure_mapping(&["metadata", "annotations"], false);
        operations.ensure_mapping(&["metadata", "annotations"], false);
        operations.ensure_mapping(&["metadata", "labels"], true);
        operations.add(&["metadata", "annotations", "a.dev/b~c"], "x");
        operations.remove(&["spec", "taints", "3"]);
        let patch = serde_json::to_value(operations.pinned_to("u", "7")).ok();
        let expected = json!([
            {"op": "test", "path": "/metadata/uid", "value": "u"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "add", "path": "/metadata/annotations", "value": {}},
            {"op": "add", "path": "/metadata/annotations/a.dev~1b~0c", "value": "x"},
            {"op": "remove", "path": "/spec/taints/3"},
        ]);
        assert_eq!(patch, Some(expected));
    }
}
