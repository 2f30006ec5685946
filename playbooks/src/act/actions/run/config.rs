//! `run: {namespace, serviceAccount, template, parameters, wait}`, as it is written.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Run, parameter::Parameter, template::Template};
use crate::{
    act::{
        config::{self, ConfigError},
        digest::digest,
    },
    decide::{is_label, is_subdomain, yaml},
};

/// The largest template that is read from a file, in bytes: as much as the cluster would keep of it.
const LARGEST: u64 = 1 << 20;

/// Starts a Job, or a Tekton PipelineRun, of yours.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Run")]
pub(in crate::act) struct Written {
    /// Where it runs.
    namespace: String,
    /// As whom it runs.
    service_account: String,
    /// A `batch/v1` Job or a `tekton.dev/v1` PipelineRun; or `templateFile`.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    template: Option<Value>,
    /// The file that it is in, read when the playbook is.
    #[serde(default)]
    template_file: Option<PathBuf>,
    /// By name, where its value is from: `target.pod`, `event.rule`, an output field.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    /// The step ends when it does, well or ill.
    #[serde(default)]
    wait: bool,
}

impl Run {
    /// Reads the configuration, and the template from its file where it is in one.
    pub(in crate::act) fn configure(config: &Value) -> Result<Run, ConfigError> {
        let written: Written = config::read(config)?;
        if !is_label(&written.namespace) {
            let message = format!("`{}` can't be the name of a namespace", written.namespace);
            return Err(ConfigError::new(message).at("namespace").help("such as `forensics`"));
        }
        if !is_subdomain(&written.service_account) {
            let message = format!("`{}` can't be a service account", written.service_account);
            return Err(ConfigError::new(message)
                .at("serviceAccount")
                .help("name one of the namespace, with the rights that the work takes"));
        }
        let parameters = written.parameters.iter().map(|(name, from)| {
            Parameter::read(name, from).map_err(|error| error.at(name).at("parameters"))
        });
        let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        let (key, template) = match (written.template, written.template_file) {
            (Some(template), None) => ("template", template),
            (None, Some(file)) => ("templateFile", from_file(&file)?),
            _ => {
                return Err(ConfigError::new("one of template and templateFile has to be there")
                    .help("write the Job or PipelineRun below `template`, or name its file"));
            }
        };
        // As it was written: what it becomes may differ by version.
        let digest = digest(&[&config.to_string(), &template.to_string()]);
        let template = Template::read(template, &written.service_account, &parameters)
            .map_err(|error| error.at(key))?;
        Ok(Run {
            namespace: written.namespace,
            service_account: written.service_account,
            template,
            parameters,
            wait: written.wait,
            digest,
        })
    }
}

fn from_file(file: &Path) -> Result<Value, ConfigError> {
    let name = file.display().to_string();
    let text = text_of(file).map_err(|why| {
        ConfigError::new(format!("{name} can't be read: {why}"))
            .at("templateFile")
            .help("name a file that is there, seen from the working directory")
    })?;
    let read = yaml::parse(&name, &text);
    read.map(|located| located.value).map_err(|error| {
        ConfigError::new(format!("{name} is no YAML: {}", error.message())).at("templateFile")
    })
}

/// What a regular file says; a device or a pipe may never end.
fn text_of(file: &Path) -> Result<String, String> {
    let read = || {
        let found = fs::metadata(file)?;
        if !found.is_file() {
            return Ok(Err("it is no regular file".to_owned()));
        }
        let mut text = String::new();
        // It may grow meanwhile.
        fs::File::open(file)?.take(LARGEST + 1).read_to_string(&mut text)?;
        let is_whole = text.len() as u64 <= LARGEST;
        Ok(if is_whole { Ok(text) } else { Err(format!("it is larger than {LARGEST} bytes")) })
    };
    read().unwrap_or_else(|error: io::Error| Err(error.to_string()))
}
