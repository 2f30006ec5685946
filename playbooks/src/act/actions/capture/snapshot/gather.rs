//! What the API server is asked for a snapshot: events, the node, the owners.

use k8s_openapi::api::core::v1::{Event, Node};
use kube::{
    api::ListParams,
    core::{Request, params::GetParams},
};
use serde_json::{Value, json};

use crate::{
    act::{
        api::{Api, ApiError, Permission, Place},
        outcome::Failure,
        target::Verified,
    },
    decide::is_subdomain,
};

/// More are of no use, and would be the attacker's choice.
const MOST_EVENTS: u32 = 500;

/// Kinds of owners that can be read without asking the server what it serves: API version, kind, plural.
const OWNERS: [(&str, &str, &str); 6] = [
    ("apps/v1", "ReplicaSet", "replicasets"),
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("batch/v1", "Job", "jobs"),
    ("batch/v1", "CronJob", "cronjobs"),
];

/// The owner, and its owner.
const LEVELS: usize = 2;

pub(super) fn permissions() -> Vec<Permission> {
    let owners = OWNERS.iter().map(|(version, _, plural)| {
        let group = version.split('/').next().unwrap_or_default();
        Permission::new(group, plural, "get")
    });
    let more = [Permission::new("", "events", "list"), Permission::new("", "nodes", "get")];
    owners.chain(more).collect()
}

/// The API server, for what is in one namespace.
pub(super) struct Source<'a> {
    pub(super) api: &'a Api,
    pub(super) namespace: &'a str,
}

/// Something that was read, and how it was cut, where it was.
pub(super) struct Read {
    pub(super) document: Value,
    pub(super) cut: Option<String>,
}

impl From<Value> for Read {
    fn from(document: Value) -> Read {
        Read { document, cut: None }
    }
}

/// Whose events.
pub(super) enum Events<'a> {
    /// Nobody else's.
    OfUid(&'a str),
    /// Of all pods that had the name.
    OfName(&'a str),
}

/// An owner that is looked for.
struct Wanted {
    version: String,
    kind: String,
    name: String,
    uid: String,
}

impl Source<'_> {
    /// The Kubernetes events about the pod.
    pub(super) async fn events(&self, which: Events<'_>) -> Result<Read, ApiError> {
        let selector = match which {
            Events::OfUid(uid) => format!("involvedObject.uid={uid}"),
            Events::OfName(name) => format!("involvedObject.kind=Pod,involvedObject.name={name}"),
        };
        let params = ListParams::default().fields(&selector).limit(MOST_EVENTS);
        let listed = self
            .api
            .call(|client| async move {
                kube::Api::<Event>::namespaced(client, self.namespace).list(&params).await
            })
            .await?;
        let more = listed.metadata.continue_.is_some_and(|token| !token.is_empty());
        let cut = more.then(|| format!("cut at {MOST_EVENTS} events"));
        Ok(Read { document: json!({"events": listed.items, "more": more}), cut })
    }

    /// Of the node what tells its state, and no more.
    pub(super) async fn node(&self, name: &str) -> Result<Value, ApiError> {
        let Some(node) = self.api.live::<Node>(Place { namespace: None, name }).await? else {
            return Err(Failure::permanent(format!("there is no node {name}")).into());
        };
        let (spec, status) = (node.spec.unwrap_or_default(), node.status.unwrap_or_default());
        Ok(json!({
            "name": node.metadata.name, "uid": node.metadata.uid, "labels": node.metadata.labels,
            "taints": spec.taints, "unschedulable": spec.unschedulable,
            "conditions": status.conditions, "nodeInfo": status.node_info,
            "addresses": status.addresses,
        }))
    }

    /// The pod's owner and the owner's, by the name of the file that each is kept in.
    pub(super) async fn owners(&self, target: &Verified) -> Vec<(String, Result<Value, ApiError>)> {
        let mut found = Vec::new();
        let mut wanted = target.owner().map(|owner| Wanted {
            version: owner.api_version.clone(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        });
        while let Some(owner) = wanted.take() {
            let read = self.owner(&owner).await;
            if found.len() + 1 < LEVELS {
                wanted = read.as_ref().ok().and_then(controller);
            }
            found.push((format!("owner-{}.json", found.len() + 1), read));
        }
        found
    }

    async fn owner(&self, owner: &Wanted) -> Result<Value, ApiError> {
        let Wanted { version, kind, name, uid } = owner;
        let known = OWNERS.iter().find(|(of, named, _)| of == version && named == kind);
        // Whoever makes a pod can write any name into its ownerReferences, and this one becomes a path.
        let (Some((_, _, plural)), true) = (known, is_subdomain(name)) else {
            return Err(Failure::permanent(format!("{kind} {name} is not read")).into());
        };
        let url = format!("/apis/{version}/namespaces/{}/{plural}", self.namespace);
        let object: Value = self
            .api
            .call(|client| async move {
                let request = Request::new(url).get(name, &GetParams::default());
                client.request(request.map_err(kube::Error::BuildRequest)?).await
            })
            .await?;
        if object.pointer("/metadata/uid").and_then(Value::as_str) != Some(uid.as_str()) {
            return Err(Failure::permanent(format!("{kind} {name} is another one by now")).into());
        }
        Ok(object)
    }
}

fn controller(object: &Value) -> Option<Wanted> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    let text = |key: &str| owner.get(key)?.as_str().map(str::to_owned);
    Some(Wanted {
        version: text("apiVersion")?,
        kind: text("kind")?,
        name: text("name")?,
        uid: text("uid")?,
    })
}
