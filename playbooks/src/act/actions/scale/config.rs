//! The keys of `scale`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::act::config::{self, ConfigError};

/// Scales down the Deployment that the verified pod belongs to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Scale")]
pub(in crate::act) struct ScaleConfig {
    /// How many pods are left.
    #[serde(default)]
    pub(super) replicas: u16,
    /// The largest Deployment that may be scaled, by the pods that it wants.
    pub(super) largest: Option<u16>,
    /// True where one that an autoscaler looks after may be scaled as well.
    #[serde(default)]
    pub(super) autoscaled: bool,
}

impl ScaleConfig {
    pub(super) fn read(config: &Value) -> Result<ScaleConfig, ConfigError> {
        let read: ScaleConfig = config::read(config)?;
        if read.largest.is_some_and(|largest| largest <= read.replicas) {
            let why = "every Deployment that could be scaled down is larger than that";
            return Err(ConfigError::new(why)
                .help("let `largest` be more than `replicas`")
                .at("largest"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        let table = [
            (json!({"replicas": -1}), "replicas"),
            (json!({"replicas": "none"}), "replicas"),
            (json!({"replicas": 3, "largest": 3}), "largest"),
            (json!({"largest": 0}), "largest"),
            (json!({"to": 0}), "to"),
        ];
        for (config, path) in table {
            assert_eq!(ScaleConfig::read(&config).unwrap_err().path.to_string(), path, "{config}");
        }
        assert_eq!(ScaleConfig::read(&json!({})).unwrap().replicas, 0);
    }
}
