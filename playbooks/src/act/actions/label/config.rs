//! The keys of `label` and `annotate`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::What;
use crate::act::{
    actions::names::{self, qualified},
    config::{self, ConfigError},
};

/// What was configured, understood.
#[derive(Debug, Clone)]
pub(super) struct LabelConfig {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) overwrite: bool,
}

/// Sets one label, or one annotation, of the verified pod.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Mark")]
pub(in crate::act) struct Written {
    /// A name, or a domain and a name: none of Kubernetes' own.
    key: String,
    /// As Kubernetes takes it.
    value: String,
    /// Replaces another value; it comes back when the change is taken back.
    #[serde(default)]
    overwrite: bool,
}

/// The longest annotation: it is read by people, and what is on a pod is copied to everyone who watches it.
const LONGEST: usize = 4096;

/// Keys that controllers select their pods by.
const SELECTED: [&str; 4] =
    ["pod-template-hash", "controller-revision-hash", "controller-uid", "job-name"];

impl LabelConfig {
    pub(super) fn read(config: &Value, what: What) -> Result<LabelConfig, ConfigError> {
        let Written { key, value, overwrite } = config::read(config)?;
        qualified(&key).map_err(|error| error.at("key"))?;
        if names::is_kubernetes(&key) || SELECTED.contains(&key.as_str()) {
            let why = format!("`{key}` belongs to Kubernetes and its controllers");
            return Err(ConfigError::new(why).help("take a key of your own").at("key"));
        }
        if names::is_stoops(&key) {
            let why = format!("`{key}`: stoop keeps its own notes under stoop.dev");
            return Err(ConfigError::new(why).help("take a key of your own").at("key"));
        }
        let checked = match what {
            What::Label => names::label_value(&value),
            What::Annotation => annotation(&value),
        };
        checked.map_err(|error| error.at("value"))?;
        Ok(LabelConfig { key, value, overwrite })
    }
}

fn annotation(value: &str) -> Result<(), ConfigError> {
    match value.len() <= LONGEST {
        true => Ok(()),
        false => Err(ConfigError::new(format!("the value is longer than {LONGEST} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        let long = "x".repeat(5000);
        let table = [
            (json!({"value": "x"}), What::Label, "", "key"),
            (json!({"key": "a", "value": "x", "vlaue": "y"}), What::Label, "vlaue", "unknown key"),
            (json!({"key": "a", "value": true}), What::Label, "value", "string"),
            (json!({"key": "a b", "value": "x"}), What::Label, "key", "letters"),
            (json!({"key": "a/b/c", "value": "x"}), What::Label, "key", "letters"),
            (json!({"key": "pod-template-hash", "value": "x"}), What::Label, "key", "controllers"),
            (
                json!({"key": "kubernetes.io/config.mirror", "value": "x"}),
                What::Annotation,
                "key",
                "Kubernetes",
            ),
            (
                json!({"key": "apps.kubernetes.io/pod-index", "value": "1"}),
                What::Label,
                "key",
                "Kubernetes",
            ),
            (json!({"key": "stoop.dev/labels", "value": "x"}), What::Annotation, "key", "notes"),
            (json!({"key": "a", "value": "two words"}), What::Label, "value", "letters"),
            (json!({"key": "a", "value": "%fields.x"}), What::Label, "value", "letters"),
            (json!({"key": "a", "value": long}), What::Annotation, "value", "4096"),
        ];
        for (config, what, path, words) in table {
            let error = LabelConfig::read(&config, what).unwrap_err();
            assert_eq!(error.path.to_string(), path, "{config}");
            let text = format!("{} {}", error.message, error.help);
            assert!(text.contains(words), "{config}: {text}");
        }
    }

    #[test]
    fn an_annotation_may_say_what_a_label_may_not() {
        let said = json!({"key": "acme.example/why", "value": "ask the security team, room 5"});
        assert!(LabelConfig::read(&said, What::Annotation).is_ok());
        assert!(LabelConfig::read(&said, What::Label).is_err());
    }
}
