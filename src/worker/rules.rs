//! What is answered, and how: the playbooks in force.

use std::{
    collections::HashMap,
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

/// How many plans were put in force.
static NUMBERED: AtomicU64 = AtomicU64::new(0);

/// Tells a plan from every other that this process has had in force, of the same playbook as it was written before, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlanNumber(u64);

impl PlanNumber {
    /// One that none has yet.
    pub fn next() -> Self {
        Self(NUMBERED.fetch_add(1, Ordering::Relaxed))
    }
}

/// The playbooks in force, indexed for matching, with their actions configured.
pub struct Rules {
    /// Finds the playbooks that want an event.
    pub matcher: Matcher,
    plans: Vec<Arc<Plan>>,
    /// Each plan's, by position.
    numbers: Vec<PlanNumber>,
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
        Ok(Self::joining(plans, None))
    }

    /// Of plans whose names differ. What was in force before and is the same plan goes on as it was: what it has answered
    /// counts, whichever others come and go.
    pub fn joining(mut plans: Vec<Arc<Plan>>, before: Option<&Rules>) -> Self {
        // As the matcher does: a playbook's position is its plan's.
        plans.sort_by(|a, b| a.playbook.name.cmp(&b.playbook.name));
        let matcher = Matcher::new(plans.iter().map(|plan| plan.playbook.clone()).collect());
        let known: HashMap<_, _> = before.into_iter().flat_map(Self::numbered).collect();
        let number = |plan| known.get(&Arc::as_ptr(plan)).copied().unwrap_or_else(PlanNumber::next);
        let numbers = plans.iter().map(number).collect();
        let sightings = before.map(|before| before.sightings.clone()).unwrap_or_default();
        Self { matcher, plans, numbers, sightings }
    }

    /// Each plan, as long as these rules keep it, and its number.
    fn numbered(&self) -> impl Iterator<Item = (*const Plan, PlanNumber)> {
        self.plans.iter().map(Arc::as_ptr).zip(self.numbers.iter().copied())
    }

    /// The number of the plan of a playbook that wants an event.
    pub fn number(&self, candidate: &Candidate) -> PlanNumber {
        match self.numbers.get(candidate.position) {
            Some(number) => *number,
            None => unreachable!("every plan in force has a number"),
        }
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
