//! What is answered, and how: the playbooks in force.

use std::{path::PathBuf, sync::Arc};

use playbooks::{
    act::{Guardrails, Plan, Registry, Resources, Right},
    decide::{Approval, Candidate, Matcher, Mode, Playbook, PlaybookErrors, yaml},
};

/// The playbooks in force, indexed for matching, with their actions configured.
pub struct Rules {
    /// Finds the playbooks that want an event.
    pub matcher: Matcher,
    plans: Vec<Arc<Plan>>,
}

impl Rules {
    /// Reads the playbooks of `paths`, files and folders.
    ///
    /// # Errors
    /// Every fault of every file, each with its place and the fix.
    pub fn read(
        paths: &[PathBuf],
        registry: &Registry,
        resources: &Resources,
    ) -> Result<Self, PlaybookErrors> {
        Self::of(playbooks::decide::read_paths(paths)?, registry, resources)
    }

    /// Takes playbooks that were read already.
    ///
    /// # Errors
    /// An action that is not known, or a fault of its configuration.
    pub fn of(
        playbooks: Vec<Arc<Playbook>>,
        registry: &Registry,
        resources: &Resources,
    ) -> Result<Self, PlaybookErrors> {
        for playbook in &playbooks {
            // Who only observes changes nothing, so nobody has to be asked.
            if playbook.approval == Approval::Required && playbook.mode != Mode::Observe {
                let at = yaml::Path::root().key("spec").key("approval");
                let fix = "take it away, or use `mode: observe`: approvals are not in this version";
                return Err(playbook.error_at(&at, "nobody could be asked", fix).into());
            }
        }
        let matcher = Matcher::new(playbooks);
        let plans = matcher
            .playbooks()
            .iter()
            .map(|playbook| registry.bind(playbook, resources).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self { matcher, plans })
    }

    /// The plan of a playbook that wants an event.
    pub fn plan(&self, candidate: &Candidate) -> &Arc<Plan> {
        match self.plans.get(candidate.position) {
            Some(plan) => plan,
            // Positions are those of the matcher that the plans were made from.
            None => unreachable!("every playbook in force has a plan"),
        }
    }

    /// The plans, in order of name.
    pub fn plans(&self) -> &[Arc<Plan>] {
        &self.plans
    }

    /// The rights that the playbooks take on the API server as far as they go, and the guardrails with them.
    pub fn rights(&self, guardrails: &Guardrails) -> Vec<Right> {
        let plans = || self.plans.iter().map(|plan| &**plan);
        plans().flat_map(Plan::rights).chain(guardrails.rights(plans())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mode: &str) -> Result<Rules, PlaybookErrors> {
        let text = format!(
            "apiVersion: stoop.dev/v1alpha1\nkind: Playbook\nmetadata: {{name: p}}\n\
             spec: {{mode: {mode}, approval: required, match: {{rules: R}}, actions: [delete]}}\n"
        );
        let playbooks = playbooks::decide::read_text("p.yaml", &text)?;
        Rules::of(playbooks, &Registry::standard(), &Resources::default())
    }

    #[test]
    fn what_needs_an_approval_may_be_watched() {
        assert_eq!(read("observe").expect("it is taken").plans().len(), 1);
    }

    #[test]
    fn what_needs_an_approval_is_refused_where_something_is_done_without() {
        for mode in ["dryRun", "enforce"] {
            let Err(errors) = read(mode) else { panic!("{mode} is taken") };
            let errors = errors.to_string();
            assert!(errors.starts_with("p.yaml:4:"), "{errors}");
            assert!(errors.contains("nobody could be asked"), "{errors}");
            assert!(errors.contains("mode: observe"), "{errors}");
        }
    }
}
