//! An object as it comes from the API server, of which no more is made than what tells it from others.
//!
//! What somebody wrote into it stays a text until it is read: as values it could take a hundred times as much, and a page of
//! a list holds many.

use std::{borrow::Cow, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource, api::ApiResource, core::DynamicResourceScope};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// One of a list, or of a watch.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    metadata: ObjectMeta,
    status: Option<Box<RawValue>>,
    /// All but status and metadata, as it was written.
    said: Vec<(String, Box<RawValue>)>,
}

/// What is taken of its metadata: managed fields and annotations can be as large as all the rest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    generation: Option<i64>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
}

impl Listed {
    /// Its metadata, and the texts of its status and of all that was written into it.
    pub(super) fn into_parts(self) -> (ObjectMeta, Option<Box<RawValue>>, Box<str>) {
        let keys = self.said.iter().map(|(key, value)| {
            format!("{}:{}", serde_json::Value::from(key.as_str()), value.get())
        });
        let said = format!("{{{}}}", keys.collect::<Vec<_>>().join(","));
        (self.metadata, self.status, said.into())
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Listed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
                let mut listed = Listed::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "apiVersion" | "kind" => drop(map.next_value::<IgnoredAny>()?),
                        "metadata" => listed.metadata = map.next_value::<Meta>()?.into(),
                        "status" => listed.status = map.next_value()?,
                        _ => listed.said.push((key, map.next_value()?)),
                    }
                }
                Ok(listed)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl From<Meta> for ObjectMeta {
    fn from(meta: Meta) -> Self {
        Self {
            name: meta.name,
            namespace: meta.namespace,
            uid: meta.uid,
            generation: meta.generation,
            resource_version: meta.resource_version,
            creation_timestamp: meta.creation_timestamp,
            deletion_timestamp: meta.deletion_timestamp,
            ..Self::default()
        }
    }
}

impl Resource for Listed {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn group(of: &ApiResource) -> Cow<'_, str> {
        of.group.as_str().into()
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        of.version.as_str().into()
    }

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        of.kind.as_str().into()
    }

    fn api_version(of: &ApiResource) -> Cow<'_, str> {
        of.api_version.as_str().into()
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        of.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
