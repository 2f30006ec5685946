//! The keys of `delete`.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;
use settings::Span;

use super::{healthy::MinHealthy, owners::Owners};
use crate::act::{
    api::Grace,
    config::{self, ConfigError},
};

/// What was configured, understood.
#[derive(Debug)]
pub(super) struct DeleteConfig {
    pub(super) grace: Option<Grace>,
    pub(super) evict: bool,
    pub(super) min_healthy: Option<MinHealthy>,
    pub(super) owners: Owners,
}

/// Removes the very pod that the event is about, so that its owner makes another one.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Delete")]
pub(in crate::act) struct Written {
    /// How long the pod may take to end, at least `1s`; the pod's own if left out.
    grace_period: Option<Span>,
    /// Goes through the eviction API, which respects PodDisruptionBudgets.
    #[serde(default)]
    evict: bool,
    /// So many pods of the owner (`2`, `50%`) have to stay ready after the delete.
    #[serde(default)]
    #[schemars(schema_with = "min_healthy")]
    min_healthy: Option<Value>,
    /// Whose pods may be deleted: kinds of owners, and `Standalone` for pods that nothing replaces. `[ReplicaSet]` if left out.
    owners: Option<Vec<String>>,
}

impl DeleteConfig {
    pub(super) fn read(config: &Value) -> Result<DeleteConfig, ConfigError> {
        let written: Written = config::read(config)?;
        let grace = written
            .grace_period
            .map(|span| grace(span.0))
            .transpose()
            .map_err(|error| error.at("gracePeriod"))?;
        let least = written.min_healthy.as_ref().map(MinHealthy::read).transpose();
        let min_healthy = least.map_err(|error| error.at("minHealthy"))?;
        let owners = Owners::read(written.owners.as_deref()).map_err(|error| error.at("owners"))?;
        if let (Some(_), Some(kind)) = (min_healthy, owners.uncountable()) {
            let why = format!("the healthy pods of {kind} can't be counted: all would be refused");
            let help = format!("take {kind} into a playbook without minHealthy");
            return Err(ConfigError::new(why).at("minHealthy").help(help));
        }
        Ok(DeleteConfig { grace, evict: written.evict, min_healthy, owners })
    }
}

fn min_healthy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^ *[0-9]+ *%? *$" })
}

fn grace(period: Duration) -> Result<Grace, ConfigError> {
    if period.subsec_nanos() != 0 {
        return Err(ConfigError::new("a grace period has whole seconds").help("write `5s`"));
    }
    u32::try_from(period.as_secs()).ok().and_then(Grace::new).ok_or_else(|| {
        ConfigError::new("the grace period must be at least 1s")
            .help("zero would remove the pod from the API while its processes may live on: write `1s` or more")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place_and_the_fix() {
        let table = [
            (json!({"gracePeriod": "0s"}), "gracePeriod", "at least 1s"),
            (json!({"gracePeriod": "500ms"}), "gracePeriod", "whole seconds"),
            (json!({"gracePeriod": 5}), "gracePeriod", "with its unit"),
            (json!({"gracePeriod": "200y"}), "gracePeriod", "at least 1s"),
            (json!({"grace": "5s"}), "grace", "unknown key"),
            (json!({"evict": "yes"}), "evict", "boolean"),
            (json!({"minHealthy": "150%"}), "minHealthy", "100%"),
            (json!({"minHealthy": -1}), "minHealthy", "minHealthy"),
            (json!({"minHealthy": "half"}), "minHealthy", "50%"),
            (json!({"minHealthy": 1, "owners": ["ReplicaSet", "Job"]}), "minHealthy", "Job"),
            (json!({"owners": []}), "owners", "no owner"),
            (json!({"owners": ["Replicaset"]}), "owners", "Replicaset"),
            (json!({"owners": ["CloneSet"]}), "owners", "CloneSet"),
            (json!({"owners": ["Node"]}), "owners", "Node"),
        ];
        for (config, path, words) in table {
            let Err(error) = DeleteConfig::read(&config) else { panic!("{config} was accepted") };
            assert_eq!(error.path.to_string(), path, "{config}");
            let text = format!("{} {}", error.message, error.help);
            assert!(text.contains(words), "{config}: {text}");
        }
    }

    #[test]
    fn every_key_has_a_default() {
        assert!(DeleteConfig::read(&json!({})).is_ok());
        let all = json!({"gracePeriod": "5s", "evict": true, "minHealthy": "50%", "owners": ["ReplicaSet", "Standalone"]});
        let read = DeleteConfig::read(&all).map(|config| config.grace.map(Grace::seconds));
        assert_eq!(read, Ok(Some(5)));
    }
}
