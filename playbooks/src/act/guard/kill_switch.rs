//! The switch that stops every change at once: a file, or a key in a ConfigMap, read while the worker runs.

use std::{io::ErrorKind, path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use tokio::{sync::Mutex, time::Instant};

use crate::act::{
    api::{Api, Class, Permission},
    outcome::{Failure, Guardrail, Refusal},
};

/// The ConfigMap's key that holds the switch.
const KEY: &str = "stop";

/// How long a ConfigMap's answer is good for, and that there was none.
const FRESH: Duration = Duration::from_secs(1);

/// Where the switch is read. It is on where the file, or the key `stop`, is there and doesn't say `off`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KillSwitchOptions {
    /// A file; `touch` turns the switch on.
    pub file: Option<PathBuf>,
    /// A ConfigMap, as namespace and name; a missing one is off.
    pub config_map: Option<(String, String)>,
}

/// What a ConfigMap says as the kill switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillSwitchState {
    /// It is not there, which counts as off.
    Missing,
    /// Changes may be made.
    Off,
    /// None may be made.
    On,
}

#[derive(Debug)]
pub(super) struct KillSwitch {
    options: KillSwitchOptions,
    /// The last answer. Held while asking, so that a burst of responses asks once.
    last: Mutex<Option<Answer>>,
}

/// What the ConfigMap said, or why it could not be read.
#[derive(Debug)]
struct Answer {
    asked: Instant,
    came: Instant,
    on: Result<bool, Failure>,
}

impl KillSwitch {
    pub(super) fn new(options: KillSwitchOptions) -> KillSwitch {
        KillSwitch { options, last: Mutex::new(None) }
    }

    pub(super) fn permissions(&self) -> Vec<Permission> {
        let config_map = self.options.config_map.as_ref();
        config_map
            .map(|(namespace, name)| Permission::new("", "configmaps", "get").on(namespace, name))
            .into_iter()
            .collect()
    }

    /// What the ConfigMap says now; `None` where none is configured.
    pub(super) async fn config_map(&self, api: &Api) -> Result<Option<KillSwitchState>, Failure> {
        match &self.options.config_map {
            Some((namespace, name)) => read(api, namespace, name).await.map(Some),
            None => Ok(None),
        }
    }

    /// The switch's no, or a failure where it can't be read: then nothing may be changed either.
    pub(super) async fn judge(&self, api: Option<&Api>) -> Result<Option<Refusal>, Failure> {
        if let Some(file) = &self.options.file {
            let on = match tokio::fs::read(file).await {
                Ok(content) => is_on(&String::from_utf8_lossy(&content)),
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => {
                    return Err(Failure::transient(format!(
                        "the kill switch {} can't be read: {error}",
                        file.display()
                    )));
                }
            };
            if on {
                return Ok(Some(refusal(&format!("file {}", file.display()))));
            }
        }
        if let Some((namespace, name)) = &self.options.config_map
            && self.config_map_is_on(api, namespace, name).await?
        {
            return Ok(Some(refusal(&format!("ConfigMap {namespace}/{name}"))));
        }
        Ok(None)
    }

    async fn config_map_is_on(
        &self,
        api: Option<&Api>,
        namespace: &str,
        name: &str,
    ) -> Result<bool, Failure> {
        let api = api.ok_or_else(|| {
            Failure::transient("the kill switch's ConfigMap can't be read without a cluster")
        })?;
        let arrived = Instant::now();
        let mut last = self.last.lock().await;
        match last.as_ref() {
            // Good from when it was asked for, not from when the answer came.
            Some(Answer { asked, on: Ok(on), .. }) if asked.elapsed() < FRESH => return Ok(*on),
            // Shared by who waited for it and who comes soon after: one after the other would time out for minutes.
            Some(Answer { came, on: Err(failure), .. }) if arrived < *came + FRESH => {
                return Err(failure.clone());
            }
            _ => {}
        }
        let asked = Instant::now();
        let on = read(api, namespace, name).await.map(|state| state == KillSwitchState::On);
        *last = Some(Answer { asked, came: Instant::now(), on: on.clone() });
        on
    }
}

async fn read(api: &Api, namespace: &str, name: &str) -> Result<KillSwitchState, Failure> {
    let map = api
        .call(|client| async move {
            kube::Api::<ConfigMap>::namespaced(client, namespace).get(name).await
        })
        .await;
    match map {
        Ok(map) => {
            let value = map.data.and_then(|mut data| data.remove(KEY));
            Ok(match value.is_some_and(|value| is_on(&value)) {
                true => KillSwitchState::On,
                false => KillSwitchState::Off,
            })
        }
        Err(error) if *error.class() == Class::NotFound => Ok(KillSwitchState::Missing),
        Err(error) => {
            let failure = Failure::from(error);
            let why = format!("the kill switch {namespace}/{name} can't be read: {failure}");
            Err(Failure { why, ..failure })
        }
    }
}

/// Anything but a clear no is a yes: an empty file, or a word that nobody foresaw.
fn is_on(content: &str) -> bool {
    !matches!(content.trim().to_ascii_lowercase().as_str(), "off" | "false" | "no" | "0")
}

fn refusal(source: &str) -> Refusal {
    Refusal::new(Guardrail::KillSwitch, format!("the kill switch is on ({source})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn judge(file: PathBuf) -> Result<Option<Guardrail>, Failure> {
        let options = KillSwitchOptions { file: Some(file), config_map: None };
        Ok(KillSwitch::new(options).judge(None).await?.map(|refusal| refusal.guardrail))
    }

    #[test]
    fn only_a_clear_no_is_off() {
        for (content, on) in [
            ("", true),
            ("on", true),
            ("nope", true),
            ("off", false),
            (" OFF\n", false),
            ("false", false),
        ] {
            assert_eq!(is_on(content), on, "{content:?}");
        }
    }

    #[tokio::test]
    async fn the_file_is_read_each_time() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("stop");
        let switch =
            KillSwitch::new(KillSwitchOptions { file: Some(file.clone()), config_map: None });
        assert_eq!(switch.judge(None).await?, None);
        std::fs::write(&file, "")?;
        assert!(switch.judge(None).await?.is_some());
        std::fs::write(&file, "off\n")?;
        assert_eq!(switch.judge(None).await?, None);
        Ok(())
    }

    #[tokio::test]
    async fn a_switch_that_cannot_be_read_is_a_failure_not_a_no()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        assert!(judge(folder.path().to_path_buf()).await.is_err());
        Ok(())
    }
}
