//! The playbooks that are objects of the cluster, each as a worker would judge it beside those of the files.

use std::sync::Arc;

use playbooks::{
    act::{Api, Key, Plan, PlaybookKind, PlaybookObject, Registry, Resources, list_playbooks},
    decide::PlaybookErrors,
};

use super::Refused;
use crate::{
    config::Config,
    worker::{assemble, responses, rules::Rules},
};

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
/// They can't be listed, or whether the cluster keeps Responses can't be told.
pub(super) async fn look(
    api: &Api,
    config: &Config,
    files: &Rules,
    registry: &Registry,
    resources: &Resources,
) -> Result<Vec<Found>, Refused> {
    let keeps = assemble::records(config, api.clone(), "cli")?.shelf().is_there().await?;
    let bind = |object: &PlaybookObject| {
        let plan = registry.bind(&Arc::new(object.read()?), resources).map(Arc::new)?;
        if !keeps {
            responses::refuse(std::slice::from_ref(&plan))?;
        }
        Ok(plan)
    };
    let mut found = Vec::new();
    for kind in PlaybookKind::ALL {
        match list_playbooks(api, kind).await? {
            None => found.push(Found::Undefined(kind)),
            Some(objects) => {
                found.extend(objects.iter().map(|it| judge(&it.key, bind(it), files)));
            }
        }
    }
    Ok(found)
}

fn judge(key: &Key, bound: Result<Arc<Plan>, PlaybookErrors>, files: &Rules) -> Found {
    match bound {
        Err(errors) => Found::NotInForce(errors.to_string()),
        Ok(plan) if is_named(files, &plan) => {
            Found::NotInForce(format!("{key}: a file's playbook has its name"))
        }
        Ok(plan) => Found::InForce(key.clone(), plan),
    }
}

fn is_named(files: &Rules, plan: &Plan) -> bool {
    files.plans().iter().any(|file| file.playbook.name == plan.playbook.name)
}
