//! The identity of what is published: written in its body, so that whoever sees the body knows which one it is.

use std::fmt;

use jiff::Timestamp;
use serde_json::json;

/// What every event of the campaign is called.
pub const RULE: &str = "Fault campaign";

const MARK: &str = "evt-";
const DIGITS: usize = 8;

/// One published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u32);

impl Id {
    /// The one message without a body, which has no place for a number.
    pub const EMPTY: Self = Self(0);

    pub fn first() -> Self {
        Self(1)
    }

    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// A number that depends on nothing but this.
    pub fn number(self) -> u32 {
        self.0
    }

    /// A Falco event that says so.
    pub fn event(self) -> Vec<u8> {
        self.padded_event(0)
    }

    /// The same, longer by so many bytes.
    pub fn padded_event(self, padding: usize) -> Vec<u8> {
        let event = json!({
            "output": format!("{self} what happened"), "priority": "Notice", "rule": RULE,
            "time": Timestamp::now().to_string(), "source": "syscall", "tags": ["fault"],
            "output_fields": {"container.id": "host", "padding": "x".repeat(padding)},
            "hostname": "node-a",
        });
        event.to_string().into_bytes()
    }

    /// Whose body this is.
    pub fn of(body: &[u8]) -> Option<Self> {
        if body.is_empty() {
            return Some(Self::EMPTY);
        }
        let at = body.windows(MARK.len()).position(|window| window == MARK.as_bytes())?;
        let digits = body.get(at + MARK.len()..at + MARK.len() + DIGITS)?;
        std::str::from_utf8(digits).ok()?.parse().ok().map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{:0DIGITS$}", self.0)
    }
}

#[test]
fn an_id_is_found_in_every_body_that_has_it() {
    let id = Id::first().next();
    assert_eq!(Id::of(&id.event()), Some(id));
    assert_eq!(Id::of(&id.padded_event(100)), Some(id));
    assert_eq!(Id::of(format!("not json {id}").as_bytes()), Some(id));
    assert_eq!(Id::of(b""), Some(Id::EMPTY));
    assert_eq!(Id::of(b"evt-123"), None);
}
