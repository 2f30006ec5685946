//! The functions that playbooks may call: where they are, and what they want to be shown.
//!
//! They stand in the worker's configuration and not in playbooks: whoever may write a playbook must not be able to have
//! the worker's files or environment sent somewhere.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use reqwest::{
    Client,
    header::{AUTHORIZATION, HeaderMap},
};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use settings::{Secret, Span};

use crate::act::{
    config::ConfigError,
    notify::{http, secret},
};

/// One entry of `functions`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FunctionConfig {
    /// Where to POST: the URL of a function of Kubeless, OpenFaaS, Knative, Cloud Run, or whatever answers with 2xx.
    pub url: Secret,
    /// Shown as `Authorization: Bearer`; read anew for each call.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Headers to send along.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long it may take to answer, within `limits.actionTimeout`.
    #[serde(default)]
    pub timeout: Option<Span>,
}

/// A function that can be called.
pub(super) struct Function {
    pub(super) client: Client,
    pub(super) url: SecretString,
    pub(super) token: Option<Secret>,
    pub(super) headers: HeaderMap,
}

/// All functions by name.
#[derive(Default)]
pub struct Functions(BTreeMap<String, Arc<Function>>);

impl Functions {
    /// Builds what is configured; `limit` bounds each call.
    ///
    /// # Errors
    ///
    /// Where a secret or URL can't be used.
    pub fn new(
        configs: &BTreeMap<String, FunctionConfig>,
        limit: Duration,
    ) -> Result<Functions, ConfigError> {
        let functions = configs.iter().map(|(name, config)| {
            let function = Function::new(config, limit).map_err(|error| error.at(name))?;
            Ok((name.clone(), Arc::new(function)))
        });
        functions.collect::<Result<_, _>>().map(Functions)
    }

    /// The function of this name.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Function>, ConfigError> {
        self.0.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.0.keys().map(String::as_str).collect();
            let help = match known.as_slice() {
                [] => "add it to `functions` of the configuration".to_owned(),
                known => format!("configured are: {}", known.join(", ")),
            };
            ConfigError::new(format!("there is no function `{name}`")).help(help)
        })
    }
}

impl Function {
    fn new(config: &FunctionConfig, limit: Duration) -> Result<Function, ConfigError> {
        let timeout = config.timeout.map_or(limit, |timeout| timeout.0.min(limit));
        if timeout.is_zero() {
            return Err(ConfigError::new("every call would fail at once")
                .at("timeout")
                .help("such as 10s"));
        }
        let headers = http::headers(&config.headers)?;
        if let Some(token) = &config.token {
            http::bearer(token).map_err(|error| error.at("token"))?;
            if headers.contains_key(AUTHORIZATION) {
                return Err(ConfigError::new(
                    "the token and the header are sent as one and the same",
                )
                .at("Authorization")
                .at("headers")
                .help("set only one of token and headers.Authorization"));
            }
        }
        Ok(Function {
            client: http::client(timeout)?,
            url: secret::url(&config.url).map_err(|error| error.at("url"))?,
            token: config.token.clone(),
            headers,
        })
    }
}
