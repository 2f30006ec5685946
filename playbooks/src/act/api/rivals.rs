//! Policies of other kinds, which a network plugin obeys beside NetworkPolicies and which can overrule them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResource, ObjectMeta};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};

use super::{
    Api, ApiError, Kind, Permission,
    networks::{FIELD_MANAGER, spec_managers},
};
use crate::act::outcome::Failure;

/// Group and plural of every kind that can allow what a NetworkPolicy denies.
const RIVALS: [(&str, &str); 10] = [
    ("cilium.io", "ciliumnetworkpolicies"),
    ("cilium.io", "ciliumclusterwidenetworkpolicies"),
    ("crd.projectcalico.org", "networkpolicies"),
    ("crd.projectcalico.org", "globalnetworkpolicies"),
    ("projectcalico.org", "networkpolicies"),
    ("projectcalico.org", "globalnetworkpolicies"),
    ("crd.antrea.io", "networkpolicies"),
    ("crd.antrea.io", "clusternetworkpolicies"),
    ("policy.networking.k8s.io", "adminnetworkpolicies"),
    ("policy.networking.k8s.io", "clusternetworkpolicies"),
];

/// How many objects are looked at: one that counts is enough.
const LOOK: u32 = 500;

/// How Calico's own API server shows the NetworkPolicies that it has translated.
const TRANSLATED: &str = "knp.default.";

/// What is known of a kind of policy that the cluster serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::act) enum Rival {
    /// There are such policies.
    Present(String),
    /// Whether there are any may not be read.
    Forbidden(String),
}

/// The rights that looking for them takes.
pub(in crate::act) fn rival_permissions() -> Vec<Permission> {
    RIVALS.iter().map(|(group, plural)| Permission::new(group, plural, "list")).collect()
}

impl Api {
    /// The kinds that can overrule the NetworkPolicies of a namespace: those that have objects, for the namespace or
    /// the whole cluster, and those of which that can't be told. `known` is not looked at.
    pub(in crate::act) async fn rivals(
        &self,
        namespace: &str,
        known: Option<&Kind>,
    ) -> Result<Vec<Rival>, Failure> {
        let mut found = Vec::new();
        let served = self.call(|client| async move { client.list_api_groups().await }).await?;
        for group in served.groups {
            let is_known = |of: &str, name: &str| {
                known.is_some_and(|known| known.group == of && known.plural == name)
            };
            let rivals = RIVALS.iter().filter(|(of, name)| !is_known(of, name));
            let plurals: Vec<_> =
                rivals.filter(|(of, _)| *of == group.name).map(|(_, name)| *name).collect();
            if plurals.is_empty() {
                continue;
            }
            let mut seen = Vec::new();
            // One version need not serve what another does.
            for version in &group.versions {
                let of = version.group_version.as_str();
                let listed = self
                    .call(|client| async move { client.list_api_group_resources(of).await })
                    .await
                    .map_err(of_group)?;
                for resource in listed.resources {
                    let name = resource.name.clone();
                    if plurals.contains(&name.as_str()) && !seen.contains(&name) {
                        found.extend(
                            self.rival(namespace, &group.name, &version.version, &resource).await?,
                        );
                        seen.push(name);
                    }
                }
            }
        }
        Ok(found)
    }

    async fn rival(
        &self,
        namespace: &str,
        group: &str,
        version: &str,
        resource: &APIResource,
    ) -> Result<Option<Rival>, Failure> {
        let kind = GroupVersionKind::gvk(group, version, &resource.kind);
        let of = ApiResource::from_gvk_with_plural(&kind, &resource.name);
        let name = format!("{}.{group}", resource.name);
        let listed = self
            .call(|client| async move {
                let objects: kube::Api<DynamicObject> = match resource.namespaced {
                    true => kube::Api::namespaced_with(client, namespace, &of),
                    false => kube::Api::all_with(client, &of),
                };
                objects.list_metadata(&ListParams::default().limit(LOOK)).await
            })
            .await;
        match listed {
            Ok(page) => {
                let counts = page.items.iter().any(|object| counts(&object.metadata));
                let more = page.metadata.continue_.is_some_and(|token| !token.is_empty());
                Ok((counts || more).then_some(Rival::Present(name)))
            }
            Err(error) if error.code() == Some(403) => Ok(Some(Rival::Forbidden(name))),
            Err(error) => Err(of_group(error)),
        }
    }
}

/// Not a translation, and not a deny that an isolation has made: those allow nothing.
fn counts(meta: &ObjectMeta) -> bool {
    let is_translated = meta.name.as_deref().unwrap_or_default().starts_with(TRANSLATED);
    let mut managers = spec_managers(meta).peekable();
    let is_ours = managers.peek().is_some() && managers.all(|manager| manager == FIELD_MANAGER);
    !is_translated && !is_ours
}

/// A group that another server answers for can be away by itself: that is no outage, which would hold everything.
pub(super) fn of_group(error: ApiError) -> Failure {
    match error.code() {
        None | Some(429) => error.into(),
        Some(_) => Failure::transient(error.to_string()),
    }
}
