//! Where audit lines go.

use std::path::PathBuf;

use playbooks::decide::yaml::Path;
use schemars::JsonSchema;
use serde::Deserialize;
use settings::ByteSize;

use super::refuse::Fault;

/// The audit log. Without a file its lines go to standard output.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Audit {
    /// A file of this worker's own: each line is on disk before its event is settled, and names the hash of the one before.
    pub file: Option<PathBuf>,
    /// How long the file may become before it is set aside under the number of its last line. Nothing deletes what is set aside.
    pub rotate: ByteSize,
}

impl Default for Audit {
    fn default() -> Self {
        Self { file: None, rotate: ByteSize::mib(64) }
    }
}

impl Audit {
    /// What can't work.
    pub(super) fn check(&self, at: &Path) -> Result<(), Fault> {
        if self.file.as_ref().is_some_and(|file| file.file_name().is_none()) {
            return Fault::new(
                at.key("file"),
                "it names no file",
                "such as `/var/lib/stoop/audit.log`",
            );
        }
        if self.rotate < ByteSize::mib(1) {
            return Fault::new(
                at.key("rotate"),
                "there would be a file for every few lines",
                "at least 1MiB",
            );
        }
        Ok(())
    }
}
