//! `stoop check --cluster`: the playbooks that are objects, each as a worker would judge it.

use std::sync::Arc;

use playbooks::{
    act::{Api, Plan, PlaybookKind, PlaybookObject, Registry, Resources, list_playbooks},
    decide::PlaybookErrors,
};

use crate::{
    cli::{Refused, output::say},
    worker::rules::Rules,
};

/// What there is of them.
pub(super) struct Objects {
    /// The good ones that no file stands in for.
    pub(super) plans: Vec<Arc<Plan>>,
    /// How many are not in force.
    pub(super) bad: usize,
}

/// Looks at all of them, and says how each stands beside those of the files.
pub(super) async fn look(
    api: &Api,
    files: &Rules,
    registry: &Registry,
    resources: &Resources,
) -> Result<Objects, Refused> {
    say("playbooks as objects")?;
    let mut found = Objects { plans: Vec::new(), bad: 0 };
    for kind in PlaybookKind::ALL {
        let Some(objects) = list_playbooks(api, kind).await? else {
            say(format_args!("  {kind}: not defined, `stoop crds | kubectl apply -f -`"))?;
            continue;
        };
        for object in objects {
            let key = &object.key;
            match judge(&object, registry, resources) {
                Err(errors) => {
                    found.bad += 1;
                    say(format_args!("  NOT in force: {errors}"))?;
                }
                Ok(plan) if is_named(files, &plan) => {
                    found.bad += 1;
                    say(format_args!("  NOT in force: {key}: a file's playbook has its name"))?;
                }
                Ok(plan) => {
                    let mode = plan.playbook.mode.as_str();
                    say(format_args!("  {key} ({mode}): {}", plan.describe().join(", then ")))?;
                    found.plans.push(plan);
                }
            }
        }
    }
    Ok(found)
}

fn judge(
    object: &PlaybookObject,
    registry: &Registry,
    resources: &Resources,
) -> Result<Arc<Plan>, PlaybookErrors> {
    registry.bind(&Arc::new(object.read()?), resources).map(Arc::new)
}

fn is_named(files: &Rules, plan: &Plan) -> bool {
    files.plans().iter().any(|file| file.playbook.name == plan.playbook.name)
}
