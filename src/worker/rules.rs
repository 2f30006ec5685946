//! What is answered, and how: the playbooks in force.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use playbooks::{
    act::{Guardrails, Plan, Registry, Resources, Right},
    decide::{Candidate, Matcher, Playbook, PlaybookErrors},
};

use super::sightings::Sightings;

/// How many were made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// The playbooks in force, indexed for matching, with their actions configured.
pub struct Rules {
    /// No other rules of this process have it.
    pub version: u64,
    /// Finds the playbooks that want an event.
    pub matcher: Matcher,
    plans: Vec<Arc<Plan>>,
    /// Who was verified of late, by which words, and what these playbooks made of them.
    pub sightings: Sightings,
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
        mut playbooks: Vec<Arc<Playbook>>,
        registry: &Registry,
        resources: &Resources,
    ) -> Result<Self, PlaybookErrors> {
        playbooks.sort_by(|a, b| a.name.cmp(&b.name));
        let bind = |playbook| registry.bind(playbook, resources).map(Arc::new);
        let plans = playbooks.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Self::joining(plans))
    }

    /// Of plans whose names differ.
    pub fn joining(mut plans: Vec<Arc<Plan>>) -> Self {
        // As the matcher does: a playbook's position is its plan's.
        plans.sort_by(|a, b| a.playbook.name.cmp(&b.playbook.name));
        let matcher = Matcher::new(plans.iter().map(|plan| plan.playbook.clone()).collect());
        let version = MADE.fetch_add(1, Ordering::Relaxed);
        Self { version, matcher, plans, sightings: Sightings::default() }
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
