//! The calls on NetworkPolicies and Services: reading all of a namespace, applying and removing a policy of ours.

use k8s_openapi::{
    NamespaceResourceScope,
    api::{core::v1::Service, networking::v1::NetworkPolicy},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use serde::de::DeserializeOwned;

use super::{Api, ApiError};

/// How many objects one page of a list holds.
const PAGE: u32 = 500;

/// Who the fields of our policies belong to.
pub(in crate::act) const FIELD_MANAGER: &str = "stoop-isolate";

impl Api {
    /// All NetworkPolicies of a namespace, live.
    pub(in crate::act) async fn policies(
        &self,
        namespace: &str,
    ) -> Result<Vec<NetworkPolicy>, ApiError> {
        self.all_of(namespace).await
    }

    /// All Services of a namespace, live.
    pub(in crate::act) async fn services(&self, namespace: &str) -> Result<Vec<Service>, ApiError> {
        self.all_of(namespace).await
    }

    async fn all_of<K>(&self, namespace: &str) -> Result<Vec<K>, ApiError>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let (mut all, mut params) = (Vec::new(), ListParams::default().limit(PAGE));
        loop {
            let asked = &params;
            let page = self
                .call(|client| async move {
                    kube::Api::<K>::namespaced(client, namespace).list(asked).await
                })
                .await?;
            all.extend(page.items);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(all);
            }
        }
    }

    /// Applies a policy of ours on the server's side.
    ///
    /// Its `resourceVersion` has to be there: a policy that is not as it was seen is a conflict, never overwritten.
    pub(in crate::act) async fn apply_policy(
        &self,
        policy: &NetworkPolicy,
        dry_run: bool,
    ) -> Result<(), ApiError> {
        let meta = &policy.metadata;
        let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
        let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
        // Forced: the fields of a policy of ours are ours, whoever has changed them meanwhile.
        let params = PatchParams { dry_run, ..PatchParams::apply(FIELD_MANAGER).force() };
        self.call(|client| async move {
            let policies = kube::Api::<NetworkPolicy>::namespaced(client, namespace);
            policies.patch(name, &params, &Patch::Apply(policy)).await.map(drop)
        })
        .await
    }

    /// Deletes this very policy, as it was read.
    pub(in crate::act) async fn delete_policy(
        &self,
        policy: &NetworkPolicy,
    ) -> Result<(), ApiError> {
        let meta = &policy.metadata;
        let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
        let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
        let params = DeleteParams { preconditions: Some(as_read(meta)), ..DeleteParams::default() };
        self.call(|client| async move {
            let policies = kube::Api::<NetworkPolicy>::namespaced(client, namespace);
            policies.delete(name, &params).await.map(drop)
        })
        .await
    }
}

/// What holds for an object only as long as nobody changes or replaces it.
pub(super) fn as_read(meta: &ObjectMeta) -> Preconditions {
    Preconditions { uid: meta.uid.clone(), resource_version: meta.resource_version.clone() }
}

/// Who has written the spec of an object.
pub(in crate::act) fn spec_managers(meta: &ObjectMeta) -> impl Iterator<Item = &str> {
    let entries = meta.managed_fields.iter().flatten();
    let of_spec = entries.filter(|entry| {
        entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:spec").is_some())
    });
    of_spec.map(|entry| entry.manager.as_deref().unwrap_or_default())
}
