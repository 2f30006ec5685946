//! `call`: posts the event to a function that somebody else has written.

mod functions;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;

use functions::Function;
pub use functions::{FunctionConfig, Functions};

use crate::act::{
    action::{Action, Context, Subject},
    config::{self, ConfigError},
    digest::digest,
    notify::http::{self, Trouble},
    outcome::{Dependency, Failure, Outcome},
};

/// The configured action.
pub(in crate::act) struct Call {
    name: String,
    function: Arc<Function>,
}

/// Posts the event to a function of yours.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Call")]
pub(in crate::act) struct Written {
    /// One of the configuration's, by name.
    function: String,
}

impl Call {
    /// Reads the configuration; `function` has to be one's name.
    pub(in crate::act) fn configure(
        config: &Value,
        functions: &Functions,
    ) -> Result<Call, ConfigError> {
        let Written { function: name } = config::read(config)?;
        let function = functions.get(&name).map_err(|error| error.at("function"))?;
        Ok(Call { name, function })
    }

    /// The event's own bytes go into the body alone: no header has any of them.
    async fn post(&self, cx: &Context<'_>) -> Result<Outcome, Failure> {
        let (event, function) = (cx.occurrence, &self.function);
        let event_id = event.id.to_string();
        let mut request = function
            .client
            .post(function.url.expose_secret())
            .headers(function.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", digest(&[&event_id, cx.playbook, &self.name]))
            // CloudEvents in binary mode, as Knative wants it; the names are Falcosidekick's.
            .header("ce-specversion", "1.0")
            .header("ce-type", "falco.rule.output.v1")
            .header("ce-source", "https://falco.org")
            .header("ce-id", event_id)
            .header("ce-time", event.time.to_string());
        if let Some(token) = &function.token {
            let token = http::bearer(token)
                .map_err(|error| Failure::transient(format!("{}: token: {error}", self.name)))?;
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(trace) = &event.trace {
            request = request.header("traceparent", trace.as_str());
        }
        let sent = request.body(event.payload.clone()).send();
        let answer = match tokio::time::timeout_at(cx.limit.calls, sent).await {
            Ok(sent) => http::accepted(sent).await,
            Err(_) => Err(Trouble::Unanswered("no answer in time".to_owned())),
        };
        let answer = answer.map_err(|trouble| self.failure(trouble))?;
        Ok(Outcome::Applied(format!("function {} answered {}", self.name, answer.status())))
    }

    /// A function is somebody's own code: that it fails is this event's trouble, that nobody is there is everybody's.
    fn failure(&self, trouble: Trouble) -> Failure {
        let named = |why| format!("function {}: {why}", self.name);
        match trouble {
            Trouble::Unfit(why) => Failure::permanent(named(why)),
            Trouble::Unreached(why) => {
                Failure::unavailable(Dependency::Function(self.name.clone()), named(why))
            }
            Trouble::Unanswered(why) => Failure::transient(named(why)),
            Trouble::Refused { status, why, .. } if status.is_redirection() => Failure::permanent(
                named(format!("{why}; no redirect is followed: set its last URL")),
            ),
            Trouble::Refused { status, wait, why } => {
                match status.is_server_error() || status.as_u16() == 429 {
                    true => Failure::transient(named(why)).after(wait),
                    false => Failure::permanent(named(why)),
                }
            }
        }
    }
}

#[async_trait]
impl Action for Call {
    fn name(&self) -> &'static str {
        "call"
    }

    fn describe(&self) -> String {
        format!("call the function {}", self.name)
    }

    fn needs_target(&self) -> bool {
        false
    }

    fn changes_cluster(&self) -> bool {
        false
    }

    fn answers_each_event(&self) -> bool {
        true
    }

    async fn apply(&self, cx: &Context<'_>, _: Subject<'_>) -> Outcome {
        self.post(cx).await.unwrap_or_else(Outcome::from)
    }
}
