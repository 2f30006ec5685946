//! The calls on kinds that a cluster need not have: which are served, and reading, applying and removing one.

use kube::{
    Api as Objects,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
};

use super::{Api, ApiError, Class, networks::FIELD_MANAGER, networks::as_read, rivals::of_group};
use crate::act::outcome::Failure;

/// A kind that comes as a custom resource.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::act) struct Kind {
    pub(in crate::act) group: &'static str,
    pub(in crate::act) version: &'static str,
    pub(in crate::act) kind: &'static str,
    pub(in crate::act) plural: &'static str,
    pub(in crate::act) namespaced: bool,
}

impl Kind {
    /// As its objects and paths name it.
    pub(in crate::act) fn resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }

    /// Those of every namespace, for a watch, which is no call with a deadline.
    pub(in crate::act) fn everywhere<K>(&self, api: &Api) -> Objects<K>
    where
        K: kube::Resource<DynamicType = ApiResource>,
    {
        Objects::all_with(api.client.clone(), &self.resource())
    }

    /// The namespace is passed over where the kind has none.
    pub(in crate::act) fn objects(
        &self,
        client: kube::Client,
        namespace: &str,
    ) -> Objects<DynamicObject> {
        match self.namespaced {
            true => Objects::namespaced_with(client, namespace, &self.resource()),
            false => Objects::all_with(client, &self.resource()),
        }
    }
}

impl Api {
    /// Which of these the API server serves, in the version that we know.
    pub(in crate::act) async fn served<'a>(
        &self,
        kinds: &[&'a Kind],
    ) -> Result<Vec<&'a Kind>, Failure> {
        let groups = self.call(|client| async move { client.list_api_groups().await }).await?;
        let mut found = Vec::new();
        for kind in kinds {
            let of = format!("{}/{}", kind.group, kind.version);
            let mut versions = groups.groups.iter().flat_map(|group| &group.versions);
            if !versions.any(|version| version.group_version == of) {
                continue;
            }
            let of = of.as_str();
            let listed = self
                .call(|client| async move { client.list_api_group_resources(of).await })
                .await
                .map_err(of_group)?;
            if listed.resources.iter().any(|resource| resource.name == kind.plural) {
                found.push(*kind);
            }
        }
        Ok(found)
    }

    /// A live read; `None` where the API server says that there is no such object.
    pub(in crate::act) async fn custom(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<DynamicObject>, ApiError> {
        let read = self
            .call(|client| async move { kind.objects(client, namespace).get(name).await })
            .await;
        match read {
            Ok(object) => Ok(Some(object)),
            Err(error) if *error.class() == Class::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All of a namespace, or of the cluster where the kind has no namespaces: one page, and whether there are more.
    pub(in crate::act) async fn customs(
        &self,
        kind: &Kind,
        namespace: &str,
        page: u32,
    ) -> Result<(Vec<DynamicObject>, bool), ApiError> {
        let params = kube::api::ListParams::default().limit(page);
        let listed = self
            .call(|client| async move { kind.objects(client, namespace).list(&params).await })
            .await?;
        let more = listed.metadata.continue_.is_some_and(|token| !token.is_empty());
        Ok((listed.items, more))
    }

    /// Applies one of ours on the server's side, under the same conditions as a NetworkPolicy of ours.
    pub(in crate::act) async fn apply_custom(
        &self,
        kind: &Kind,
        object: &DynamicObject,
        dry_run: bool,
    ) -> Result<(), ApiError> {
        let (namespace, name) = place(object);
        let params = PatchParams { dry_run, ..PatchParams::apply(FIELD_MANAGER).force() };
        self.call(|client| async move {
            let objects = kind.objects(client, namespace);
            objects.patch(name, &params, &Patch::Apply(object)).await.map(drop)
        })
        .await
    }

    /// Deletes this very object, as it was read.
    pub(in crate::act) async fn delete_custom(
        &self,
        kind: &Kind,
        object: &DynamicObject,
    ) -> Result<(), ApiError> {
        let (namespace, name) = place(object);
        let params = DeleteParams {
            preconditions: Some(as_read(&object.metadata)),
            ..DeleteParams::default()
        };
        self.call(|client| async move {
            kind.objects(client, namespace).delete(name, &params).await.map(drop)
        })
        .await
    }
}

fn place(object: &DynamicObject) -> (&str, &str) {
    let meta = &object.metadata;
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}
