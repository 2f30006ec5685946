//! From a playbook's steps to actions that can run.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    action::Action,
    actions::{
        Call, Capture, Captures, Cordon, Delete, Drain, Forward, Functions, Isolate, Isolated,
        Label, Network, Notify, OwnerLocks, Run, Scale, TaintNode, Turn, What,
    },
    api::Permission,
    config::{self, ConfigError},
    destination::Destinations,
    notify::Notifiers,
    reach,
    responses::{Undo, take_expiry},
    roles::Right,
    target::{Needs, facts_permissions},
};
use crate::decide::{
    Approval, BudgetScope, Mode, OnFailure, Playbook, PlaybookError, PlaybookErrors, Reach, Step,
};

/// What a worker's actions are configured with, beside their own keys, and share.
#[derive(Clone, Default)]
pub struct Resources {
    /// The configured notifiers.
    pub notifiers: Arc<Notifiers>,
    destinations: Arc<Destinations>,
    functions: Arc<Functions>,
    owner_locks: Arc<OwnerLocks>,
    network: Network,
    node_turn: Turn,
    captures: Option<Captures>,
}

impl Resources {
    /// For one worker: keep them when playbooks are bound again, or two `minHealthy` count past each other.
    pub fn new(notifiers: Arc<Notifiers>) -> Resources {
        Resources {
            notifiers,
            destinations: Arc::default(),
            functions: Arc::default(),
            owner_locks: Arc::default(),
            network: Network::default(),
            node_turn: Turn::default(),
            captures: None,
        }
    }

    /// With somewhere to forward events to.
    #[must_use]
    pub fn with_destinations(self, destinations: Destinations) -> Resources {
        Resources { destinations: Arc::new(destinations), ..self }
    }

    /// With functions to call.
    #[must_use]
    pub fn with_functions(self, functions: Functions) -> Resources {
        Resources { functions: Arc::new(functions), ..self }
    }

    /// Whether the cluster's network is known to enforce NetworkPolicies; without it no isolation is proven.
    #[must_use]
    pub fn enforcing_policies(mut self, known: bool) -> Resources {
        self.network.policies = known;
        self
    }

    /// Whether it is known to enforce ClusterNetworkPolicies; without it a deny of that kind proves nothing.
    #[must_use]
    pub fn enforcing_cluster_policies(mut self, known: bool) -> Resources {
        self.network.cluster_policies = known;
        self
    }

    /// Where captures are kept and made; without it no playbook can capture.
    #[must_use]
    pub fn capturing(self, captures: Captures) -> Resources {
        Resources { captures: Some(captures), ..self }
    }
}

type Factory =
    Arc<dyn Fn(&Value, &Resources) -> Result<Arc<dyn Action>, ConfigError> + Send + Sync>;

/// Which actions there are.
#[derive(Clone)]
pub struct Registry(BTreeMap<String, Factory>);

impl Registry {
    /// The actions that come with stoop.
    pub fn standard() -> Registry {
        Registry(BTreeMap::new())
            .with("annotate", |config, _| Ok(Arc::new(Label::configure(config, What::Annotation)?)))
            .with("call", |config, resources| {
                Ok(Arc::new(Call::configure(config, &resources.functions)?))
            })
            .with("capture", |config, resources| {
                Ok(Arc::new(Capture::configure(config, resources.captures.as_ref())?))
            })
            .with("cordon", |config, resources| {
                Ok(Arc::new(Cordon::configure(config, &resources.node_turn)?))
            })
            .with("drain", |config, resources| {
                Ok(Arc::new(Drain::configure(config, &resources.node_turn)?))
            })
            .with("forward", |config, resources| {
                Ok(Arc::new(Forward::configure(config, &resources.destinations)?))
            })
            .with("label", |config, _| Ok(Arc::new(Label::configure(config, What::Label)?)))
            .with("delete", |config, resources| {
                Ok(Arc::new(Delete::configure(config, &resources.owner_locks)?))
            })
            .with("isolate", |config, resources| {
                Ok(Arc::new(Isolate::configure(config, &resources.network)?))
            })
            .with("run", |config, _| Ok(Arc::new(Run::configure(config)?)))
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
        self.0.insert(name.to_owned(), Arc::new(factory));
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
        let plan = Plan { playbook: Arc::clone(playbook), steps };
        if playbook.approval == Approval::Required
            && errors.is_empty()
            && !plan.contains()
            && let Some(first) = playbook.actions.first()
        {
            errors.push(playbook.error_at(
                &first.path,
                "nothing here waits for an approval".to_owned(),
                "`approval: required` is for playbooks that change the cluster: leave it out, or add such an action"
                    .to_owned(),
            ));
        }
        errors.extend(reach::loose_limits(playbook, plan.actions()));
        if let Some((step, action)) = plan.each_event_of_many() {
            errors.push(playbook.error_at(
                &step.path,
                format!("`{action}` is for each event, and a playbook that changes the cluster answers one for all about its target"),
                format!("put `{action}` into a playbook of its own: playbooks answer an event in order of name"),
            ));
        }
        if errors.is_empty()
            && let Some((expires, stays)) = plan.expire_unevenly()
            && let Some(first) = playbook.actions.first()
        {
            errors.push(playbook.error_at(
                &first.path,
                format!("`{expires}` expires, and would take `{stays}` along: what a playbook holds of one object is let go together"),
                format!("give `{stays}` an expireAfter too, or put it into a playbook of its own"),
            ));
        }
        PlaybookErrors::check(errors)?;
        Ok(plan)
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
                Ok((action, expire_after)) => {
                    bound.push(Arc::new(BoundStep { action, on_failure, expire_after }));
                }
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
    ) -> Result<(Arc<dyn Action>, Option<Duration>), PlaybookError> {
        let Some(factory) = self.0.get(&step.action) else {
            let known: Vec<_> = self.names().collect();
            let message = format!("there is no action `{}`", step.action);
            return Err(playbook.error_at(
                &step.path,
                message,
                format!("known are: {}", known.join(", ")),
            ));
        };
        let configured = take_expiry(&step.config).and_then(|(config, expiry)| {
            let action = factory(&config, resources)?;
            reach::allows(playbook, &*action)?;
            let expire_after = expiry.judge(&*action)?;
            Ok((action, expire_after))
        });
        configured.map_err(|error| {
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
    /// When what it has changed is taken back by itself.
    pub(super) expire_after: Option<Duration>,
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

    fn and_below(&self) -> Vec<&BoundStep> {
        let below: &[_] = match &self.on_failure {
            BoundFailure::Run(steps) => steps,
            BoundFailure::Stop | BoundFailure::Continue => &[],
        };
        std::iter::once(self).chain(below.iter().flat_map(|step| step.and_below())).collect()
    }
}

impl Plan {
    fn actions(&self) -> impl Iterator<Item = &dyn Action> {
        self.all().map(|step| &*step.action)
    }

    fn all(&self) -> impl Iterator<Item = &BoundStep> {
        self.steps.iter().flat_map(|step| step.and_below())
    }

    /// What can be taken back, fallbacks included: by which action, how, and when by itself.
    pub(super) fn undoings(&self) -> impl Iterator<Item = (&'static str, Undo, Option<Duration>)> {
        self.all()
            .filter_map(|step| Some((step.action.name(), step.action.undo()?, step.expire_after)))
    }

    /// True where each event is answered for itself.
    pub fn answers_each_event(&self) -> bool {
        !self.contains() && self.actions().any(Action::answers_each_event)
    }

    /// A step that is for each event, where one event is answered for many.
    fn each_event_of_many(&self) -> Option<(&Step, &'static str)> {
        let mut steps = self.playbook.actions.iter().zip(&self.steps);
        let (written, step) = steps.find(|(_, step)| step.action.answers_each_event())?;
        self.contains().then(|| (written, step.action.name()))
    }

    /// True where an action has something to do about a target that is gone.
    pub fn answers_gone(&self) -> bool {
        self.actions().any(Action::answers_gone)
    }

    /// An action that expires, and one that doesn't and is taken back with it.
    fn expire_unevenly(&self) -> Option<(&'static str, &'static str)> {
        let stays = self.undoings().filter(|(.., expiry)| expiry.is_none());
        stays.into_iter().find_map(|(stays, undo, _)| {
            let mut expiring =
                self.undoings().filter(|(_, other, at)| *other == undo && at.is_some());
            expiring.next().map(|(expires, ..)| (expires, stays))
        })
    }

    /// True where it writes down what it does: it changes the cluster for real.
    pub fn is_recorded(&self) -> bool {
        self.playbook.mode == Mode::Enforce && self.contains()
    }

    /// True where it must not run in a cluster that keeps no responses: an expiry would be forgotten, nobody could
    /// approve.
    pub fn needs_records(&self) -> bool {
        let expires = self.all().any(|step| step.expire_after.is_some());
        let asks = self.playbook.approval == Approval::Required;
        self.playbook.mode == Mode::Enforce && (expires || asks)
    }

    /// True where an action, or the playbook's own selection, asks for the verified object.
    pub fn needs_target(&self) -> bool {
        self.playbook.needs_object() || self.actions().any(Action::needs_target)
    }

    /// True where an action changes the cluster.
    pub fn contains(&self) -> bool {
        self.actions().any(Action::changes_cluster)
    }

    /// True where nothing waits for what it does: none of its actions has a target or changes the cluster.
    pub fn only_tells(&self) -> bool {
        !self.all().any(BoundStep::acts)
    }

    /// What verification has to read beyond the pod.
    pub fn needs(&self) -> Needs {
        let by_owner =
            self.playbook.limits.budget.is_some_and(|budget| budget.scope == BudgetScope::Owner);
        Needs {
            // Whoever changes something has to know whether the namespace is exempted.
            namespace: self.contains() || self.playbook.needs_namespace_labels(),
            owner_chain: by_owner
                || self.playbook.needs_owners()
                || self.undoings().any(|(_, undo, _)| undo == Undo::Deployment),
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
            let taken = action.permissions().into_iter().map(|right| self.placed(right));
            taken.map(move |right| Right::new(right, by.clone()))
        });
        let verification = self.verification_permissions().into_iter();
        let undoing = self.undoing_permissions().into_iter().filter(|_| acts);
        let undoing = undoing.map(|right| self.placed(right));
        actions
            .chain(verification.map(|right| Right::new(right, format!("{name}: its target"))))
            .chain(undoing.map(|right| Right::new(right, format!("{name}: expireAfter"))))
            .collect()
    }

    /// Where a right is needed: in one namespace, for the actions of a playbook that is bound to it.
    fn placed(&self, right: Permission) -> Permission {
        match &self.playbook.reach {
            Reach::Namespace(own) if right.namespace.is_none() && right.has_namespaces() => {
                right.within(own)
            }
            _ => right,
        }
    }

    /// What taking back by itself needs beyond what doing it did.
    fn undoing_permissions(&self) -> Vec<Permission> {
        let mut expiring = self.undoings().filter(|(_, _, expires)| expires.is_some());
        match expiring.any(|(_, undo, _)| undo == Undo::Isolation) {
            true => Isolated::permissions(),
            false => Vec::new(),
        }
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
        let taken = self.actions().flat_map(Action::permissions);
        let taken = taken.chain(self.undoing_permissions());
        let mut all: Vec<_> = taken.map(|right| self.placed(right)).collect();
        all.extend(self.verification_permissions());
        all.sort();
        all.dedup();
        all
    }
}
