//! A pod, in the few words that the story needs.

use serde_json::Value;

/// A pod, as far as the story goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::demo) struct Pod {
    pub(in crate::demo) namespace: String,
    pub(in crate::demo) name: String,
    pub(in crate::demo) uid: String,
}

impl Pod {
    pub(super) fn of(object: &Value) -> Pod {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        Pod { namespace: text("namespace"), name: text("name"), uid: text("uid") }
    }

    /// Where the API has it.
    pub(in crate::demo) fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }
}

impl Pod {
    /// Where the API has the policies of its namespace.
    pub(in crate::demo) fn policies(&self) -> String {
        format!("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies/", self.namespace)
    }
}

impl std::fmt::Display for Pod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} (uid {})", self.namespace, self.name, short(&self.uid))
    }
}

/// As much of a uid as tells it from others on one screen.
pub(in crate::demo) fn short(uid: &str) -> String {
    format!("{}…", uid.split('-').next().unwrap_or_default())
}
