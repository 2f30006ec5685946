//! The keys of `isolate`.

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::{peers::Peer, proof::Accepted, restriction::Restriction, tier::Choice};
use crate::act::config::{self, ConfigError};

/// What was configured, understood.
#[derive(Debug)]
pub(super) struct IsolateConfig {
    pub(super) restriction: Restriction,
    /// The label by which the seeds' simple form chooses its pods.
    pub(super) by_label: Option<String>,
    pub(super) accept: Vec<Accepted>,
    /// The kind in which a policy denies the same on top.
    pub(super) choice: Choice,
}

/// Cuts the very pod off from the network.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Isolate")]
pub(in crate::act) struct Written {
    /// Cuts off only what the pod sends.
    egress_only: Option<bool>,
    /// Whom it may still talk to.
    #[serde(default)]
    allow: Allow,
    /// The simple form: denies egress to every pod of the namespace that has the same value of this label.
    deny_egress_by_label: Option<String>,
    /// What else than `Effective` is success.
    #[serde(default)]
    #[schemars(schema_with = "doubts")]
    accept: Vec<String>,
    /// A policy that denies on top, where the cluster serves one.
    #[serde(default)]
    tier: Choice,
}

/// Whom an isolated pod may still talk to.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Allow {
    /// Addresses, such as `10.20.0.0/16`.
    #[serde(default)]
    cidrs: Vec<String>,
    /// Namespaces, by name.
    #[serde(default)]
    namespaces: Vec<String>,
}

fn doubts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "enum": ["Partial", "Unproven"] } })
}

impl Allow {
    fn read(&self) -> Result<BTreeSet<Peer>, ConfigError> {
        let cidrs = self.cidrs.iter().map(|text| Peer::cidr(text).map_err(|it| it.at("cidrs")));
        let named = self.namespaces.iter();
        let named = named.map(|text| Peer::namespace(text).map_err(|it| it.at("namespaces")));
        cidrs.chain(named).collect()
    }
}

impl IsolateConfig {
    pub(super) fn read(config: &Value) -> Result<IsolateConfig, ConfigError> {
        let written: Written = config::read(config)?;
        let allowed = written.allow.read().map_err(|error| error.at("allow"))?;
        let by_label = written.deny_egress_by_label;
        if let Some(key) = &by_label {
            label_key(key).map_err(|error| error.at("denyEgressByLabel"))?;
            if written.egress_only == Some(false) {
                let why = "denyEgressByLabel cuts off egress alone";
                let help =
                    "leave egressOnly out, or isolate the one pod: leave denyEgressByLabel out";
                return Err(ConfigError::new(why).at("egressOnly").help(help));
            }
        }
        let restriction = match by_label.is_some() || written.egress_only == Some(true) {
            true => Restriction::egress_only(allowed),
            false => Restriction::both(allowed),
        };
        let accept = written.accept.iter().map(|word| accepted(word));
        let accept = accept.collect::<Result<_, _>>().map_err(|error| error.at("accept"))?;
        let choice = choice(written.tier, &restriction, by_label.is_some())?;
        Ok(IsolateConfig { restriction, by_label, accept, choice })
    }
}

/// A deny beats every allow, those of the allow-list too, so that there is one only where nobody is excepted.
fn choice(
    choice: Choice,
    restriction: &Restriction,
    by_label: bool,
) -> Result<Choice, ConfigError> {
    let why = match (by_label, restriction.has_exceptions()) {
        (false, false) => return Ok(choice),
        (true, _) => "denyEgressByLabel is a NetworkPolicy alone",
        (false, true) => {
            "what `allow` excepts would be denied all the same: a deny beats every allow"
        }
    };
    match choice {
        Choice::NetworkPolicy | Choice::Auto => Ok(Choice::NetworkPolicy),
        Choice::Cilium | Choice::ClusterNetworkPolicy => {
            Err(ConfigError::new(why).at("tier").help("leave one of the two out"))
        }
    }
}

fn accepted(word: &str) -> Result<Accepted, ConfigError> {
    let help = "one of Partial, Unproven";
    match word {
        "Partial" => Ok(Accepted::Partial),
        "Unproven" => Ok(Accepted::Unproven),
        "Ineffective" => {
            Err(ConfigError::new("Ineffective can't be accepted: nothing would be cut off")
                .help(help))
        }
        other => Err(ConfigError::new(format!("`{other}` is no result to accept")).help(help)),
    }
}

/// As the API server judges a label's key, near enough to find slips early.
fn label_key(key: &str) -> Result<(), ConfigError> {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let is_name = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match is_name {
        true => Ok(()),
        false => Err(ConfigError::new(format!("`{key}` is no label's key"))
            .help("write the key alone, such as `app`")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place_and_the_fix() {
        let table = [
            (json!({"egress": true}), "egress", "unknown key"),
            (json!({"egressOnly": "yes"}), "egressOnly", "boolean"),
            (json!({"allow": {"cidrs": ["10.0.0.1"]}}), "allow.cidrs", "10.20.0.0/16"),
            (json!({"allow": {"namespaces": ["team-*"]}}), "allow.namespaces", "no globs"),
            (json!({"allow": {"pods": []}}), "allow.pods", "unknown key"),
            (json!({"accept": ["partial"]}), "accept", "Partial, Unproven"),
            (json!({"accept": ["Ineffective"]}), "accept", "nothing would be cut off"),
            (json!({"denyEgressByLabel": "app=web"}), "denyEgressByLabel", "the key alone"),
            (json!({"denyEgressByLabel": ""}), "denyEgressByLabel", "the key alone"),
            (json!({"tier": "calico"}), "tier", "did you mean `cilium`?"),
            (
                json!({"tier": "cilium", "allow": {"namespaces": ["forensics"]}}),
                "tier",
                "a deny beats every allow",
            ),
            (
                json!({"tier": "clusterNetworkPolicy", "denyEgressByLabel": "app"}),
                "tier",
                "a NetworkPolicy alone",
            ),
            (
                json!({"denyEgressByLabel": "app", "egressOnly": false}),
                "egressOnly",
                "egress alone",
            ),
        ];
        for (config, path, words) in table {
            let Err(error) = IsolateConfig::read(&config) else { panic!("{config} was accepted") };
            assert_eq!(error.path.to_string(), path, "{config}");
            let text = format!("{} {}", error.message, error.help);
            assert!(text.contains(words), "{config}: {text}");
        }
    }

    #[test]
    fn both_directions_and_nobody_excepted_is_the_default() {
        let read = IsolateConfig::read(&json!({})).unwrap();
        assert_eq!(read.restriction, Restriction::both(BTreeSet::new()));
        assert_eq!(read.accept, []);
        assert_eq!(read.choice, Choice::NetworkPolicy);
        let auto = |mut config: Value| {
            config["tier"] = json!("auto");
            IsolateConfig::read(&config).unwrap().choice
        };
        assert_eq!(auto(json!({"egressOnly": true})), Choice::Auto);
        assert_eq!(auto(json!({"denyEgressByLabel": "app"})), Choice::NetworkPolicy);
        assert_eq!(auto(json!({"allow": {"cidrs": ["10.0.0.0/8"]}})), Choice::NetworkPolicy);
        let all = json!({
            "egressOnly": true, "accept": ["Partial", "Unproven"],
            "allow": {"cidrs": ["10.0.0.0/8", "fd00::/8"], "namespaces": ["forensics"]}
        });
        let read = IsolateConfig::read(&all).unwrap();
        assert_eq!(
            read.restriction.to_string(),
            "egress, but for 10.0.0.0/8, fd00::/8, namespace forensics"
        );
    }
}
