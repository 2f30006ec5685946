//! Which kinds the API serves, as a table.

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    core::v1::{ConfigMap, Event, Namespace, Node, Pod, Service},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use playbooks::act::StoredResponse;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::status::qualified;

/// One kind and what the generic code has to know about it.
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    /// The plural in the path; unique among the kinds served.
    pub(super) resource: &'static str,
    pub(super) namespaced: bool,
    /// Has a `/status` that alone writes `status`.
    pub(super) has_status: bool,
    shape: fn(Value) -> serde_json::Result<Value>,
}

pub(super) static NAMESPACE: Kind = Kind::of::<Namespace>(false, true);
pub(super) static NODE: Kind = Kind::of::<Node>(false, true);
pub(super) static POD: Kind = Kind::of::<Pod>(true, true);
pub(super) static CONFIG_MAP: Kind = Kind::of::<ConfigMap>(true, false);
pub(super) static EVENT: Kind = Kind::of::<Event>(true, false);
pub(super) static SERVICE: Kind = Kind::of::<Service>(true, true);
pub(super) static NETWORK_POLICY: Kind = Kind::of::<NetworkPolicy>(true, false);
pub(super) static DEPLOYMENT: Kind = Kind::of::<Deployment>(true, true);
pub(super) static REPLICA_SET: Kind = Kind::of::<ReplicaSet>(true, true);
pub(super) static STATEFUL_SET: Kind = Kind::of::<StatefulSet>(true, true);
pub(super) static DISRUPTION_BUDGET: Kind = Kind::of::<PodDisruptionBudget>(true, true);
/// Defined by stoop itself, for workers that are to keep what they do.
pub(super) static RESPONSE: Kind = Kind {
    group: "stoop.dev",
    version: "v1alpha1",
    kind: "Response",
    resource: "responses",
    namespaced: true,
    has_status: true,
    shape: round_trip::<StoredResponse>,
};

static KINDS: [&Kind; 12] = [
    &NAMESPACE,
    &NODE,
    &POD,
    &CONFIG_MAP,
    &EVENT,
    &SERVICE,
    &NETWORK_POLICY,
    &DEPLOYMENT,
    &REPLICA_SET,
    &STATEFUL_SET,
    &DISRUPTION_BUDGET,
    &RESPONSE,
];

/// Kinds are compared by their plural, which no two share.
impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.resource == other.resource
    }
}

impl Kind {
    const fn of<K>(namespaced: bool, has_status: bool) -> Kind
    where
        K: k8s_openapi::Resource + Serialize + DeserializeOwned,
    {
        Kind {
            group: K::GROUP,
            version: K::VERSION,
            kind: K::KIND,
            resource: K::URL_PATH_SEGMENT,
            namespaced,
            has_status,
            shape: as_go_writes_it::<K>,
        }
    }

    /// The kind behind a path such as `/apis/apps/v1/deployments`.
    pub(super) fn at(group: &str, version: &str, resource: &str) -> Option<&'static Kind> {
        let mut kinds = KINDS.into_iter();
        kinds.find(|k| k.group == group && k.version == version && k.resource == resource)
    }

    /// The kind that an object says it is.
    pub(super) fn named(api_version: &str, kind: &str) -> Option<&'static Kind> {
        KINDS.into_iter().find(|k| k.api_version() == api_version && k.kind == kind)
    }

    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `deployments.apps`, as error messages say it.
    pub(super) fn qualified(&self) -> String {
        qualified(self.resource, self.group)
    }

    /// The object as its typed form reads it: unknown fields dropped, wrong types refused.
    pub(super) fn shape(&self, object: Value) -> serde_json::Result<Value> {
        (self.shape)(object)
    }
}

/// Kubernetes' own types leave out lists that are empty, and a metadata's empty maps.
fn as_go_writes_it<K: Serialize + DeserializeOwned>(object: Value) -> serde_json::Result<Value> {
    round_trip::<K>(object).map(|mut object| {
        leave_out_empty_lists(&mut object);
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|_, field| field.as_object().is_none_or(|map| !map.is_empty()));
        }
        object
    })
}

fn leave_out_empty_lists(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| field.as_array().is_none_or(|list| !list.is_empty()));
            fields.values_mut().for_each(leave_out_empty_lists);
        }
        Value::Array(list) => list.iter_mut().for_each(leave_out_empty_lists),
        _ => {}
    }
}

fn round_trip<K: Serialize + DeserializeOwned>(object: Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<K>(object)?)
}
