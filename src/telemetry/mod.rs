//! Logs, to standard error: readable on a terminal, JSON lines elsewhere. And traces, where the environment wants them.

mod export;
mod traces;

use std::io::{IsTerminal, stderr};

use clap::ValueEnum;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

pub(crate) use export::counts;
pub use traces::Traces;

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

/// What is logged where `STOOP_LOG` says nothing.
const DEFAULT: &str = "info,librdkafka=warn,rdkafka=warn,kube_client=off,hyper=warn";

/// Starts logging at the level of `STOOP_LOG` (`info` without it), in the syntax of `RUST_LOG`; one that can't be read is
/// told. Call once.
pub fn init(format: LogFormat, traces: Option<&Traces>) {
    let asked = std::env::var_os("STOOP_LOG").unwrap_or_else(|| DEFAULT.into());
    let (filter, refused) = match filter(&asked.to_string_lossy()) {
        Ok(filter) => (filter, None),
        Err(why) => (EnvFilter::new(DEFAULT), Some(why)),
    };
    let json = match format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Pretty => false,
        LogFormat::Json => true,
    };
    // Each by a filter of its own: what is traced is not logged.
    let registry = tracing_subscriber::registry().with(traces.map(Traces::layer));
    if json {
        let lines = fmt::layer().json().flatten_event(true).with_writer(stderr);
        registry.with(lines.with_filter(filter)).init();
    } else {
        let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let lines = fmt::layer().compact().with_ansi(colour).with_writer(stderr);
        registry.with(lines.with_filter(filter)).init();
    }
    if let Some(why) = refused {
        tracing::warn!("STOOP_LOG={}: {why}; logging at info", asked.display());
    }
}

/// Reads a filter.
///
/// A word alone has to be a level: `RUST_LOG` would take a level's misspelling for a module's name, and log nothing else.
fn filter(text: &str) -> Result<EnvFilter, String> {
    let alone = text.split(',').map(str::trim).filter(|part| !part.contains(['=', '[']));
    for word in alone.filter(|word| !word.is_empty()) {
        if word.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "`{word}` is no level (trace, debug, info, warn, error, off); for one module write {word}=debug"
            ));
        }
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_it_is_of_rust_log() {
        for text in [
            "",
            "off",
            "DEBUG",
            "warn,kube_client=trace",
            "stoop[event{rule=a}]=debug,stoop[event],info",
        ] {
            assert!(filter(text).is_ok(), "{text}: {:?}", filter(text));
        }
    }

    #[test]
    fn what_is_no_level_is_refused_with_the_fix() {
        let error = filter("debgu").unwrap_err();
        assert!(error.contains("`debgu` is no level") && error.contains("debug, info"), "{error}");
        assert!(filter("stoop=loud").is_err());
        assert!(filter("info,,stoop==").is_err());
    }
}
