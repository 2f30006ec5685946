//! `maxShare`: how many of the nodes may be held at once.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::act::config::ConfigError;

/// A share of the nodes, as playbooks write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::act::actions) struct Share(u32);

/// `maxShare`, below an action.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(in crate::act::actions) struct WrittenShare(Option<String>);

impl WrittenShare {
    pub(in crate::act::actions) fn read(&self) -> Result<Share, ConfigError> {
        let Some(text) = &self.0 else { return Ok(Share(25)) };
        let percent = text.trim().strip_suffix('%').and_then(|text| text.trim().parse().ok());
        match percent {
            Some(percent @ 1..=100) => Ok(Share(percent)),
            _ => Err(ConfigError::new(format!("maxShare can't be `{text}`"))
                .help("write a share of the nodes such as `25%`, from 1% to 100%")
                .at("maxShare")),
        }
    }
}

impl Share {
    /// How many of so many nodes that is: rounded down, and at least one, or small clusters could hold none.
    pub(super) fn of(self, nodes: usize) -> usize {
        (nodes * self.0 as usize / 100).max(1)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_at_least_one() {
        let of = |percent, nodes| Share(percent).of(nodes);
        assert_eq!([of(25, 3), of(25, 4), of(25, 7), of(25, 8)], [1, 1, 1, 2]);
        assert_eq!([of(100, 3), of(1, 1000), of(50, 0)], [3, 10, 1]);
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["0%", "101%", "5", "half", "-1%", ""] {
            let read = WrittenShare(Some(text.to_owned())).read();
            assert_eq!(read.unwrap_err().path.to_string(), "maxShare", "{text}");
        }
        assert_eq!(WrittenShare(None).read().map(|share| share.to_string()), Ok("25%".into()));
    }
}
