//! What captures of a worker share: where evidence goes, and where jobs run.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::{
    act::{config::ConfigError, evidence::Evidence},
    decide::is_label,
};

/// How many snapshots are taken at a time: each holds the end of a log in memory.
const AT_ONCE: usize = 4;

/// What captures share: keep it when playbooks are bound again.
#[derive(Clone)]
pub struct Captures {
    pub(super) evidence: Evidence,
    jobs: Option<Jobs>,
    pub(super) turn: Arc<Semaphore>,
}

/// Where jobs run, and of which image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Jobs {
    pub(super) namespace: String,
    pub(super) image: String,
}

impl Captures {
    /// Snapshots alone.
    pub fn new(evidence: Evidence) -> Captures {
        Captures { evidence, jobs: None, turn: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Jobs as well, in `namespace`, of `image`; `own` is the workers' namespace.
    ///
    /// # Errors
    ///
    /// Where the namespace is the workers' own, or the image could be another one tomorrow.
    pub fn with_jobs(
        self,
        namespace: &str,
        image: &str,
        own: &str,
    ) -> Result<Captures, ConfigError> {
        if !is_label(namespace) {
            let why = format!("`{namespace}` is no name of a namespace");
            return Err(ConfigError::new(why)
                .help("such as `stoop-captures`")
                .at("captureNamespace"));
        }
        if namespace == own {
            let why = "capture jobs may more than the workers, and can't share their namespace";
            return Err(ConfigError::new(why)
                .help("name another one, such as `stoop-captures`, that only the workers may create jobs in")
                .at("captureNamespace"));
        }
        if !is_pinned(image) {
            let why = format!("`{image}` can be another image tomorrow");
            return Err(ConfigError::new(why)
                .help("pin it by digest: `docker buildx imagetools inspect IMAGE` prints it, write IMAGE@sha256:…")
                .at("captureImage"));
        }
        let jobs = Some(Jobs { namespace: namespace.to_owned(), image: image.to_owned() });
        Ok(Captures { jobs, ..self })
    }

    /// Why no job could capture anything.
    pub(super) fn check_jobs(&self) -> Result<&Jobs, ConfigError> {
        if !self.evidence.takes_uploads() {
            return Err(ConfigError::new("a job has no way to this evidence store")
                .help("set `evidence.uploads`, or keep evidence in S3 or GCS"));
        }
        self.jobs.as_ref().ok_or_else(|| {
            ConfigError::new("it takes a job on the pod's node, and there is no place for jobs")
                .help("set `captureNamespace` and `captureImage` in the configuration")
        })
    }
}

fn is_pinned(image: &str) -> bool {
    let Some((name, digest)) = image.split_once("@sha256:") else { return false };
    let is_digest = digest.len() == 64
        && digest.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
    !name.is_empty() && !name.contains(char::is_whitespace) && is_digest
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    fn captures() -> Captures {
        Captures::new(Evidence::over(Arc::new(InMemory::new()), "memory"))
    }

    #[test]
    fn jobs_run_apart_from_the_workers_and_of_one_image() {
        let pinned = format!("registry.example/capture@sha256:{}", "a".repeat(64));
        assert!(captures().with_jobs("captures", &pinned, "stoop").is_ok());
        let table = [
            ("stoop", pinned.as_str(), "captureNamespace", "name another one"),
            ("", &pinned, "captureNamespace", "stoop-captures"),
            ("captures", "registry.example/capture:1.0", "captureImage", "by digest"),
            ("captures", "registry.example/capture", "captureImage", "by digest"),
            ("captures", "capture@sha256:abc", "captureImage", "by digest"),
            ("captures", &pinned[pinned.len() - 72..], "captureImage", "by digest"),
        ];
        for (namespace, image, path, words) in table {
            let error = captures().with_jobs(namespace, image, "stoop").err().expect(image);
            assert_eq!(error.path.to_string(), path, "{image}");
            assert!(error.help.contains(words), "{image}: {}", error.help);
        }
    }
}
