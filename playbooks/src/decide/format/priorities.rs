//! Which priorities a playbook answers: `>= Notice`, `Notice`, `[Notice, Warning]`.

use crate::decide::Priority;
use crate::decide::yaml::closest;

/// A set of priorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priorities(u8);

impl Priorities {
    /// All of them.
    pub const ALL: Priorities = Priorities(u8::MAX);

    /// Whether `priority` is one of them.
    pub const fn contain(self, priority: Priority) -> bool {
        self.0 & priority.bit() != 0
    }

    /// The set as bits, [`Priority::bit`] each.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// Reads one condition: a name, alone or after one of `==`, `>=`, `<=`, `>` and `<`.
    pub(crate) fn parse(text: &str) -> Result<Priorities, (String, String)> {
        let text = text.trim();
        let split = text.find(|c: char| !matches!(c, '<' | '>' | '=' | '!')).unwrap_or(text.len());
        let (operator, name) = text.split_at(split);
        let bound: Priority = name.trim().parse().map_err(|_| {
            let names = Priority::ALL.map(Priority::as_str);
            let help = match closest(name.trim(), names) {
                Some(close) => format!(
                    "did you mean `{}{}{close}`?",
                    operator,
                    if operator.is_empty() { "" } else { " " }
                ),
                None => format!("one of {}", names.join(", ")),
            };
            (format!("expected a priority such as `>= Notice`, found `{text}`"), help)
        })?;
        let holds: fn(Priority, Priority) -> bool = match operator {
            "" | "=" | "==" => |a, b| a == b,
            ">=" => |a, b| a >= b,
            "<=" => |a, b| a <= b,
            ">" => |a, b| a > b,
            "<" => |a, b| a < b,
            "!=" => |a, b| a != b,
            _ => {
                return Err((
                    format!("unknown comparison `{operator}`"),
                    "use one of >=, >, ==, !=, <=, <".to_owned(),
                ));
            }
        };
        let set = Priorities::from_iter(
            Priority::ALL.into_iter().filter(|priority| holds(*priority, bound)),
        );
        match set.0 {
            0 => {
                Err((format!("`{text}` is true of no priority"), "widen the comparison".to_owned()))
            }
            _ => Ok(set),
        }
    }

    /// Either set's priorities.
    #[must_use]
    pub(crate) const fn or(self, other: Priorities) -> Priorities {
        Priorities(self.0 | other.0)
    }

    /// None of them.
    pub(crate) const NONE: Priorities = Priorities(0);
}

impl FromIterator<Priority> for Priorities {
    fn from_iter<I: IntoIterator<Item = Priority>>(priorities: I) -> Self {
        Priorities(priorities.into_iter().fold(0, |bits, priority| bits | priority.bit()))
    }
}
