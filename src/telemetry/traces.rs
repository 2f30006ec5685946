//! Traces, to wherever the environment says (`OTEL_EXPORTER_OTLP_ENDPOINT`), by OTLP over HTTP; nowhere without it.
//!
//! What is a span says the code that makes it, by the target [`SPANS`]. Logs have none of it, and without an endpoint none is
//! made.

use std::{env, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use playbooks::act::SPANS;
use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{Layer, filter::dynamic_filter_fn, registry::LookupSpan};

use super::export::{Bounded, Counted};

/// What kube calls its span of each request.
const REQUESTS: &str = "kube_client::client::builder";

/// How long the last spans may take to leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where spans go.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// As the environment says, in the words of OpenTelemetry's own specification. `None` where it names no endpoint, or turns
    /// traces off.
    ///
    /// # Errors
    /// The endpoint can't be used.
    pub fn of_environment() -> Result<Option<Self>, ExporterBuildError> {
        let says = |name| env::var(name).ok().filter(|text| !text.is_empty());
        let endpoints = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        let is_off = says("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"))
            || says("OTEL_TRACES_EXPORTER").is_some_and(|it| it == "none");
        if is_off || endpoints.into_iter().all(|name| says(name).is_none()) {
            return Ok(None);
        }
        SpanExporter::builder().with_http().build().map(|exporter| Some(Self::by(exporter)))
    }

    /// To this address, `/v1/traces` included.
    ///
    /// # Errors
    /// It is none.
    pub fn to(url: &str) -> Result<Self, ExporterBuildError> {
        SpanExporter::builder().with_http().with_endpoint(url).build().map(Self::by)
    }

    fn by(exporter: SpanExporter) -> Self {
        let mut resource = Resource::builder();
        if env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("stoop");
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let worker = env::var("POD_NAME").ok().map(|pod| KeyValue::new("service.instance.id", pod));
        let resource = resource.with_attributes([version].into_iter().chain(worker)).build();
        let bounded = Bounded::new(Counted(exporter));
        // Sampled by the parent, unless OTEL_TRACES_SAMPLER says otherwise.
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(bounded)
            .build();
        Self(provider)
    }

    /// What makes spans of the code's: the worker's own, and the requests to the API server that are part of one.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let is_ours = |span: &Metadata<'_>| span.is_span() && span.target() == SPANS;
        let is_request = |span: &Metadata<'_>| span.is_span() && span.target() == REQUESTS;
        let filter = dynamic_filter_fn(move |span, around| {
            is_ours(span) || is_request(span) && around.lookup_current().is_some()
        });
        let filter =
            filter.with_max_level_hint(LevelFilter::TRACE).with_callsite_filter(move |span| {
                match is_ours(span) || is_request(span) {
                    true => Interest::sometimes(),
                    false => Interest::never(),
                }
            });
        let tracer = self.0.tracer("stoop");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        layer.with_location(false).with_threads(false).with_target(false).with_filter(filter)
    }

    /// Sends what is left, and waits for it a moment at the most. Blocks.
    pub fn end(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(FAREWELL) {
            tracing::debug!(%error, "the last spans did not leave");
        }
    }
}
