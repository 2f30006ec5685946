//! The worker: one delivery all the way, from the broker's hand to its settlement.
//!
//! Composition only. What a broker or an action is, which playbook matches and which guardrail says no is decided in the
//! crates; here is the order in which they are asked, what is tried again, and when an event is settled.

mod approvals;
pub mod assemble;
pub mod bursts;
mod bury;
pub mod feed;
pub mod forward;
mod handle;
mod identity;
mod inquiry;
pub mod lanes;
pub mod objects;
pub mod outage;
pub mod persevere;
pub mod publish;
pub(crate) mod read;
mod readers;
pub mod readiness;
pub mod reload;
pub mod respond;
pub mod responses;
pub mod rules;
mod scrape;
mod serve;
mod settle;
pub mod shares;
pub mod sightings;
pub mod subscription;
mod sweep;
mod trace;
pub mod verdict;

use std::sync::Arc;

use playbooks::act::{Engine, Uid};

use crate::{audit::Audit, config::Cluster, metrics::Metrics};

/// One worker: what every delivery of every subscription is handled with.
pub struct Worker {
    /// Its name in dead letters and audit lines.
    pub name: Arc<str>,
    /// The cluster it acts in.
    pub cluster: Cluster,
    /// What is answered, and how.
    pub rules: reload::InForce,
    /// Verifies, guards and acts.
    pub engine: Engine,
    /// What is away.
    pub outages: Arc<outage::Outages>,
    /// Where finished responses are recorded.
    pub audit: Audit,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What it sees and does, for whoever looks.
    pub feed: Arc<feed::Feed>,
    /// Slots for events that only wait for a response of their burst.
    pub members: brokers::Pool,
    /// One response at a time for each target.
    pub lanes: lanes::Lanes<Uid>,
    /// Responses that are shared.
    pub bursts: bursts::Bursts<respond::Matter, Arc<verdict::Answer>>,
}
