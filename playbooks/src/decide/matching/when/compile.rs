//! From text to a tree that is safe to keep, evaluate and drop.

use super::{ENV, Refused, When, cost, needs, patterns};
use std::thread;

/// The longest expression: far beyond what a person writes, and short enough for what follows.
const LONGEST: usize = 2048;

/// How deep brackets may be nested. Text in quotes counts too: being wrong there only means being strict.
const DEEPEST: usize = 16;

/// How many operators and dots there may be in all: each can be a level of the tree.
const MOST_OPERATORS: usize = 256;

/// The stack of the thread that parses. A parser that recurses aborts the process when its stack is used up,
/// so an unchecked text never meets an ordinary stack.
const STACK: usize = 256 << 20;

pub(super) fn compile(source: &str) -> Result<When, Refused> {
    shape(source)?;
    thread::scope(|scope| {
        let parser = thread::Builder::new().name("cel".to_owned()).stack_size(STACK);
        // A tree that is refused is dropped over there, too.
        let parsed = parser.spawn_scoped(scope, || parse(source)).map_err(|error| {
            Refused::new(
                format!("no thread to read it on: {error}"),
                "allow the process more threads and memory",
            )
        })?;
        parsed.join().unwrap_or_else(|_| {
            Err(Refused::new("the parser gave up on it", "simplify the expression"))
        })
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
        return Err(Refused::too_deep());
    }
    Ok(())
}

fn parse(source: &str) -> Result<When, Refused> {
    let mut expression = ENV.parser().parse(source).map_err(|errors| {
        let Some(first) = errors.errors.first() else { return Refused::new("is not CEL", "") };
        if first.msg.contains("Recursion limit") {
            return Refused::too_deep();
        }
        // The rest of the message is the parser's list of every token it knows.
        let message = first.msg.split(" expecting ").next().unwrap_or_default();
        let place = format!("at its line {} and column {}", first.pos.0, first.pos.1);
        let help = "write a CEL condition, such as `fields[\"user.name\"] == \"root\"`";
        Refused::new(format!("is not CEL: {message}, {place}"), help)
    })?;
    let uses = cost::check(&expression)?;
    let mut patterns = Vec::new();
    patterns::take(&mut expression, &mut patterns)?;
    Ok(When {
        written: source.to_owned(),
        needs: needs::of(&expression),
        expression,
        patterns,
        uses,
    })
}
