//! What must be so for an expression to be true.
//!
//! `fields["proc.name"] == "bash" && …` can only be true of an event with that field: such a playbook is found
//! by it, and needs no evaluation on any other event. In CEL `false && error` is false, in either order, so
//! nothing that would be reported is lost.

use crate::decide::matching::pattern::Patterns;
use crate::decide::matching::selector::FieldMatch;
use cel::common::ast::operators::{EQUALS, IN, INDEX, LOGICAL_AND};
use cel::common::ast::{Expr, LiteralValue};
use cel::parser::Expression;

/// The fields that must have one of some texts.
pub(super) fn of(expression: &Expression) -> Vec<FieldMatch> {
    let Expr::Call(call) = &expression.expr else { return Vec::new() };
    let [left, right] = call.args.as_slice() else { return Vec::new() };
    match call.func_name.as_str() {
        LOGICAL_AND => of(left).into_iter().chain(of(right)).collect(),
        EQUALS => equal(left, right).or_else(|| equal(right, left)).into_iter().collect(),
        IN => among(left, right).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn equal(field: &Expression, text: &Expression) -> Option<FieldMatch> {
    Some(FieldMatch { key: key(field)?.to_owned(), values: Patterns::exactly([literal(text)?]) })
}

fn among(field: &Expression, list: &Expression) -> Option<FieldMatch> {
    let Expr::List(list) = &list.expr else { return None };
    let texts: Option<Vec<&str>> = list.elements.iter().map(literal).collect();
    Some(FieldMatch { key: key(field)?.to_owned(), values: Patterns::exactly(texts?) })
}

/// The key of `fields["key"]`.
fn key(expression: &Expression) -> Option<&str> {
    let Expr::Call(call) = &expression.expr else { return None };
    match call.args.as_slice() {
        [of, key]
            if call.func_name == INDEX
                && matches!(&of.expr, Expr::Ident(name) if name == "fields") =>
        {
            literal(key)
        }
        _ => None,
    }
}

fn literal(expression: &Expression) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
