//! `when`: a CEL expression over the event.
//!
//! `compile` refuses what could hurt the process, `cost` is how it knows, `needs` is what spares
//! evaluating it, `patterns` prepares regular expressions, `variables` is what an expression sees.

mod compile;
mod cost;
mod functions;
mod needs;
mod patterns;
mod variables;

use super::selector::FieldMatch;
use crate::decide::{Event, Fields};
use cel::common::types::CelBool;
use cel::parser::Expression;
use cel::{Context, Env, Value};
use regex::Regex;
use std::fmt;
use std::sync::{Arc, LazyLock};
use variables::Variables;

/// A compiled expression that is safe to evaluate on any event, on any thread.
pub(super) struct When {
    written: String,
    expression: Expression,
    patterns: Vec<Regex>,
    uses: Vec<&'static str>,
    needs: Vec<FieldMatch>,
}

/// Why an expression is refused, and the fix.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) help: String,
}

impl Refused {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Refused {
        Refused { message: message.into(), help: help.into() }
    }

    fn too_deep() -> Refused {
        Refused::new(
            "nested too deeply",
            "split it over two playbooks, or use `fields`, `rules` and `tags`",
        )
    }
}

/// Building the standard library takes longer than an evaluation: it is shared.
static ENV: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

impl When {
    /// Compiles `source`.
    ///
    /// # Errors
    ///
    /// What is not CEL, names something that an event doesn't have, or could be made to cost too much.
    pub(super) fn compile(source: &str) -> Result<When, Refused> {
        compile::compile(source)
    }

    /// The fields that must have one of some texts for it to be true.
    pub(super) fn needs(&self) -> &[FieldMatch] {
        &self.needs
    }

    /// Whether it is true of an event.
    ///
    /// # Errors
    ///
    /// Why it can't be told: a type that doesn't fit, a result that is no boolean, an event that is too large.
    pub(super) fn holds(&self, event: &Event<'_>, fields: &Fields<'_>) -> Result<bool, String> {
        if !self.needs.iter().all(|need| need.holds(fields)) {
            return Ok(false);
        }
        let variables = Variables::new(event, fields, &self.patterns);
        variables.check(&self.uses)?;
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&variables);
        let value = Value::resolve_val(&self.expression, &context)
            .map_err(|error| short(&error.to_string()))?;
        match value.downcast_ref::<CelBool>() {
            Some(answer) => Ok(*answer.inner()),
            None => {
                Err(format!("evaluates to a {}, not to true or false", value.get_type().name()))
            }
        }
    }
}

/// An error's text can hold values of the event: keep it one short line.
fn short(error: &str) -> String {
    error.chars().take(256).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}
