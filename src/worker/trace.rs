//! One event as spans: each begins where its work does, below the span of whoever published the event.

use std::sync::Arc;

use brokers::Delivery;
use jiff::Timestamp;
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use playbooks::act::{Occurrence, Plan, SPANS, TraceParent, clean};
use tracing::{Span, field::Empty, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{read::Wanted, verdict::Answer};

/// How much is shown of what an event says.
const SHOWN: usize = 120;

/// The span of an event that playbooks want, below its publisher's. Whoever is told of the event from now on is told this span.
pub(super) fn event(subscription: &str, delivery: &Delivery, wanted: &mut Wanted) -> Span {
    let occurrence = &wanted.occurrence;
    let span = trace_span!(
        target: SPANS, "event",
        otel.kind = "consumer",
        "stoop.subscription" = subscription,
        "stoop.handed" = delivery.handed(),
        "stoop.age_seconds" = Timestamp::now().duration_since(occurrence.time).as_secs_f64(),
        "stoop.playbooks" = wanted.candidates.len(),
        "messaging.message.id" = %clean(&delivery.message().id.to_string(), SHOWN),
        "falco.rule" = %clean(&occurrence.rule, SHOWN),
        "falco.priority" = ?occurrence.priority,
    );
    if span.is_disabled() {
        return span;
    }
    below(&span, occurrence);
    if let (Some(own), Some(occurrence)) = (place(&span), Arc::get_mut(&mut wanted.occurrence)) {
        occurrence.trace = Some(own);
    }
    span
}

/// The span of one playbook's response, below the event's: what begins elsewhere, such as after an approval, is below its
/// publisher's.
pub(super) fn response(plan: &Plan, occurrence: &Occurrence) -> Span {
    let around = Span::current();
    let span = trace_span!(
        target: SPANS, "response",
        "stoop.playbook" = plan.playbook.name,
        "stoop.mode" = plan.playbook.mode.as_str(),
        "stoop.attempts" = Empty,
        "otel.status_code" = Empty,
    );
    if !span.is_disabled() && !around.context().span().span_context().is_valid() {
        below(&span, occurrence);
    }
    span
}

/// Says in the response's span how it ended.
pub(super) fn answered(span: &Span, answer: Option<&Answer>) {
    let Some(answer) = answer else { return };
    span.record("stoop.attempts", answer.attempts);
    if answer.has_failed() {
        span.record("otel.status_code", "ERROR");
    }
}

/// The span of finding out whom the event is about.
pub(super) fn verify() -> Span {
    trace_span!(target: SPANS, "verify")
}

/// The span of telling the default notifiers.
pub(super) fn tell() -> Span {
    trace_span!(target: SPANS, "tell")
}

/// The span of the audit line's way.
pub(super) fn record() -> Span {
    trace_span!(target: SPANS, "record")
}

/// The span of settling.
pub(super) fn settle(how: &'static str) -> Span {
    trace_span!(target: SPANS, "settle", "stoop.how" = how)
}

/// Puts a span below the one that the event was published in.
fn below(span: &Span, occurrence: &Occurrence) {
    if let Some(parent) = occurrence.trace.as_ref().and_then(remote) {
        // Refused where spans are only logged: then there is nothing to be below of.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

fn remote(parent: &TraceParent) -> Option<SpanContext> {
    let trace = TraceId::from_hex(parent.trace_id()).ok()?;
    let span = SpanId::from_hex(parent.span_id()).ok()?;
    let flags = if parent.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    Some(SpanContext::new(trace, span, flags, true, TraceState::default()))
}

/// Where a span is, for the header of who is told of it.
fn place(span: &Span) -> Option<TraceParent> {
    let context = span.context();
    let span = context.span().span_context().clone();
    let text =
        format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    text.parse().ok()
}
