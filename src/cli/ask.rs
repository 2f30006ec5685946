//! Questions to whoever sits at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use super::Refused;

/// Asks for a yes.
///
/// # Errors
/// Nobody is there, or can be written to.
pub(super) fn agreed(question: &str) -> Result<bool, Refused> {
    if !io::stdin().is_terminal() {
        return Err(Refused(format!("{question} There is nobody to ask: say --yes")));
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
