//! What keeps spans from holding anything up: so many wait to be sent, and what is more is dropped and counted.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};

/// How many spans may wait.
const QUEUE: usize = 2048;

/// Spans of this process that wait, and what became of the others. There is one exporter, as there is one logger.
static WAITING: AtomicUsize = AtomicUsize::new(0);
static EXPORTED: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// What became of spans so far, each with the label of its metric.
pub(crate) fn counts() -> [(&'static str, u64); 3] {
    [("exported", &EXPORTED), ("refused", &REFUSED), ("dropped", &DROPPED)]
        .map(|(result, count)| (result, count.load(Ordering::Relaxed)))
}

/// An exporter whose spans are counted.
#[derive(Debug)]
pub(super) struct Counted<E>(pub(super) E);

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let sent = self.0.export(batch).await;
        WAITING.fetch_sub(count, Ordering::Relaxed);
        let counted = if sent.is_ok() { &EXPORTED } else { &REFUSED };
        counted.fetch_add(count as u64, Ordering::Relaxed);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// Sends spans in batches, from a thread of its own.
#[derive(Debug)]
pub(super) struct Bounded(BatchSpanProcessor);

impl Bounded {
    pub(super) fn new<E: SpanExporter + 'static>(exporter: Counted<E>) -> Self {
        let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
        Self(BatchSpanProcessor::builder(exporter).with_batch_config(config).build())
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, around: &Context) {
        self.0.on_start(span, around);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        // Counted here, for the queue drops without a word.
        if WAITING.fetch_add(1, Ordering::Relaxed) < QUEUE {
            self.0.on_end(span);
        } else {
            WAITING.fetch_sub(1, Ordering::Relaxed);
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// One that never ends.
    #[derive(Debug)]
    struct Stuck;

    impl SpanExporter for Stuck {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            std::future::pending().await
        }
    }

    #[test]
    fn what_is_more_than_may_wait_is_dropped_and_counted() {
        let provider =
            SdkTracerProvider::builder().with_span_processor(Bounded::new(Counted(Stuck))).build();
        let tracer = provider.tracer("test");
        for _ in 0..QUEUE + 100 {
            drop(tracer.start("span"));
        }
        assert_eq!(DROPPED.load(Ordering::Relaxed), 100);
        assert_eq!(counts()[2], ("dropped", 100));
        // Its end would wait for the exporter's.
        std::mem::forget(provider);
    }
}
