//! The operators and functions an expression may use.

use cel::common::ast::operators;

/// What a function gives, as far as its size goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    /// A boolean, a number, a time: of constant size.
    Scalar,
    /// One of its arguments, a part of one, or all of them together.
    Part,
    /// An argument written as text or bytes.
    Text,
}

/// What a function or an operator gives; `None` if CEL's standard library has none of that name.
pub(super) fn gives(name: &str) -> Option<Gives> {
    use operators::{
        ADD, CONDITIONAL, DIVIDE, EQUALS, GREATER, GREATER_EQUALS, IN, INDEX, LESS, LESS_EQUALS,
        LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR, MODULO, MULTIPLY, NEGATE, NOT_EQUALS,
        NOT_STRICTLY_FALSE, SUBSTRACT,
    };
    Some(match name {
        LOGICAL_AND | LOGICAL_OR | LOGICAL_NOT | NOT_STRICTLY_FALSE => Gives::Scalar,
        EQUALS | NOT_EQUALS | GREATER | GREATER_EQUALS | LESS | LESS_EQUALS | IN => Gives::Scalar,
        SUBSTRACT | MULTIPLY | DIVIDE | MODULO | NEGATE => Gives::Scalar,
        "size" | "contains" | "startsWith" | "endsWith" | "matches" => Gives::Scalar,
        "int" | "uint" | "double" | "bool" | "type" | "timestamp" | "duration" => Gives::Scalar,
        "getFullYear" | "getMonth" | "getDate" | "getDayOfMonth" | "getDayOfWeek"
        | "getDayOfYear" => Gives::Scalar,
        "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds" => Gives::Scalar,
        ADD | CONDITIONAL | INDEX | "dyn" => Gives::Part,
        "string" | "bytes" => Gives::Text,
        _ => return None,
    })
}
