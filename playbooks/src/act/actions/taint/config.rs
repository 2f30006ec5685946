//! The keys of `taint`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::act::{
    actions::{
        names,
        node::{Share, Taint, WrittenShare},
    },
    config::{self, ConfigError},
};

/// What was configured, understood.
#[derive(Debug)]
pub(super) struct TaintConfig {
    pub(super) taint: Taint,
    pub(super) evicts_pods: bool,
    pub(super) share: Share,
    pub(super) host_events: bool,
}

/// Puts a taint on the node that the verified pod is on.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Taint")]
pub(in crate::act) struct Written {
    /// Not one of Kubernetes' own.
    #[serde(default = "suspect")]
    key: String,
    /// As a label's.
    #[serde(default)]
    value: String,
    /// Whether pods are kept off, or taken off.
    #[serde(default)]
    effect: Effect,
    /// Has to be `true` with `NoExecute`.
    #[serde(default)]
    evicts_pods: bool,
    /// How many of all nodes may be held at once. `25%` if left out.
    #[serde(default)]
    max_share: WrittenShare,
    /// Also answers events of a host, on the node that `hostname` names.
    #[serde(default)]
    host_events: bool,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Default, PartialEq, Eq)]
enum Effect {
    #[default]
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

fn suspect() -> String {
    "stoop.dev/suspect".to_owned()
}

impl TaintConfig {
    pub(super) fn read(config: &Value) -> Result<TaintConfig, ConfigError> {
        let Written { key, value, effect, evicts_pods, max_share, host_events } =
            config::read(config)?;
        names::qualified(&key).map_err(|error| error.at("key"))?;
        if names::is_kubernetes(&key) {
            let why = format!("`{key}`: Kubernetes sets and takes off taints of its own there");
            return Err(ConfigError::new(why).help("take a key of your own").at("key"));
        }
        names::label_value(&value).map_err(|error| error.at("value"))?;
        match (effect, evicts_pods) {
            (Effect::NoExecute, false) => {
                let why = "NoExecute takes pods off the node at once, past every disruption budget, \
                           and what could be learned from them is gone";
                return Err(ConfigError::new(why)
                    .help("take NoSchedule, or add `evictsPods: true` if that is meant")
                    .at("effect"));
            }
            (Effect::NoSchedule | Effect::PreferNoSchedule, true) => {
                return Err(ConfigError::new("only the effect NoExecute takes pods off the node")
                    .help("leave evictsPods out")
                    .at("evictsPods"));
            }
            _ => {}
        }
        let effect = match effect {
            Effect::NoSchedule => "NoSchedule",
            Effect::PreferNoSchedule => "PreferNoSchedule",
            Effect::NoExecute => "NoExecute",
        };
        let share = max_share.read()?;
        Ok(TaintConfig { taint: Taint { key, value, effect }, evicts_pods, share, host_events })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place_and_the_fix() {
        let table = [
            (json!({"effect": "NoExecute"}), "effect", "evictsPods: true"),
            (json!({"effect": "noschedule"}), "effect", "NoSchedule"),
            (json!({"evictsPods": true}), "evictsPods", "NoExecute"),
            (json!({"key": "node.kubernetes.io/unreachable"}), "key", "Kubernetes"),
            (json!({"key": "a b"}), "key", "letters"),
            (json!({"value": "a b"}), "value", "letters"),
            (json!({"maxShare": "0%"}), "maxShare", "25%"),
            (json!({"maxShare": 3}), "maxShare", "string"),
            (json!({"share": "3%"}), "share", "unknown key"),
        ];
        for (config, path, words) in table {
            let error = TaintConfig::read(&config).unwrap_err();
            assert_eq!(error.path.to_string(), path, "{config}");
            let text = format!("{} {}", error.message, error.help);
            assert!(text.contains(words), "{config}: {text}");
        }
    }

    #[test]
    fn every_key_has_a_default() {
        let read = TaintConfig::read(&json!({})).unwrap();
        assert_eq!(read.taint.effect, "NoSchedule");
        assert_eq!(read.taint.key, "stoop.dev/suspect");
        assert!(!read.evicts_pods && !read.host_events);
    }
}
