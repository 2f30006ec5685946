//! `expireAfter`: when what an action has changed is taken back by itself. The same key for every action that can be.

use std::time::Duration;

use serde_json::Value;
use settings::Span;

use crate::act::{action::Action, config::ConfigError};

const KEY: &str = "expireAfter";

/// What a playbook says of one action's expiry.
pub(in crate::act) struct Expiry(Option<Duration>);

/// Takes the key out of an action's configuration, which doesn't know it.
///
/// # Errors
///
/// Where it is no length of time.
pub(in crate::act) fn take_expiry(config: &Value) -> Result<(Value, Expiry), ConfigError> {
    let mut rest = config.clone();
    let written = rest.as_object_mut().and_then(|keys| keys.remove(KEY));
    let Some(written) = written else { return Ok((rest, Expiry(None))) };
    let span = written.as_str().and_then(|text| Span::parse(text).ok());
    match span.filter(|span| !span.0.is_zero()) {
        Some(span) => Ok((rest, Expiry(Some(span.0)))),
        None => Err(ConfigError::new(format!("expected a length of time, found `{written}`"))
            .help("such as `1h` or `30m`")
            .at(KEY)),
    }
}

impl Expiry {
    /// When what this action has changed is to be taken back.
    ///
    /// # Errors
    ///
    /// Where that can't be.
    pub(in crate::act) fn judge(
        self,
        action: &dyn Action,
    ) -> Result<Option<Duration>, ConfigError> {
        match (self.0, action.undo()) {
            (Some(_), None) => {
                let why = format!("what `{}` does can't be taken back", action.name());
                Err(ConfigError::new(why).help("leave expireAfter out").at(KEY))
            }
            (expire_after, _) => Ok(expire_after),
        }
    }
}
