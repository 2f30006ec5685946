//! How a metric is defined: once, with its labels, so that what is documented and alerted on can be compared with what is there.

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result,
    core::{Collector, Desc},
};

/// What every name begins with.
const PREFIX: &str = "stoop";

/// Upper bounds in seconds, from a request to a long drain.
const SECONDS: [f64; 13] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up, and begins anew with the worker.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// As Prometheus writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric as it is documented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its whole name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its labels' names, in order.
    pub labels: Vec<String>,
    /// What it says.
    pub help: String,
}

/// A registry that knows what is in it, whether it was counted yet or not.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) registry: Registry,
    pub(super) defined: Vec<Definition>,
}

impl Shelf {
    pub(super) fn new() -> Result<Self> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        Ok(Self { registry, defined: Vec::new() })
    }

    pub(super) fn counters(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec> {
        self.add(Kind::Counter, IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str) -> Result<IntCounter> {
        self.add(Kind::Counter, IntCounter::new(name, help)?)
    }

    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec> {
        self.add(Kind::Gauge, IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str) -> Result<IntGauge> {
        self.add(Kind::Gauge, IntGauge::new(name, help)?)
    }

    pub(super) fn fractions(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec> {
        self.add(Kind::Gauge, GaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn histograms(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.add(Kind::Histogram, HistogramVec::new(options, labels)?)
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str) -> Result<Histogram> {
        let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.add(Kind::Histogram, Histogram::with_opts(options)?)
    }

    fn add<C: Collector + Clone + 'static>(&mut self, kind: Kind, metric: C) -> Result<C> {
        self.registry.register(Box::new(metric.clone()))?;
        self.defined.extend(metric.desc().into_iter().map(|desc| definition(kind, desc)));
        Ok(metric)
    }
}

fn definition(kind: Kind, desc: &Desc) -> Definition {
    Definition {
        name: format!("{PREFIX}_{}", desc.fq_name),
        kind,
        labels: desc.variable_labels.clone(),
        help: desc.help.clone(),
    }
}
