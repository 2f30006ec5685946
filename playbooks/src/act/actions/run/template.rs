//! The operator's Job or PipelineRun: what it may say, and how parameters get into it without becoming its text.

#![allow(
    clippy::indexing_slicing,
    reason = "a `Value` that is indexed by name gives null, or takes it: all of these are objects"
)]

use k8s_openapi::api::batch::v1::Job;
use kube::core::{ApiResource, GroupVersionKind};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::{
    object::Identity,
    parameter::{Parameter, for_environment, for_pipeline},
};
use crate::act::{actions::names, config::ConfigError};

/// How long a Job that is over is kept: longer than any event is answered again, or it would run again.
const KEPT: u64 = 24 * 60 * 60;
const KEPT_AT_LEAST: u64 = 60 * 60;

/// What Job parameters are called: any other name could change how programs run, as `PATH` and `LD_PRELOAD` do.
const PREFIX: &str = "EVENT_";

/// A kind of object that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    kind: &'static str,
}

impl Kind {
    pub(super) const JOB: Kind =
        Kind { group: "batch", version: "v1", plural: "jobs", kind: "Job" };
    pub(super) const PIPELINE_RUN: Kind =
        Kind { group: "tekton.dev", version: "v1", plural: "pipelineruns", kind: "PipelineRun" };

    pub(super) fn as_str(&self) -> &'static str {
        self.kind
    }

    pub(super) fn is_job(&self) -> bool {
        *self == Kind::JOB
    }

    pub(super) fn resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }

    fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }
}

/// A template that can be filled.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) kind: Kind,
    metadata: Map<String, Value>,
    spec: Value,
}

impl Template {
    pub(super) fn read(
        written: Value,
        account: &str,
        parameters: &[Parameter],
    ) -> Result<Template, ConfigError> {
        let is = |kind: &Kind| {
            written["apiVersion"] == kind.api_version() && written["kind"] == kind.kind
        };
        let Some(kind) = [Kind::JOB, Kind::PIPELINE_RUN].into_iter().find(is) else {
            return Err(ConfigError::new("neither a Job nor a PipelineRun").at("kind").help(
                "apiVersion batch/v1 and kind Job, or apiVersion tekton.dev/v1 and kind PipelineRun",
            ));
        };
        let Value::Object(mut written) = written else {
            return Err(ConfigError::new("no object"));
        };
        let metadata = read_metadata(written.remove("metadata"))?;
        let spec = written.remove("spec").unwrap_or_default();
        let known = ["apiVersion", "kind"];
        if let Some(other) = written.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(ConfigError::new(format!("`{other}` is not for a template to say"))
                .at(other)
                .help("apiVersion, kind, metadata and spec"));
        }
        let template = Template { kind, metadata, spec };
        match template.kind.is_job() {
            true => template.check_job(account, parameters),
            false => template.check_pipeline_run(account, parameters),
        }
        .map_err(|error| error.at("spec"))?;
        Ok(template)
    }

    fn check_job(&self, account: &str, parameters: &[Parameter]) -> Result<(), ConfigError> {
        // The server says it as well, but not before there is an attack to answer.
        Job::deserialize(json!({"apiVersion": "batch/v1", "kind": "Job", "spec": self.spec}))
            .map_err(|error| ConfigError::new(format!("no Job's: {error}")))?;
        let pod = &self.spec["template"]["spec"];
        for key in ["serviceAccountName", "serviceAccount"] {
            check_account(&pod[key], account)
                .map_err(|error| error.at(key).at("spec").at("template"))?;
        }
        let kept = self.spec["ttlSecondsAfterFinished"].as_u64();
        if kept.is_some_and(|kept| kept < KEPT_AT_LEAST) {
            return Err(ConfigError::new("an event that comes again would start it again")
                .at("ttlSecondsAfterFinished")
                .help("at least 3600; a day if left out"));
        }
        let containers: Vec<_> = containers(&self.spec).collect();
        let has_none = pod["containers"].as_array().is_some_and(Vec::is_empty);
        if containers.is_empty() || has_none {
            return Err(ConfigError::new("no containers")
                .at("containers")
                .at("spec")
                .at("template"));
        }
        for name in parameters.iter().map(Parameter::name) {
            check_variable(name)?;
            let defined = containers.iter().any(|container| {
                let env = container["env"].as_array();
                env.is_some_and(|env| env.iter().any(|variable| variable["name"] == name))
            });
            if defined {
                return Err(ConfigError::new(format!("{name} is defined by the template"))
                    .help("take it out of the template, or call the parameter another name"));
            }
            if mentions(&self.spec, &format!("$({name})")) {
                return Err(ConfigError::new(format!(
                    "$({name}) would put what an attacker chose into the text of a command"
                ))
                .help(format!(
                    "read the environment variable in the program: \"${name}\" in a shell"
                )));
            }
        }
        Ok(())
    }

    fn check_pipeline_run(
        &self,
        account: &str,
        parameters: &[Parameter],
    ) -> Result<(), ConfigError> {
        if self.spec["pipelineRef"].is_null() == self.spec["pipelineSpec"].is_null() {
            return Err(ConfigError::new("one of pipelineRef and pipelineSpec has to be there"));
        }
        let (template, params) = (&self.spec["taskRunTemplate"], &self.spec["params"]);
        if !(template.is_null() || template.is_object()) {
            return Err(ConfigError::new("no object").at("taskRunTemplate"));
        }
        if !(params.is_null() || params.is_array()) {
            return Err(ConfigError::new("no list").at("params"));
        }
        check_account(&template["serviceAccountName"], account)
            .map_err(|error| error.at("serviceAccountName").at("taskRunTemplate"))?;
        let tasks = self.spec["taskRunSpecs"].as_array().into_iter().flatten();
        for task in tasks {
            check_account(&task["serviceAccountName"], account)
                .map_err(|error| error.at("taskRunSpecs"))?;
        }
        let own = params.as_array().into_iter().flatten();
        let own: Vec<_> = own.filter_map(|param| param["name"].as_str()).collect();
        for name in parameters.iter().map(Parameter::name) {
            names::qualified(name).map_err(|error| error.at("parameters"))?;
            if own.contains(&name) {
                return Err(ConfigError::new(format!("{name} is a param of the template"))
                    .at("params")
                    .help("take it out of the template, or call the parameter another name"));
            }
        }
        Ok(())
    }

    /// The object, with its parameters and its service account.
    pub(super) fn fill(
        &self,
        account: &str,
        values: Vec<(&str, String)>,
        identity: &Identity,
    ) -> Value {
        let mut spec = self.spec.clone();
        match self.kind.is_job() {
            true => fill_job(&mut spec, account, &values),
            false => {
                let values = values
                    .iter()
                    .map(|(name, value)| json!({"name": name, "value": for_pipeline(value)}));
                append(&mut spec, "params", values);
                spec["taskRunTemplate"]["serviceAccountName"] = json!(account);
            }
        }
        let mut metadata = self.metadata.clone();
        metadata.insert("name".to_owned(), json!(identity.name()));
        metadata.insert("namespace".to_owned(), json!(identity.namespace));
        let mut add = |key: &str, name: &str, value: &str| {
            let map = metadata.entry(key).or_insert_with(|| json!({}));
            map[name] = json!(value);
        };
        add("labels", "app.kubernetes.io/managed-by", "stoop");
        for (name, value) in identity.annotations() {
            add("annotations", name, value);
        }
        json!({
            "apiVersion": self.kind.api_version(), "kind": self.kind.kind,
            "metadata": metadata, "spec": spec,
        })
    }
}

fn fill_job(spec: &mut Value, account: &str, values: &[(&str, String)]) {
    if spec["ttlSecondsAfterFinished"].is_null() {
        spec["ttlSecondsAfterFinished"] = json!(KEPT);
    }
    let pod = &mut spec["template"]["spec"];
    pod["serviceAccountName"] = json!(account);
    for key in ["containers", "initContainers"] {
        for container in pod[key].as_array_mut().into_iter().flatten() {
            let values = values
                .iter()
                .map(|(name, value)| json!({"name": name, "value": for_environment(value)}));
            append(container, "env", values);
        }
    }
}

fn append(object: &mut Value, key: &str, values: impl Iterator<Item = Value>) {
    let list = &mut object[key];
    if !list.is_array() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut() {
        list.extend(values);
    }
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let pod = &spec["template"]["spec"];
    let all = ["containers", "initContainers"].map(|key| pod[key].as_array().into_iter().flatten());
    all.into_iter().flatten()
}

fn read_metadata(written: Option<Value>) -> Result<Map<String, Value>, ConfigError> {
    let metadata = match written.unwrap_or_default() {
        Value::Null => Map::new(),
        Value::Object(map) => map,
        _ => return Err(ConfigError::new("no object").at("metadata")),
    };
    for (key, value) in &metadata {
        let at = |error: ConfigError| error.at(key).at("metadata");
        if !matches!(key.as_str(), "labels" | "annotations") {
            let error = ConfigError::new(format!("`{key}` is not for a template to say"));
            return Err(at(
                error.help("its name is stoop's, its namespace stands beside the template")
            ));
        }
        let Some(map) = value.as_object() else {
            return Err(at(ConfigError::new("no object")));
        };
        if let Some(ours) = map.keys().find(|key| names::is_stoops(key)) {
            return Err(at(ConfigError::new(format!("`{ours}` is stoop's own"))));
        }
    }
    Ok(metadata)
}

fn check_account(written: &Value, account: &str) -> Result<(), ConfigError> {
    match written.is_null() || written == account {
        true => Ok(()),
        false => Err(ConfigError::new(format!("it is to run as {account}"))
            .help("leave it out: `serviceAccount` beside the template says it")),
    }
}

fn check_variable(name: &str) -> Result<(), ConfigError> {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    let is_inner = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    match !rest.is_empty() && rest.chars().all(is_inner) {
        true => Ok(()),
        false => Err(ConfigError::new(format!("`{name}` can't be a Job's parameter")).help(
            "EVENT_ and upper case letters, digits and `_`: any other variable could change how programs run, as PATH does",
        )),
    }
}

/// Whether a text anywhere in it has this in it.
fn mentions(json: &Value, text: &str) -> bool {
    match json {
        Value::String(string) => string.contains(text),
        Value::Array(values) => values.iter().any(|value| mentions(value, text)),
        Value::Object(map) => map.values().any(|value| mentions(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
