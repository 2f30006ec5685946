//! The calls on stored responses, in the namespace that they are kept in.

use std::time::Duration;

use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use tokio::{sync::Mutex, time::Instant};

use super::object::StoredResponse;
use crate::act::{
    api::{Api, ApiError, Class, Permission},
    outcome::Failure,
};

const GROUP: &str = "stoop.dev";
const VERSION: &str = "stoop.dev/v1alpha1";
const PLURAL: &str = "responses";

/// How many objects one page of a list holds.
const PAGE: u32 = 100;

/// For how long the cluster is taken to lack the definition once it did: it may be installed, and an API server that has
/// just started may not know of it yet.
const LACKING: Duration = Duration::from_secs(30);

/// Where the objects of a cluster are kept.
pub struct Shelf {
    api: Api,
    namespace: String,
    definition: Mutex<Definition>,
}

/// What was last seen of the definition.
#[derive(Debug, Default)]
enum Definition {
    #[default]
    Unknown,
    There,
    Lacking(Instant),
}

impl Shelf {
    /// In this namespace.
    pub fn new(api: Api, namespace: impl Into<String>) -> Shelf {
        Shelf { api, namespace: namespace.into(), definition: Mutex::default() }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// Whether the cluster has the definition. That it has is asked once; that it hasn't again from time to time.
    ///
    /// # Errors
    ///
    /// Where the API server can't be asked.
    pub async fn is_there(&self) -> Result<bool, Failure> {
        self.is_there_after(LACKING).await
    }

    /// The same for what fails without: no answer of an earlier moment is good enough for that.
    ///
    /// # Errors
    ///
    /// Where the API server can't be asked.
    pub(super) async fn is_there_now(&self) -> Result<bool, Failure> {
        self.is_there_after(Duration::ZERO).await
    }

    async fn is_there_after(&self, lacking: Duration) -> Result<bool, Failure> {
        let mut known = self.definition.lock().await;
        match *known {
            Definition::There => return Ok(true),
            Definition::Lacking(since) if since.elapsed() < lacking => return Ok(false),
            Definition::Lacking(_) | Definition::Unknown => {}
        }
        let is_there = self.look().await?;
        *known = match is_there {
            true => Definition::There,
            false => Definition::Lacking(Instant::now()),
        };
        Ok(is_there)
    }

    async fn look(&self) -> Result<bool, ApiError> {
        // A group that isn't served at all is answered as a load balancer would: only the list of groups can be trusted.
        let groups = self.api.call(|client| async move { client.list_api_groups().await }).await;
        let groups = match groups {
            Err(error) if *error.class() == Class::NotFound => return Ok(false),
            groups => groups?.groups,
        };
        let mut versions = groups.iter().filter(|it| it.name == GROUP).flat_map(|it| &it.versions);
        if !versions.any(|version| version.group_version == VERSION) {
            return Ok(false);
        }
        let served =
            self.api.call(|client| async move { client.list_api_group_resources(VERSION).await });
        Ok(served.await?.resources.iter().any(|resource| resource.name == PLURAL))
    }

    /// One object; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Where it can't be read.
    pub async fn get(&self, name: &str) -> Result<Option<StoredResponse>, ApiError> {
        let read = self.api.call(|client| async move { self.objects(client).get(name).await });
        match read.await {
            Ok(object) => Ok(Some(object)),
            Err(error) if *error.class() == Class::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All that have this label, or all there are.
    ///
    /// # Errors
    ///
    /// Where they can't be read.
    pub async fn list(&self, label: Option<&str>) -> Result<Vec<StoredResponse>, ApiError> {
        let mut all = Vec::new();
        self.for_each(label, |stored| all.push(stored)).await?;
        Ok(all)
    }

    /// Shows each that has this label, or each there is: no more than a page of whole ones is held at a time, and an event
    /// that one holds makes it a hundred kilobytes.
    ///
    /// # Errors
    ///
    /// Where they can't be read, or not to the end.
    pub async fn for_each(
        &self,
        label: Option<&str>,
        mut show: impl FnMut(StoredResponse) + Send,
    ) -> Result<(), ApiError> {
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = label.map(str::to_owned);
        loop {
            let asked = &params;
            let page =
                self.api.call(|client| async move { self.objects(client).list(asked).await });
            let page = page.await?;
            page.items.into_iter().for_each(&mut show);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(());
            }
        }
    }

    /// Makes one; 409 where there is one.
    pub(super) async fn create(&self, object: &StoredResponse) -> Result<StoredResponse, ApiError> {
        let params = PostParams::default();
        let made = self
            .api
            .call(|client| async move { self.objects(client).create(&params, object).await });
        made.await
    }

    /// Writes metadata and spec, if nobody else has written since: 409 then.
    pub(super) async fn replace(
        &self,
        object: &StoredResponse,
    ) -> Result<StoredResponse, ApiError> {
        self.replace_as("stoop", object).await
    }

    /// The same under another name, so that the API server tells when that one wrote last.
    pub(super) async fn replace_as(
        &self,
        manager: &str,
        object: &StoredResponse,
    ) -> Result<StoredResponse, ApiError> {
        let params =
            PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
        let name = name_of(object);
        let written = self.api.call(|client| async move {
            self.objects(client).replace(name, &params, object).await
        });
        written.await
    }

    /// Writes the status, if nobody else has written since: 409 then.
    pub(super) async fn replace_status(
        &self,
        object: &StoredResponse,
    ) -> Result<StoredResponse, ApiError> {
        let (name, params) = (name_of(object), PostParams::default());
        let written = self.api.call(|client| async move {
            self.objects(client).replace_status(name, &params, object).await
        });
        written.await
    }

    /// Deletes this very version of an object.
    pub(super) async fn delete(&self, version: &Version) -> Result<(), ApiError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: version.uid.clone(),
                resource_version: version.resource_version.clone(),
            }),
            ..DeleteParams::default()
        };
        let deleted = self.api.call(|client| async move {
            self.objects(client).delete(&version.name, &params).await.map(drop)
        });
        deleted.await
    }

    fn objects(&self, client: kube::Client) -> kube::Api<StoredResponse> {
        kube::Api::namespaced(client, &self.namespace)
    }
}

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) name: String,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Version {
    /// The one that was read.
    pub(super) fn of(object: &StoredResponse) -> Version {
        Version {
            name: name_of(object).to_owned(),
            uid: object.metadata.uid.clone(),
            resource_version: object.metadata.resource_version.clone(),
        }
    }
}

/// A right on the objects of a namespace.
pub(super) fn permission(namespace: &str, resource: &str, verb: &str) -> Permission {
    let namespace = Some(namespace.to_owned());
    Permission { namespace, ..Permission::new(GROUP, resource, verb) }
}

/// An object without a name is on no shelf.
fn name_of(object: &StoredResponse) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}
