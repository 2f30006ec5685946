//! The keys of `capture`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use settings::{ByteSize, Span};

use crate::act::config::{self, ConfigError};

/// More than this is no capture but a copy, and takes longer to check than an action may.
const MOST_BYTES: u64 = 256 << 20;
const MOST_LOG: u64 = 16 << 20;
const MOST_TIME: Duration = Duration::from_secs(5 * 60);
const MOST_PATHS: usize = 32;
/// `PATH_MAX`
const LONGEST_PATH: usize = 4096;

/// What is captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Snapshot(Bounds),
    Job(JobKind),
}

/// What a snapshot may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Of one log, in bytes.
    pub(super) log: usize,
    /// Of everything, in bytes.
    pub(super) total: usize,
}

/// What a job captures, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JobKind {
    Files { paths: Vec<String>, from_event: bool, most: u64 },
    Syscalls(Recording),
    Packets(Recording),
}

/// Something that is recorded while it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recording {
    pub(super) seconds: u64,
    pub(super) most: u64,
}

/// Keeps what the rest of the playbook is about to lose; one kind a step.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Capture")]
pub(in crate::act) struct Written {
    /// What the API server knows of the pod, and its logs.
    snapshot: Option<WrittenSnapshot>,
    /// Files of the container.
    files: Option<WrittenFiles>,
    /// The container's system calls.
    syscalls: Option<WrittenRecording>,
    /// The pod's packets.
    packets: Option<WrittenRecording>,
}

/// What a snapshot may hold.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Snapshot")]
struct WrittenSnapshot {
    /// The end of each log: `1MiB` if left out, at most `16MiB`.
    log: Option<ByteSize>,
    /// All of it: `16MiB` if left out, at most `256MiB`.
    total: Option<ByteSize>,
}

/// Which files.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Files")]
struct WrittenFiles {
    /// Whole paths, as the container sees them.
    #[serde(default)]
    #[schemars(length(max = 32))]
    paths: Vec<String>,
    /// Also the file in the event's `fd.name`.
    #[serde(default)]
    from_event: bool,
    /// All of them: `64MiB` if left out, at most `256MiB`.
    size: Option<ByteSize>,
}

/// How long, and how much.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Recording")]
struct WrittenRecording {
    /// `30s` if left out, at most `5m`.
    duration: Option<Span>,
    /// `64MiB` if left out, at most `256MiB`.
    size: Option<ByteSize>,
}

impl Kind {
    pub(super) fn read(config: &Value) -> Result<Kind, ConfigError> {
        let help = "write one of `snapshot: {}`, `files: {paths: [/etc/passwd]}`, `syscalls: {}`, `packets: {}`; several make several steps";
        match config::read::<Written>(config)? {
            Written { snapshot: Some(written), files: None, syscalls: None, packets: None } => {
                written.read().map_err(|error| error.at("snapshot"))
            }
            Written { snapshot: None, files: Some(written), syscalls: None, packets: None } => {
                written.read().map_err(|error| error.at("files")).map(Kind::Job)
            }
            Written { snapshot: None, files: None, syscalls: Some(written), packets: None } => {
                let recording = written.read().map_err(|error| error.at("syscalls"))?;
                Ok(Kind::Job(JobKind::Syscalls(recording)))
            }
            Written { snapshot: None, files: None, syscalls: None, packets: Some(written) } => {
                let recording = written.read().map_err(|error| error.at("packets"))?;
                Ok(Kind::Job(JobKind::Packets(recording)))
            }
            _ => Err(ConfigError::new("a capture is of one kind").help(help)),
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Kind::Snapshot(_) => "a snapshot of the pod, its owner, node, events and logs".into(),
            Kind::Job(kind) => format!("{} by a job on the pod's node", kind.describe()),
        }
    }
}

impl JobKind {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            JobKind::Files { .. } => "files",
            JobKind::Syscalls(_) => "syscalls",
            JobKind::Packets(_) => "packets",
        }
    }

    /// In bytes.
    pub(super) fn most(&self) -> u64 {
        match self {
            JobKind::Files { most, .. } => *most,
            JobKind::Syscalls(recording) | JobKind::Packets(recording) => recording.most,
        }
    }

    /// For how long something is recorded.
    pub(super) fn seconds(&self) -> u64 {
        match self {
            JobKind::Files { .. } => 0,
            JobKind::Syscalls(recording) | JobKind::Packets(recording) => recording.seconds,
        }
    }

    fn describe(&self) -> String {
        match self {
            JobKind::Files { paths, from_event, .. } => {
                let named = paths.len();
                match from_event {
                    true => format!("{named} named files and the one that the event names"),
                    false => format!("{named} named files"),
                }
            }
            JobKind::Syscalls(recording) => {
                format!("the container's system calls for {}s", recording.seconds)
            }
            JobKind::Packets(recording) => format!("the pod's packets for {}s", recording.seconds),
        }
    }
}

impl WrittenSnapshot {
    fn read(self) -> Result<Kind, ConfigError> {
        let log = size(self.log, 1 << 20, MOST_LOG).map_err(|error| error.at("log"))?;
        let total = size(self.total, 16 << 20, MOST_BYTES).map_err(|error| error.at("total"))?;
        // Both fit: they are below a few hundred MiB.
        let fit = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Kind::Snapshot(Bounds { log: fit(log), total: fit(total) }))
    }
}

impl WrittenFiles {
    fn read(self) -> Result<JobKind, ConfigError> {
        let WrittenFiles { paths, from_event, size: most } = self;
        if paths.is_empty() && !from_event {
            return Err(ConfigError::new("no file is named").help(
                "write `paths: [/etc/passwd]`, or `fromEvent: true` for the one in fd.name",
            ));
        }
        if paths.len() > MOST_PATHS {
            let why = format!("more than {MOST_PATHS} files");
            return Err(ConfigError::new(why).help("several steps take more").at("paths"));
        }
        if let Some(path) = paths.iter().find(|path| !is_path(path)) {
            let why = format!("`{path}` is no path of a file");
            return Err(ConfigError::new(why)
                .help("write the whole path, as the container sees it")
                .at("paths"));
        }
        let most = size(most, 64 << 20, MOST_BYTES).map_err(|error| error.at("size"))?;
        Ok(JobKind::Files { paths, from_event, most })
    }
}

impl WrittenRecording {
    fn read(self) -> Result<Recording, ConfigError> {
        let duration = self.duration.map_or(Duration::from_secs(30), |span| span.0);
        if duration < Duration::from_secs(1) || duration > MOST_TIME {
            return Err(ConfigError::new("between a second and five minutes can be recorded")
                .help("write `duration: 30s`")
                .at("duration"));
        }
        let most = size(self.size, 64 << 20, MOST_BYTES).map_err(|error| error.at("size"))?;
        Ok(Recording { seconds: duration.as_secs(), most })
    }
}

fn size(written: Option<ByteSize>, default: u64, most: u64) -> Result<u64, ConfigError> {
    let size = written.map_or(default, ByteSize::get);
    if !(1..=most).contains(&size) {
        let most = most >> 20;
        return Err(ConfigError::new(format!("between a byte and {most} MiB can be kept"))
            .help(format!("write `{most}MiB` or less")));
    }
    Ok(size)
}

/// True for what can be a file's whole path, whoever chose it.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= LONGEST_PATH && path.len() > 1 && !path.contains('\0')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_not_be_captured_is_refused_with_place_and_fix() {
        let table = [
            (json!({}), "", "snapshot: {}"),
            (json!({"snapshot": {}, "packets": {}}), "", "several make several steps"),
            (json!({"memory": {}}), "memory", "unknown key"),
            (json!({"snapshot": {"log": "1GiB"}}), "snapshot.log", "16MiB"),
            (json!({"files": {}}), "files", "fromEvent"),
            (json!({"files": {"paths": ["etc/passwd"]}}), "files.paths", "whole path"),
            (json!({"files": {"paths": ["/a\u{0}b"]}}), "files.paths", "whole path"),
            (json!({"files": {"paths": vec!["/a"; 33]}}), "files.paths", "several steps"),
            (json!({"packets": {"duration": "1h"}}), "packets.duration", "30s"),
            (json!({"syscalls": {"duration": "0s"}}), "syscalls.duration", "30s"),
            (json!({"syscalls": {"size": "1GiB"}}), "syscalls.size", "256MiB"),
        ];
        for (config, path, words) in table {
            let error = Kind::read(&config).unwrap_err();
            assert_eq!(error.path.to_string(), path, "{config}");
            let text = format!("{} {}", error.message, error.help);
            assert!(text.contains(words), "{config}: {text}");
        }
    }

    #[test]
    fn everything_has_a_bound_without_being_told() {
        let read = |config| Kind::read(&config).unwrap();
        assert_eq!(
            read(json!({"snapshot": {}})),
            Kind::Snapshot(Bounds { log: 1 << 20, total: 16 << 20 })
        );
        let recording = Recording { seconds: 30, most: 64 << 20 };
        assert_eq!(read(json!({"packets": {}})), Kind::Job(JobKind::Packets(recording)));
    }
}
