//! Takes an isolation back: what is still ours of it, and nothing else.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use super::{
    quarantine::{Reach, is_changed_by_others, is_ours},
    served,
};
use crate::act::{
    api::{Api, ApiError, Class, Permission, Relabel},
    object::Uid,
    outcome::Failure,
    target::{Id, KEPT, Kept, QUARANTINE},
};

/// How often others may change what was seen, before it is left to a later try.
const ROUNDS: usize = 5;

/// Which pod was isolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolated {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid: a successor of the same name was never isolated.
    pub uid: Uid,
}

impl Isolated {
    /// The pod that has this name now; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Where it can't be read.
    pub async fn live(api: &Api, namespace: &str, name: &str) -> Result<Option<Isolated>, Failure> {
        let pod = api.pod(namespace, name).await?;
        Ok(pod.and_then(|pod| pod.metadata.uid).map(|uid| Isolated {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: Uid::new(uid),
        }))
    }

    /// The rights that taking it back needs, beyond reading the pod.
    pub fn permissions() -> Vec<Permission> {
        vec![
            Permission::new("", "pods", "patch"),
            Permission::new("networking.k8s.io", "networkpolicies", "list"),
            Permission::new("networking.k8s.io", "networkpolicies", "delete"),
        ]
    }
}

/// What taking an isolation back came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reverted {
    /// The labels that the pod has again.
    pub restored: Vec<String>,
    /// The labels that somebody has set since: theirs are kept.
    pub kept: Vec<String>,
    /// The policies that were deleted.
    pub deleted: Vec<String>,
    /// The policies of ours that somebody has changed since: they are left.
    pub left: Vec<String>,
    /// True where anything was changed at all.
    pub changed: bool,
}

impl Reverted {
    /// What was found of the isolation, in words for an operator, and the names of it.
    pub fn found(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        let all: [(_, &[String]); 4] = [
            ("labels that it has again", &self.restored),
            ("labels that somebody has set since, kept", &self.kept),
            ("policies deleted", &self.deleted),
            ("policies that somebody has changed since, left: delete them by hand", &self.left),
        ];
        all.into_iter().filter(|(_, names)| !names.is_empty())
    }

    fn take(&mut self, name: String, deleted: Result<(), ApiError>) -> Result<(), Failure> {
        match deleted {
            Ok(()) => {
                self.deleted.push(name);
                self.changed = true;
                Ok(())
            }
            Err(error) if *error.class() == Class::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Gives the pod its labels back and deletes our policies for it.
///
/// The labels come first: the pod goes from our policy's hands into those of the ones that held it before, with
/// nothing between. Safe to repeat: what is no longer ours is not touched.
///
/// # Errors
///
/// Where the API server can't be asked or refuses.
pub async fn revert(api: &Api, isolated: &Isolated) -> Result<Reverted, Failure> {
    let mut done = Reverted::default();
    release(api, isolated, &mut done).await?;
    for policy in api.policies(&isolated.namespace).await? {
        if !is_ours(&policy.metadata, isolated.uid.as_str()) {
            continue;
        }
        let name = policy.metadata.name.clone().unwrap_or_default();
        if is_changed_by_others(&policy.metadata) {
            done.left.push(name);
            continue;
        }
        let deleted = api.delete_policy(&policy).await;
        done.take(name, deleted)?;
    }
    for tier in served::ask(api).await? {
        let kind = tier.kind();
        let name = Reach::Pod(Id::of(&isolated.uid)).policy_name();
        let stored = match api.custom(kind, &isolated.namespace, &name).await {
            Ok(stored) => stored,
            // What we were never granted we have never made; were it there all the same, it holds nobody any more.
            Err(error) if error.code() == Some(403) => continue,
            Err(error) => return Err(error.into()),
        };
        let Some(policy) = stored.filter(|it| is_ours(&it.metadata, isolated.uid.as_str())) else {
            continue;
        };
        let name = format!("{} {name}", kind.kind);
        if is_changed_by_others(&policy.metadata) {
            done.left.push(name);
            continue;
        }
        let deleted = api.delete_custom(kind, &policy).await;
        done.take(name, deleted)?;
    }
    Ok(done)
}

async fn release(api: &Api, isolated: &Isolated, done: &mut Reverted) -> Result<(), Failure> {
    let at = (isolated.namespace.as_str(), isolated.name.as_str());
    let mut last = None;
    for _ in 0..ROUNDS {
        let Some(pod) = api.pod(at.0, at.1).await? else { return Ok(()) };
        if pod.metadata.uid.as_deref() != Some(isolated.uid.as_str()) {
            return Ok(());
        }
        let Some(release) = plan(&pod, &isolated.uid) else { return Ok(()) };
        match api.relabel_pod(at, &isolated.uid, &release.relabel, false).await {
            Ok(()) => {
                done.restored = release.restored;
                done.kept = release.kept;
                done.changed = true;
                return Ok(());
            }
            // Another version, another uid, or gone: the next look tells.
            Err(error) if matches!(error.class(), Class::Conflict | Class::NotFound) => {
                last = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let why = last.map(|error| error.to_string()).unwrap_or_default();
    Err(Failure::transient(format!("the pod {}/{} does not come to rest: {why}", at.0, at.1)))
}

/// What gives a pod back what is its own.
struct Release {
    relabel: Relabel,
    restored: Vec<String>,
    kept: Vec<String>,
}

/// `None` where nothing of ours is on the pod.
fn plan(pod: &Pod, uid: &Uid) -> Option<Release> {
    let id = Id::of(uid);
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let is_marked = labels.get(QUARANTINE).is_some_and(|value| value == id.as_str());
    let kept = Kept::of(pod, &id);
    if !is_marked && kept.is_none() {
        return None;
    }
    let mut changes = BTreeMap::new();
    if is_marked {
        changes.insert(QUARANTINE.to_owned(), None);
    }
    let (mut restored, mut theirs) = (Vec::new(), Vec::new());
    for (key, value) in kept.iter().flat_map(|kept| &kept.labels) {
        let ours_to_set = match labels.get(key) {
            None => true,
            Some(_) => key == QUARANTINE && is_marked,
        };
        match ours_to_set {
            true => {
                changes.insert(key.clone(), Some(value.clone()));
                restored.push(key.clone());
            }
            false => theirs.push(key.clone()),
        }
    }
    let annotations = match kept {
        Some(_) => BTreeMap::from([(KEPT.to_owned(), None)]),
        None => BTreeMap::new(),
    };
    let relabel = Relabel {
        resource_version: pod.metadata.resource_version.clone().unwrap_or_default(),
        labels: changes,
        annotations,
    };
    Some(Release { relabel, restored, kept: theirs })
}
