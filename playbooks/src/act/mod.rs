//! The acting half: which live object an event is about, what may be done to it, and doing it.
//!
//! The only place that names kube. It knows no broker: an [`Engine`] takes a claim and a plan, and says what
//! became of them; the worker settles by that.
//!
//! * [`target`](Verification) — the verification ladder; alone makes a [`Verified`].
//! * [`guard`](Guardrails) — what can hold an action back.
//! * [`actions`](Action) — `delete`, `isolate`, `notify`; one from outside registers in the [`Registry`].
//! * [`responses`](Records) — what outlives the worker: an object for each playbook and target.
//! * [`objects`](PlaybookObject) — playbooks that are objects of the cluster.
//! * [`notify`](Notifiers) — how people and systems are told.
//! * [`probe`](Probe) — whether the network enforces policies at all.
//! * [`api`](Api) — calls with deadlines, errors classified, uids in every write.
//!
//! Every pod that is changed goes through `verify`, then the guardrails, then an action whose request carries
//! the verified uid. There is no other way to a write.

mod action;
mod actions;
mod api;
mod config;
mod destination;
mod digest;
mod engine;
mod evidence;
mod guard;
mod notify;
mod object;
mod objects;
mod occurrence;
mod outcome;
mod probe;
mod progress;
mod reach;
mod registry;
mod report;
mod response;
mod responses;
mod roles;
mod schema;
mod target;
mod testimony;
mod text;
mod trace;

pub use action::{Action, Context, Marks, Subject};
pub use actions::{Captures, FunctionConfig, Functions, Holder, revert};
pub use actions::{Isolated, Reverted, revert_isolation};
pub use api::{Api, ApiError, Class, ConnectError, Permission};
pub use config::{ConfigError, read as read_config};
pub use destination::{Destination, Destinations, Outgoing};
pub use engine::{Advance, ClusterPolicy, Engine, EngineParts};
pub use evidence::{
    About, Artefact, Evidence, EvidenceConfig, Kept, Manifest, Missing, NotTaken, Stored, Ticket,
    UploadsConfig, Verdict,
};
pub use guard::{
    BreakerLimits, BreakerState, Exemptions, GuardrailOptions, Guardrails, KillSwitchOptions,
    KillSwitchState, OwnNode, OwnPod, Spent,
};
pub use notify::{Notification, NotifierConfig, Notifiers, Pace, Sink, StepLine};
pub use object::{ClusterId, ObjectRef, Uid};
pub use objects::{
    Condition, ConditionStatus, Key, Listed, NoRoom, Place, PlaybookKind, PlaybookObject,
    PlaybookStatus, Seen, list_playbooks, places, tell_status, watch_playbooks,
};
pub use occurrence::Occurrence;
pub use outcome::{Dependency, Failure, FailureKind, Guardrail, Outcome, Refusal, SkipReason};
pub use probe::{Aspect, Finding, Probe};
pub use reach::could_cover;
pub use registry::{Plan, Registry, Resources};
pub use report::Report;
pub use response::{Response, Standing, StepReport};
pub use responses::{
    ActionResult, Approved, Change, Claim, Decision, EventSummary, EvidenceRef, Held, Links, Phase,
    Question, Records, ResponseSpec, ResponseStatus, Retention, Reverter, Shelf, StoredResponse,
    Swept, TakenBack, TargetRef, Undecidable, Undo, Undone, WeakKey, Which,
};
pub use roles::{Bound, Right, Roles};
pub use schema::schema;
pub use target::{Gone, Needs, Verification, Verified, VerifiedNode, foresee};
pub use testimony::Scene;
pub use text::clean;
pub use trace::{NotATrace, SPANS, TraceParent};
