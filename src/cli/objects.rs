//! The playbooks that are objects of the cluster, each as a worker would judge it beside those of the files.

use std::sync::Arc;

use playbooks::{
    act::{Api, Key, Plan, PlaybookKind, PlaybookObject, Registry, Resources, list_playbooks},
    decide::PlaybookErrors,
};

use super::Refused;
use crate::worker::rules::Rules;

/// How an object or its kind stands.
pub(super) enum Found {
    /// It is in force.
    InForce(Key, Arc<Plan>),
    /// It is not, and why.
    NotInForce(String),
    /// The cluster doesn't know the kind, and before it does no worker takes anything in.
    Undefined(PlaybookKind),
}

/// Looks at all of them.
///
/// # Errors
/// They can't be listed.
pub(super) async fn look(
    api: &Api,
    files: &Rules,
    registry: &Registry,
    resources: &Resources,
) -> Result<Vec<Found>, Refused> {
    let mut found = Vec::new();
    for kind in PlaybookKind::ALL {
        match list_playbooks(api, kind).await? {
            None => found.push(Found::Undefined(kind)),
            Some(objects) => {
                found.extend(objects.iter().map(|it| judge(it, files, registry, resources)));
            }
        }
    }
    Ok(found)
}

fn judge(
    object: &PlaybookObject,
    files: &Rules,
    registry: &Registry,
    resources: &Resources,
) -> Found {
    let key = &object.key;
    match bind(object, registry, resources) {
        Err(errors) => Found::NotInForce(errors.to_string()),
        Ok(plan) if is_named(files, &plan) => {
            Found::NotInForce(format!("{key}: a file's playbook has its name"))
        }
        Ok(plan) => Found::InForce(key.clone(), plan),
    }
}

fn bind(
    object: &PlaybookObject,
    registry: &Registry,
    resources: &Resources,
) -> Result<Arc<Plan>, PlaybookErrors> {
    registry.bind(&Arc::new(object.read()?), resources).map(Arc::new)
}

fn is_named(files: &Rules, plan: &Plan) -> bool {
    files.plans().iter().any(|file| file.playbook.name == plan.playbook.name)
}
