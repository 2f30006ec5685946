//! What an expression can cost at most, reckoned from its tree before it is ever evaluated.
//!
//! The interpreter has no limits of its own, so an expression is given an upper bound, on an event as large
//! as is let near it. The unit is about a byte touched, or a nanosecond.

use super::Refused;
use super::functions::{Gives, gives};
use super::patterns::MATCHES;
use super::variables::NAMES;
use crate::decide::yaml::closest;
use cel::common::ast::operators::IN;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};
use cel::parser::Expression;

/// The most text of one value that an expression is given.
pub(super) const MOST_TEXT: usize = 16 << 10;

/// The most items of one list that an expression is given.
pub(super) const MOST_ITEMS: usize = 256;

/// The most that one evaluation may cost.
const MOST: u64 = 20_000_000;

/// How deep a tree may be: each level is several frames of the interpreter on an ordinary thread's stack.
const DEEPEST: usize = 16;

/// Upper bounds of a value, and of finding it.
#[derive(Debug, Clone, Copy, Default)]
struct Bound {
    cost: u64,
    size: u64,
    items: u64,
}

impl Bound {
    /// A value of an event.
    const EVENT: Bound = Bound { cost: 4096, size: MOST_TEXT as u64, items: MOST_ITEMS as u64 };

    fn and(self, other: Bound) -> Bound {
        Bound {
            cost: self.cost.saturating_add(other.cost),
            size: self.size.saturating_add(other.size),
            items: self.items.saturating_add(other.items),
        }
    }
}

/// Checks a tree, and tells which of the event's names it uses.
///
/// # Errors
///
/// What it names that there is not, and what could cost too much.
pub(super) fn check(expression: &Expression) -> Result<Vec<&'static str>, Refused> {
    let mut reckoner = Reckoner { scopes: Vec::new(), uses: Vec::new(), depth: 0 };
    let bound = reckoner.bound(expression)?;
    if bound.cost > MOST {
        let help = "loop over one list only, and compare with `==` or `in` inside the loop";
        return Err(Refused::new("could take too long on one event", help));
    }
    Ok(reckoner.uses)
}

struct Reckoner<'a> {
    scopes: Vec<(&'a str, Bound)>,
    uses: Vec<&'static str>,
    depth: usize,
}

impl<'a> Reckoner<'a> {
    fn bound(&mut self, expression: &'a Expression) -> Result<Bound, Refused> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Refused::too_deep());
        }
        let bound = match &expression.expr {
            Expr::Unspecified => return Err(Refused::new("can't be read", "")),
            Expr::Literal(literal) => Ok(self.literal(literal)),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => {
                let args: Vec<&Expression> =
                    call.target.as_deref().into_iter().chain(&call.args).collect();
                self.call(&call.func_name, &args)
            }
            Expr::List(list) => {
                let bound = self.sum(&list.elements)?;
                Ok(Bound { items: bound.items.max(list.elements.len() as u64), ..bound })
            }
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr)),
            Expr::Struct(_) => {
                return Err(Refused::new("an event has no message types", "compare plain values"));
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        };
        self.depth -= 1;
        bound
    }

    fn sum(
        &mut self,
        expressions: impl IntoIterator<Item = &'a Expression>,
    ) -> Result<Bound, Refused> {
        expressions
            .into_iter()
            .try_fold(Bound { cost: 64, ..Bound::default() }, |sum, expression| {
                Ok(sum.and(self.bound(expression)?))
            })
    }

    fn literal(&self, literal: &LiteralValue) -> Bound {
        let size = match literal {
            LiteralValue::String(text) => text.inner().len() as u64,
            LiteralValue::Bytes(bytes) => bytes.inner().len() as u64,
            _ => 8,
        };
        Bound { cost: 8, size, items: 0 }
    }

    fn name(&mut self, name: &str) -> Result<Bound, Refused> {
        if let Some((_, bound)) = self.scopes.iter().rev().find(|(scoped, _)| *scoped == name) {
            return Ok(Bound { cost: 64, ..*bound });
        }
        let Some(known) = NAMES.into_iter().find(|known| *known == name) else {
            let help = match closest(name, NAMES) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("an event has {}", NAMES.join(", ")),
            };
            return Err(Refused::new(format!("an event has no `{name}`"), help));
        };
        if !self.uses.contains(&known) {
            self.uses.push(known);
        }
        Ok(Bound::EVENT)
    }

    /// `fields.proc.name` would look for `proc`, and `has` can't tell null from absent.
    fn select(&mut self, select: &'a SelectExpr) -> Result<Bound, Refused> {
        if let Some(key) = field_of(select) {
            let fix = if select.test {
                format!("fields[\"{key}\"] != null")
            } else {
                format!("fields[\"{key}\"]")
            };
            return Err(Refused::new(
                "fields are found by their whole name",
                format!("write `{fix}`"),
            ));
        }
        self.bound(&select.operand)
    }

    fn entries(&mut self, entries: impl Iterator<Item = &'a EntryExpr>) -> Result<Bound, Refused> {
        let mut sum = Bound { cost: 64, ..Bound::default() };
        for entry in entries {
            let bound = match entry {
                EntryExpr::MapEntry(entry) => self.sum([&entry.key, &entry.value])?,
                EntryExpr::StructField(field) => self.bound(&field.value)?,
            };
            sum = Bound { items: sum.items + 1, ..sum.and(bound) };
        }
        Ok(sum)
    }

    fn call(&mut self, function: &str, args: &[&'a Expression]) -> Result<Bound, Refused> {
        let Some(gives) = gives(function) else {
            let help = "CEL's standard functions are known, such as startsWith, contains, matches and size";
            return Err(Refused::new(format!("no function `{function}`"), help));
        };
        let sum = self.sum(args.iter().copied())?;
        let extra = match function {
            MATCHES => sum.size.saturating_mul(16),
            // Looking through a list compares with each of its items.
            IN => sum.items.saturating_mul(64),
            _ => sum.size,
        };
        let cost = sum.cost.saturating_add(extra);
        Ok(match gives {
            Gives::Scalar => Bound { cost, size: 32, items: 0 },
            Gives::Part => Bound { cost, ..sum },
            Gives::Text => Bound { cost, size: sum.size.saturating_mul(4), items: 0 },
        })
    }

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Result<Bound, Refused> {
        let range = self.bound(&comprehension.iter_range)?;
        let turns = range.items.max(1);
        let init = self.bound(&comprehension.accu_init)?;
        let outside = self.scopes.len();
        // All items together are as large as the list, and cost grows in line with size: the average will do.
        let item = Bound { cost: 64, size: range.size / turns + 8, items: range.items };
        self.scopes.push((&comprehension.iter_var, item));
        self.scopes.extend(comprehension.iter_var2.iter().map(|name| (name.as_str(), item)));
        self.scopes.push((&comprehension.accu_var, Bound { cost: 64, size: 8, items: 0 }));
        let turn = self.sum([&comprehension.loop_cond, &comprehension.loop_step])?;
        self.scopes.truncate(outside);
        // A list that grows by one item a turn is copied each time.
        let copies = turns.saturating_mul(turns).saturating_mul(16);
        let accumulated = Bound {
            cost: turns.saturating_mul(turn.cost).saturating_add(copies),
            size: turns.saturating_mul(turn.size),
            items: turns.saturating_mul(turn.items.max(1)),
        };
        self.scopes.push((&comprehension.accu_var, Bound { cost: 64, ..accumulated }));
        let result = self.bound(&comprehension.result)?;
        self.scopes.truncate(outside);
        let cost = [range.cost, init.cost, result.cost]
            .into_iter()
            .fold(accumulated.cost, u64::saturating_add);
        Ok(Bound {
            cost,
            size: result.size.max(accumulated.size),
            items: result.items.max(accumulated.items),
        })
    }
}

/// The key that a chain of selections on `fields` spells.
fn field_of(select: &SelectExpr) -> Option<String> {
    match &select.operand.expr {
        Expr::Ident(name) if name == "fields" => Some(select.field.clone()),
        Expr::Select(inner) => field_of(inner).map(|outer| format!("{outer}.{}", select.field)),
        _ => None,
    }
}
