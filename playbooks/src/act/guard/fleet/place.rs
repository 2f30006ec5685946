//! Where a ledger is kept: a ConfigMap, read, and written for the very version that was read.

use std::fmt;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::api::PostParams;
use tokio::time::Instant;

use super::ledger::Ledger;
use crate::act::{
    api::{Api, ApiError, Class},
    outcome::Failure,
};

/// The key that holds the ledger.
const KEY: &str = "tokens";

/// Who wrote it, for people who look at `managedFields`.
const FIELD_MANAGER: &str = "stoop-budget";

/// The label that the field agrees on.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// A ConfigMap of ours.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A ledger, and the version that it was.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) ledger: Ledger,
    /// `None` where there is no object yet.
    pub(super) version: Option<String>,
    pub(super) read: Instant,
}

/// What became of one write.
pub(super) enum Written {
    Done(Known),
    /// Another worker has written meanwhile: what was known is not so any more.
    Raced,
}

impl Place {
    pub(super) async fn read(&self, api: &Api) -> Result<Known, Failure> {
        let read = Instant::now();
        let found = api
            .call(|client| async move {
                let maps = kube::Api::<ConfigMap>::namespaced(client, &self.namespace);
                maps.get_opt(&self.name).await
            })
            .await;
        match found.map_err(|error| self.unusable("can't be read", error))? {
            None => Ok(Known { ledger: Ledger::default(), version: None, read }),
            Some(map) => Ok(Known {
                version: map.metadata.resource_version.clone(),
                ledger: self.understand(map)?,
                read,
            }),
        }
    }

    pub(super) async fn write(
        &self,
        api: &Api,
        ledger: Ledger,
        version: Option<String>,
    ) -> Result<Written, Failure> {
        let read = Instant::now();
        let is_new = version.is_none();
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some([(MANAGED_BY.to_owned(), "stoop".to_owned())].into()),
                // Without one, an update would be written over whatever is there.
                resource_version: version,
                ..ObjectMeta::default()
            },
            data: Some([(KEY.to_owned(), ledger.to_text())].into()),
            ..ConfigMap::default()
        };
        let manager = Some(FIELD_MANAGER.to_owned());
        let params = PostParams { field_manager: manager, ..PostParams::default() };
        let written = api
            .call(|client| async move {
                let maps = kube::Api::<ConfigMap>::namespaced(client, &self.namespace);
                match is_new {
                    true => maps.create(&params, &map).await,
                    false => maps.replace(&self.name, &params, &map).await,
                }
            })
            .await;
        match written {
            Ok(map) => {
                let version = map.metadata.resource_version;
                Ok(Written::Done(Known { ledger, version, read }))
            }
            Err(error) if *error.class() == Class::Conflict => Ok(Written::Raced),
            // Taken away since it was read. Where there was none, the namespace is missing.
            Err(error) if *error.class() == Class::NotFound && !is_new => Ok(Written::Raced),
            Err(error) => Err(self.unusable("can't be written", error)),
        }
    }

    fn understand(&self, map: ConfigMap) -> Result<Ledger, Failure> {
        let Some(text) = map.data.and_then(|mut data| data.remove(KEY)) else {
            return Ok(Ledger::default());
        };
        Ledger::read(&text).map_err(|error| {
            let why = format!("{self} can't be understood: {error}; delete it to begin anew");
            Failure::transient(why)
        })
    }

    fn unusable(&self, what: &str, error: ApiError) -> Failure {
        let hint = match error.class() {
            Class::NotFound => format!("; is there a namespace {}?", self.namespace),
            _ => String::new(),
        };
        let failure = Failure::from(error);
        let why = format!("{self} {what}: {failure}{hint}");
        Failure { why, ..failure }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ConfigMap {}/{} of the budget", self.namespace, self.name)
    }
}
