//! Regular expressions, compiled once.
//!
//! The interpreter's `matches` compiles its pattern at each evaluation. Here `text.matches("…")` becomes
//! `text in @0`, where the name stands for a pattern that is ready.

use super::Refused;
use cel::ExecutionError;
use cel::common::ast::operators::IN;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue};
use cel::common::traits::Container;
use cel::common::types::{CelString, Type};
use cel::common::value::Val;
use cel::parser::Expression;
use regex::{Regex, RegexBuilder};

/// The longest pattern.
const LONGEST: usize = 256;

/// The most memory one compiled pattern may take: counted repetitions multiply.
const LARGEST: usize = 1 << 20;

/// The CEL function that takes a pattern.
pub(super) const MATCHES: &str = "matches";

/// Takes the patterns out of a tree that was found to be shallow.
pub(super) fn take(expression: &mut Expression, patterns: &mut Vec<Regex>) -> Result<(), Refused> {
    match &mut expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
        Expr::Call(call) => {
            call.target
                .as_deref_mut()
                .into_iter()
                .chain(&mut call.args)
                .try_for_each(|arg| take(arg, patterns))?;
            if call.func_name == MATCHES {
                *call = looked_up(std::mem::take(call), patterns)?;
            }
            Ok(())
        }
        Expr::Select(select) => take(&mut select.operand, patterns),
        Expr::List(list) => list.elements.iter_mut().try_for_each(|item| take(item, patterns)),
        Expr::Map(map) => {
            map.entries.iter_mut().try_for_each(|entry| take_entry(&mut entry.expr, patterns))
        }
        Expr::Struct(object) => {
            object.entries.iter_mut().try_for_each(|entry| take_entry(&mut entry.expr, patterns))
        }
        Expr::Comprehension(turns) => [
            &mut turns.iter_range,
            &mut turns.accu_init,
            &mut turns.loop_cond,
            &mut turns.loop_step,
            &mut turns.result,
        ]
        .into_iter()
        .try_for_each(|part| take(part, patterns)),
    }
}

fn take_entry(entry: &mut EntryExpr, patterns: &mut Vec<Regex>) -> Result<(), Refused> {
    match entry {
        EntryExpr::StructField(field) => take(&mut field.value, patterns),
        EntryExpr::MapEntry(entry) => {
            take(&mut entry.key, patterns)?;
            take(&mut entry.value, patterns)
        }
    }
}

/// `text.matches(pattern)`, or `matches(text, pattern)`, as a look into the compiled pattern.
fn looked_up(call: CallExpr, patterns: &mut Vec<Regex>) -> Result<CallExpr, Refused> {
    let mut args: Vec<Expression> =
        call.target.map(|target| *target).into_iter().chain(call.args).collect();
    let (Some(mut pattern), Some(text), true) = (args.pop(), args.pop(), args.is_empty()) else {
        return Err(Refused::new(
            "`matches` takes a text and a pattern",
            "write `fields[\"proc.name\"].matches(\"^ba?sh$\")`",
        ));
    };
    let Expr::Literal(LiteralValue::String(written)) = &pattern.expr else {
        return Err(Refused::new(
            "the pattern of `matches` is computed",
            "write the pattern as a string",
        ));
    };
    let name = format!("@{}", patterns.len());
    patterns.push(compile(written.inner())?);
    pattern.expr = Expr::Ident(name);
    Ok(CallExpr { func_name: IN.to_owned(), target: None, args: vec![text, pattern] })
}

fn compile(pattern: &str) -> Result<Regex, Refused> {
    if pattern.len() > LONGEST {
        return Err(Refused::new(
            "the pattern is too long",
            format!("keep it to {LONGEST} characters"),
        ));
    }
    RegexBuilder::new(pattern).size_limit(LARGEST).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Refused::new(
            format!("the pattern `{pattern}` becomes too large"),
            "repeat less, such as `a+` for `a{1000}`",
        ),
        // The last line says what is wrong; those before it draw where.
        error => {
            let why = error.to_string();
            let why =
                why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Refused::new(
                format!("the pattern `{pattern}` can't be read: {why}"),
                "see the syntax of Rust's regex crate",
            )
        }
    })
}

static TYPE: Type = Type::new_unspecified_type("pattern");

/// A compiled pattern as a value that texts are looked up in.
#[derive(Debug)]
pub(super) struct Pattern<'e>(pub(super) &'e Regex);

impl Val for Pattern<'_> {
    fn get_type(&self) -> &Type {
        &TYPE
    }

    fn cel_type() -> &'static Type {
        &TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(Pattern(self.0))
    }
}

impl Container for Pattern<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        match value.downcast_ref::<CelString>() {
            Some(text) => Ok(self.0.is_match(text.inner())),
            None => Err(ExecutionError::UnexpectedType {
                got: value.get_type().name().to_owned(),
                want: "string".to_owned(),
            }),
        }
    }
}
