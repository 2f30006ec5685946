//! The keys of `drain`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::act::{
    actions::{
        delete::Owners,
        node::{Share, WrittenShare},
    },
    config::{self, ConfigError},
};

/// What was configured, understood.
#[derive(Debug)]
pub(super) struct DrainConfig {
    pub(super) owners: Owners,
    pub(super) max_pods: u16,
    pub(super) share: Share,
    pub(super) host_events: bool,
}

/// Cordons the node that the verified pod is on and evicts its pods.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Drain")]
pub(in crate::act) struct Written {
    /// Has to be `true`, so that nobody drains by accident.
    #[serde(default)]
    evicts_pods: bool,
    /// Whose pods are evicted, as in `delete`. `[ReplicaSet]` if left out.
    owners: Option<Vec<String>>,
    /// Refused where more would be evicted.
    #[serde(default = "max_pods")]
    max_pods: u16,
    /// How many of all nodes may be held at once. `25%` if left out.
    #[serde(default)]
    max_share: WrittenShare,
    /// Also answers events of a host, on the node that `hostname` names.
    #[serde(default)]
    host_events: bool,
}

fn max_pods() -> u16 {
    50
}

impl DrainConfig {
    pub(super) fn read(config: &Value) -> Result<DrainConfig, ConfigError> {
        let Written { evicts_pods, owners, max_pods, max_share, host_events } =
            config::read(config)?;
        if !evicts_pods {
            let why =
                "a drain takes every pod off the node that it may, the innocent ones first of all";
            return Err(ConfigError::new(why)
                .help("write `drain: {evictsPods: true}` if that is meant; `cordon` and `taint` keep new pods off")
                .at("evictsPods"));
        }
        if max_pods == 0 {
            let why = "no pod could ever be evicted";
            return Err(ConfigError::new(why).help("let maxPods be 1 or more").at("maxPods"));
        }
        let owners = Owners::read(owners.as_deref()).map_err(|error| error.at("owners"))?;
        Ok(DrainConfig { owners, max_pods, share: max_share.read()?, host_events })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_drain_has_to_be_meant() {
        let table = [
            (json!({}), "evictsPods", "evictsPods: true"),
            (json!({"evictsPods": false}), "evictsPods", "evictsPods: true"),
            (json!({"evictsPods": true, "maxPods": 0}), "maxPods", "1 or more"),
            (json!({"evictsPods": true, "owners": []}), "owners", "no owner"),
            (json!({"evictsPods": true, "maxShare": "half"}), "maxShare", "25%"),
            (json!({"evictsPods": true, "force": true}), "force", "unknown key"),
        ];
        for (config, path, words) in table {
            let error = DrainConfig::read(&config).unwrap_err();
            assert_eq!(error.path.to_string(), path, "{config}");
            let text = format!("{} {}", error.message, error.help);
            assert!(text.contains(words), "{config}: {text}");
        }
        assert!(DrainConfig::read(&json!({"evictsPods": true})).is_ok());
    }
}
