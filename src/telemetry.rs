//! Logs, to standard error: readable on a terminal, JSON lines elsewhere.

use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// A line a person reads.
    Pretty,
    /// A JSON object a line.
    Json,
}

/// Starts logging at the level of `STOOP_LOG` (`info` without it), in the syntax of `RUST_LOG`. Call once.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_env("STOOP_LOG").unwrap_or_else(|_| {
        EnvFilter::new("info,librdkafka=warn,rdkafka=warn,kube_client=off,hyper=warn")
    });
    let json = match format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Pretty => false,
        LogFormat::Json => true,
    };
    let registry = tracing_subscriber::registry().with(filter);
    if json {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(stderr)).init();
    } else {
        let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        registry.with(fmt::layer().compact().with_ansi(colour).with_writer(stderr)).init();
    }
}
