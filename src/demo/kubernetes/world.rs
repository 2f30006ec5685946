//! The whole API without the network: one request in, one answer out.

use axum::http::Method;
use serde_json::{Value, json};

use super::{
    access::{self, Rule},
    apply::{APPLY, apply},
    call::{Call, Resource, Subresource, Target},
    controllers::settle,
    create::create,
    delete,
    eviction::evict,
    kinds::RESPONSE,
    list::list,
    status::{Failure, no_such_resource, not_allowed, not_found},
    store::{Key, Store},
    update,
};

pub(super) struct World {
    pub(super) store: Store,
    pub(super) rule: Rule,
    /// True where the definition of stoop's own objects was applied.
    pub(super) keeps_responses: bool,
}

/// The code and the body of a successful answer.
pub(super) type Answer = (u16, Value);

impl World {
    pub(super) fn answer(&mut self, call: &Call) -> Result<Answer, Failure> {
        match &call.target {
            Target::Version => Ok((200, version())),
            Target::Health => Ok((200, "ok".into())),
            Target::AccessReview if call.method == Method::POST => {
                Ok((201, access::review(&self.rule, &call.user, call.json()?)?))
            }
            Target::AccessReview => Err(not_allowed()),
            Target::Groups => Ok((200, groups(self.keeps_responses))),
            Target::OwnGroup if self.keeps_responses => Ok((200, own_group())),
            Target::OwnGroup => Err(no_such_resource()),
            Target::Objects(on) if *on.kind == RESPONSE && !self.keeps_responses => {
                Err(no_such_resource())
            }
            Target::Objects(on) => {
                access::check(&self.rule, &call.access(on))?;
                let answer = objects(&mut self.store, on, call);
                // After a refusal too: an eviction may have used up a budget and then failed.
                settle(&mut self.store);
                answer
            }
        }
    }
}

fn objects(store: &mut Store, on: &Resource, call: &Call) -> Result<Answer, Failure> {
    let key = |name: &str| Key::new(on.kind, &on.namespace, name);
    let homed = on.kind.namespaced != on.namespace.is_empty();
    match (&call.method, on.name.as_deref(), on.subresource) {
        (_, None, _) if call.parameters.watch.as_deref().is_some_and(|watch| watch != "false") => {
            Err(not_allowed())
        }
        (&Method::GET, None, _) => Ok((200, list(store, on, &call.parameters)?)),
        (&Method::GET, Some(name), None | Some(Subresource::Status)) => {
            let object = store.get(&key(name)).ok_or_else(|| not_found(on.kind, name))?;
            Ok((200, if call.metadata_only { metadata_of(object) } else { object.clone() }))
        }
        (&Method::POST, None, _) if homed => {
            let dry_run = call.is_dry_run()?;
            Ok((201, create(store, on.kind, &on.namespace, call.json()?, dry_run)?))
        }
        (&Method::POST, Some(name), Some(Subresource::Eviction)) => {
            Ok((201, evict(store, on, name, call)?))
        }
        (&Method::PUT, Some(name), None | Some(Subresource::Status)) => {
            Ok((200, update::replace(store, on, name, call)?))
        }
        (&Method::PATCH, Some(name), None) if call.content_type == APPLY => {
            apply(store, on, name, call)
        }
        (&Method::PATCH, Some(name), None | Some(Subresource::Status)) => {
            Ok((200, update::patch(store, on, name, call)?))
        }
        (&Method::DELETE, Some(name), None) => {
            let options = delete::options(call)?;
            Ok((200, delete::delete(store, on.kind, &key(name), &options)?))
        }
        _ => Err(not_allowed()),
    }
}

fn metadata_of(object: &Value) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": object["metadata"],
    })
}

fn groups(keeps_responses: bool) -> Value {
    let version = json!({"groupVersion": RESPONSE.api_version(), "version": RESPONSE.version});
    let own = json!({"name": RESPONSE.group, "versions": [version], "preferredVersion": version});
    let groups = if keeps_responses { vec![own] } else { Vec::new() };
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn own_group() -> Value {
    let resource = json!({
        "name": RESPONSE.resource, "singularName": "response", "kind": RESPONSE.kind,
        "namespaced": true, "verbs": ["create", "delete", "get", "list", "update"],
    });
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": RESPONSE.api_version(),
        "resources": [resource],
    })
}

/// The release whose behaviour the contract suite holds this API to.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": "34",
        "gitVersion": "v1.34.4+stoop-demo",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "",
    })
}
