//! `stoop rbac`: the least roles for the playbooks and guardrails that are configured.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use playbooks::{
    act::{Bound, PlaybookKind, Records, Registry, Roles},
    decide::{Texts, read_paths},
};

use super::{ConfigArgs, Ended, output::write};
use crate::worker::{assemble, rules::Rules};

/// Print the least ClusterRole and Roles for these playbooks, and the bindings.
///
/// Only reads the configuration; no cluster is asked.
#[derive(Debug, Args)]
#[command(after_help = "\
Each rule says which playbook and action it is for. A playbook in mode observe takes no more than to find its target:
print the roles again before it acts. Without --service-account they are bound to `stoop` in stoop's own namespace.

Examples:
  stoop rbac -c stoop.yaml | kubectl apply -f -
  stoop rbac --service-account security/stoop --name stoop-prod > roles.yaml
  stoop rbac --objects ./objects          and what playbooks take that are objects of the cluster
  stoop check --cluster                   asks the API server whether all of it is granted")]
pub struct Rbac {
    #[command(flatten)]
    config: ConfigArgs,

    /// Files, and folders of them, with playbooks that are objects of the cluster: a `Playbook` takes rights in its own
    /// namespace alone
    #[arg(long, value_name = "PATH")]
    objects: Vec<PathBuf>,

    /// Who is bound to the roles
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = account)]
    service_account: Option<(String, String)>,

    /// What the roles and bindings are called
    #[arg(long, default_value = "stoop")]
    name: String,
}

impl Rbac {
    pub(super) fn run(self) -> Ended {
        let config = self.config.load()?;
        let resources = assemble::resources(&config)?;
        let mut playbooks = read_paths(&config.playbooks)?;
        playbooks.extend(Texts::of(&self.objects).read_objects()?);
        let rules = Rules::of(playbooks, &Registry::standard(), &resources)?;
        let guardrails = assemble::guardrails(&config)?;
        let (namespace, account) =
            self.service_account.unwrap_or_else(|| (config.namespace.clone(), "stoop".to_owned()));
        let bound = Bound { role: &self.name, namespace: &namespace, account: &account };
        let mut rights = rules.rights(&guardrails);
        rights.extend(resources.notifiers.rights());
        // An object that needs them may come at any time.
        if config.playbook_objects || rules.plans().iter().any(|plan| plan.is_recorded()) {
            rights.extend(Records::rights(&config.namespace));
        }
        if config.playbook_objects {
            rights.extend(PlaybookKind::rights());
        }
        let roles = Roles::granting(rights);
        write(roles.to_yaml(&bound).as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn account(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write it as NAMESPACE/NAME".to_owned()),
    }
}
