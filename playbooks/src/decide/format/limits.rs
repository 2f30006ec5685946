//! What bounds a playbook.

use settings::Span;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A playbook's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How old an event may be when its response starts; `None` leaves it to the actions.
    pub max_event_age: Option<Duration>,
    /// How many targets it may answer in a window.
    pub budget: Option<Budget>,
    /// How long after a response ended well another event of the same target joins it.
    pub cooldown: Duration,
    /// How often a transient failure is tried, the first time included.
    pub attempts: u32,
    /// How long all attempts may take together.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_event_age: None,
            budget: None,
            cooldown: Duration::from_secs(60),
            attempts: 5,
            timeout: Duration::from_secs(600),
        }
    }
}

/// At most `count` targets in `window`, for each `scope`: `10 per 5m per namespace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many.
    pub count: u32,
    /// In which time.
    pub window: Duration,
    /// For each of what.
    pub scope: BudgetScope,
}

/// What a budget is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BudgetScope {
    /// The playbook as a whole: the default.
    Playbook,
    /// Each namespace.
    Namespace,
    /// Each owner, such as a Deployment.
    Owner,
    /// Each node.
    Node,
    /// The cluster, over all playbooks.
    Cluster,
    /// Each Falco rule.
    Rule,
}

impl BudgetScope {
    const ALL: [BudgetScope; 6] = [
        BudgetScope::Playbook,
        BudgetScope::Namespace,
        BudgetScope::Owner,
        BudgetScope::Node,
        BudgetScope::Cluster,
        BudgetScope::Rule,
    ];

    /// The name as it is written in a playbook.
    pub const fn as_str(self) -> &'static str {
        match self {
            BudgetScope::Playbook => "playbook",
            BudgetScope::Namespace => "namespace",
            BudgetScope::Owner => "owner",
            BudgetScope::Node => "node",
            BudgetScope::Cluster => "cluster",
            BudgetScope::Rule => "rule",
        }
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable =
            || format!("expected a budget such as `10 per 5m per namespace`, found `{text}`");
        let words: Vec<&str> = text.split_whitespace().collect();
        let (count, window, scope) = match words.as_slice() {
            [count, "per", window] => (count, window, "playbook"),
            [count, "per", window, "per", scope] => (count, window, *scope),
            _ => return Err(unreadable()),
        };
        let count = count.parse().ok().filter(|count| *count > 0).ok_or_else(unreadable)?;
        let window =
            Span::parse(window).ok().filter(|window| !window.0.is_zero()).ok_or_else(unreadable)?;
        let scope = BudgetScope::ALL.into_iter().find(|known| known.as_str() == scope).ok_or_else(
            || {
                let known = BudgetScope::ALL.map(BudgetScope::as_str).join(", ");
                format!("a budget is counted per one of {known}, not per `{scope}`")
            },
        )?;
        Ok(Budget { count, window: window.0, scope })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = humantime::format_duration(self.window);
        write!(f, "{} per {window} per {}", self.count, self.scope.as_str())
    }
}
