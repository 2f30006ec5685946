//! From a playbook's steps to actions that can run.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    action::Action,
    actions::{
        Capture, Captures, Cordon, Delete, Drain, Isolate, Label, Notify, OwnerLocks, Scale,
        TaintNode, Turn, What,
    },
    api::Permission,
    config::{self, ConfigError},
    notify::Notifiers,
    roles::Right,
    target::{Needs, facts_permissions},
};
use crate::decide::{BudgetScope, Mode, OnFailure, Playbook, PlaybookError, PlaybookErrors, Step};

/// What a worker's actions are configured with, beside their own keys, and share.
#[derive(Clone, Default)]
pub struct Resources {
    /// The configured notifiers.
    pub notifiers: Arc<Notifiers>,
    owner_locks: Arc<OwnerLocks>,
    /// Whether the cluster's network is known to enforce NetworkPolicies.
    enforces_policies: bool,
    node_turn: Turn,
    captures: Option<Captures>,
}

impl Resources {
    /// For one worker: keep them when playbooks are bound again, or two `minHealthy` count past each other.
    pub fn new(notifiers: Arc<Notifiers>) -> Resources {
        Resources {
            notifiers,
            owner_locks: Arc::default(),
            enforces_policies: false,
            node_turn: Turn::default(),
            captures: None,
        }
    }

    /// Whether the cluster's network is known to enforce NetworkPolicies; without it no isolation is proven.
    #[must_use]
    pub fn enforcing_policies(self, known: bool) -> Resources {
        Resources { enforces_policies: known, ..self }
    }

    /// Where captures are kept and made; without it no playbook can capture.
    #[must_use]
    pub fn capturing(self, captures: Captures) -> Resources {
        Resources { captures: Some(captures), ..self }
    }
}

type Factory =
    Box<dyn Fn(&Value, &Resources) -> Result<Arc<dyn Action>, ConfigError> + Send + Sync>;

/// Which actions there are.
pub struct Registry(BTreeMap<String, Factory>);

impl Registry {
    /// The actions that come with stoop.
    pub fn standard() -> Registry {
        Registry(BTreeMap::new())
            .with("annotate", |config, _| Ok(Arc::new(Label::configure(config, What::Annotation)?)))
            .with("capture", |config, resources| {
                Ok(Arc::new(Capture::configure(config, resources.captures.as_ref())?))
            })
            .with("cordon", |config, resources| {
                Ok(Arc::new(Cordon::configure(config, &resources.node_turn)?))
            })
            .with("drain", |config, resources| {
                Ok(Arc::new(Drain::configure(config, &resources.node_turn)?))
            })
            .with("label", |config, _| Ok(Arc::new(Label::configure(config, What::Label)?)))
            .with("delete", |config, resources| {
                Ok(Arc::new(Delete::configure(config, &resources.owner_locks)?))
            })
            .with("isolate", |config, resources| {
                Ok(Arc::new(Isolate::configure(config, resources.enforces_policies)?))
            })
            .with("scale", |config, _| Ok(Arc::new(Scale::configure(config)?)))
            .with("taint", |config, resources| {
                Ok(Arc::new(TaintNode::configure(config, &resources.node_turn)?))
            })
            .with("notify", |config, resources| {
                Ok(Arc::new(Notify::configure(config, &resources.notifiers)?))
            })
    }

    /// Adds an action, or puts another in the place of one.
    #[must_use]
    pub fn with<F>(mut self, name: &str, factory: F) -> Registry
    where
        F: Fn(&Value, &Resources) -> Result<Arc<dyn Action>, ConfigError> + Send + Sync + 'static,
    {
        self.0.insert(name.to_owned(), Box::new(factory));
        self
    }

    /// What the actions are called, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Configures a playbook's actions.
    ///
    /// # Errors
    ///
    /// Every fault of every step, each with its place and the fix.
    pub fn bind(
        &self,
        playbook: &Arc<Playbook>,
        resources: &Resources,
    ) -> Result<Plan, PlaybookErrors> {
        let mut errors = Vec::new();
        let steps = self.bind_all(playbook, &playbook.actions, resources, &mut errors);
        PlaybookErrors::check(errors)?;
        Ok(Plan { playbook: Arc::clone(playbook), steps })
    }

    fn bind_all(
        &self,
        playbook: &Playbook,
        steps: &[Step],
        resources: &Resources,
        errors: &mut Vec<PlaybookError>,
    ) -> Vec<Arc<BoundStep>> {
        let mut bound = Vec::with_capacity(steps.len());
        for step in steps {
            let on_failure = match &step.on_failure {
                OnFailure::Stop => BoundFailure::Stop,
                OnFailure::Continue => BoundFailure::Continue,
                OnFailure::Run(steps) => {
                    BoundFailure::Run(self.bind_all(playbook, steps, resources, errors))
                }
            };
            match self.configure(playbook, step, resources) {
                Ok(action) => bound.push(Arc::new(BoundStep { action, on_failure })),
                Err(error) => errors.push(error),
            }
        }
        bound
    }

    fn configure(
        &self,
        playbook: &Playbook,
        step: &Step,
        resources: &Resources,
    ) -> Result<Arc<dyn Action>, PlaybookError> {
        let Some(factory) = self.0.get(&step.action) else {
            let known: Vec<_> = self.names().collect();
            let message = format!("there is no action `{}`", step.action);
            return Err(playbook.error_at(
                &step.path,
                message,
                format!("known are: {}", known.join(", ")),
            ));
        };
        factory(&step.config, resources).map_err(|error| {
            playbook.error_at(
                &config::join(&step.config_path(), &error.path),
                error.message,
                error.help,
            )
        })
    }
}

/// A playbook whose actions are configured.
pub struct Plan {
    /// The playbook.
    pub playbook: Arc<Playbook>,
    pub(super) steps: Vec<Arc<BoundStep>>,
}

/// One action, and what follows when it fails.
pub(super) struct BoundStep {
    pub(super) action: Arc<dyn Action>,
    pub(super) on_failure: BoundFailure,
}

pub(super) enum BoundFailure {
    Stop,
    Continue,
    Run(Vec<Arc<BoundStep>>),
}

impl BoundStep {
    /// True for what does more than tell.
    pub(super) fn acts(&self) -> bool {
        self.action.changes_cluster() || self.action.needs_target()
    }

    fn and_below(&self) -> Vec<&dyn Action> {
        let below: &[_] = match &self.on_failure {
            BoundFailure::Run(steps) => steps,
            BoundFailure::Stop | BoundFailure::Continue => &[],
        };
        std::iter::once(&*self.action)
            .chain(below.iter().flat_map(|step| step.and_below()))
            .collect()
    }
}

impl Plan {
    fn actions(&self) -> impl Iterator<Item = &dyn Action> {
        self.steps.iter().flat_map(|step| step.and_below())
    }

    /// True where an action, or the playbook's own selection, asks for the verified object.
    pub fn needs_target(&self) -> bool {
        self.playbook.needs_object() || self.actions().any(Action::needs_target)
    }

    /// True where an action changes the cluster.
    pub fn contains(&self) -> bool {
        self.actions().any(Action::changes_cluster)
    }

    /// What verification has to read beyond the pod.
    pub fn needs(&self) -> Needs {
        let by_owner =
            self.playbook.limits.budget.is_some_and(|budget| budget.scope == BudgetScope::Owner);
        Needs {
            // Whoever changes something has to know whether the namespace is exempted.
            namespace: self.contains() || self.playbook.needs_namespace_labels(),
            owner_chain: by_owner || self.playbook.needs_owners(),
            node: self.actions().any(Action::takes_node),
        }
    }

    /// What each action would do, in order, fallbacks included.
    pub fn describe(&self) -> Vec<String> {
        self.actions().map(Action::describe).collect()
    }

    /// The rights that its mode takes on the API server, and what each is for.
    pub fn rights(&self) -> Vec<Right> {
        let name = &self.playbook.name;
        // Who only observes stops before the first action.
        let acts = self.playbook.mode != Mode::Observe;
        let actions = self.actions().filter(|_| acts).flat_map(|action| {
            let by = format!("{name}: {}", action.name());
            action.permissions().into_iter().map(move |right| Right::new(right, by.clone()))
        });
        let verification = self.verification_permissions().into_iter();
        actions
            .chain(verification.map(|right| Right::new(right, format!("{name}: its target"))))
            .collect()
    }

    fn verification_permissions(&self) -> Vec<Permission> {
        if !self.needs_target() {
            return Vec::new();
        }
        let pods = ["get", "list"].map(|verb| Permission::new("", "pods", verb));
        pods.into_iter().chain(facts_permissions(self.needs())).collect()
    }

    /// The rights that it takes on the API server where it enforces, whatever its mode is now.
    pub fn permissions(&self) -> Vec<Permission> {
        let mut all: Vec<_> = self.actions().flat_map(Action::permissions).collect();
        all.extend(self.verification_permissions());
        all.sort();
        all.dedup();
        all
    }
}
