//! From text to a tree that is safe to keep, evaluate and drop.

use super::{ENV, Refused, When, cost};
use cel::common::ast::operators;
use std::thread;

/// The longest expression: far beyond what a person writes, and short enough for what follows.
const LONGEST: usize = 2048;

/// How deep brackets may be nested. Text in quotes counts too: being wrong there only means being strict.
const DEEPEST: usize = 24;

/// How many operators and dots there may be in all: each can be a level of the tree.
const MOST_OPERATORS: usize = 256;

/// The stack of the thread that parses. A parser that recurses aborts the process when its stack is used up,
/// so an unchecked text never meets an ordinary stack.
const STACK: usize = 256 << 20;

pub(super) fn compile(source: &str) -> Result<When, Refused> {
    shape(source)?;
    let failed = |why: String| Refused::new(why, "simplify the expression");
    thread::scope(|scope| {
        let parser = thread::Builder::new().name("cel".to_owned()).stack_size(STACK);
        // A tree that is refused is dropped over there, too.
        let parsed = parser
            .spawn_scoped(scope, || parse(source))
            .map_err(|error| failed(error.to_string()))?;
        parsed.join().unwrap_or_else(|_| Err(failed("the parser gave up on it".to_owned())))
    })
}

/// Refuses by its looks what is not worth parsing.
fn shape(source: &str) -> Result<(), Refused> {
    if source.trim().is_empty() {
        return Err(Refused::new("an empty expression", "take `when` away, or write a condition"));
    }
    if source.len() > LONGEST {
        return Err(Refused::new(
            format!("longer than {LONGEST} bytes"),
            "split it over several playbooks",
        ));
    }
    let (mut depth, mut deepest, mut operators) = (0usize, 0, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'?' | b'&' | b'|' | b'=' | b'<' | b'>'
            | b'.' => operators += 1,
            _ => {}
        }
    }
    if deepest > DEEPEST || operators > MOST_OPERATORS {
        return Err(Refused::new(
            "nested too deeply",
            "split it over two playbooks, or use `fields`, `rules` and `tags`",
        ));
    }
    Ok(())
}

fn parse(source: &str) -> Result<When, Refused> {
    let expression = ENV.parser().parse(source).map_err(|errors| {
        let first = errors.errors.first();
        let why = first.map_or_else(
            || "is not CEL".to_owned(),
            |error| {
                // The rest is the parser's list of every token it knows.
                let message = error.msg.split(" expecting ").next().unwrap_or_default();
                format!(
                    "is not CEL: {message}, at its line {} and column {}",
                    error.pos.0, error.pos.1
                )
            },
        );
        Refused::new(why, "write a CEL condition, such as `fields[\"user.name\"] == \"root\"`")
    })?;
    let uses = cost::check(&expression)?;
    Ok(When { written: source.to_owned(), expression, uses })
}

/// Whether `name` is an operator or one of CEL's standard functions.
pub(super) fn is_function(name: &str) -> bool {
    const OPERATORS: [&str; 19] = [
        operators::CONDITIONAL,
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::SUBSTRACT,
        operators::ADD,
        operators::MULTIPLY,
        operators::DIVIDE,
        operators::MODULO,
        operators::EQUALS,
        operators::NOT_EQUALS,
        operators::GREATER_EQUALS,
        operators::LESS_EQUALS,
        operators::GREATER,
        operators::LESS,
        operators::NEGATE,
        operators::INDEX,
        operators::NOT_STRICTLY_FALSE,
        operators::IN,
    ];
    const FUNCTIONS: [&str; 24] = [
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "int",
        "uint",
        "double",
        "string",
        "bool",
        "bytes",
        "type",
        "dyn",
        "timestamp",
        "duration",
        "getFullYear",
        "getMonth",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getHours",
        "getMinutes",
        "getSeconds",
    ];
    OPERATORS.contains(&name) || FUNCTIONS.contains(&name)
}
