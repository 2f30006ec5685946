//! How the story is told: scenes, who says what, and whether each promise was kept.

use std::io::{IsTerminal, Write};

const GREEN: &str = "32";
const RED: &str = "31";
const BOLD: &str = "1";
const DIM: &str = "2";

pub(super) struct Narrator {
    out: Box<dyn Write + Send>,
    colour: bool,
    scenes: usize,
    kept: usize,
    broken: Vec<String>,
}

impl Narrator {
    /// Tells on standard output; in colour on a terminal, unless `NO_COLOR` is set.
    pub(super) fn stdout() -> Narrator {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Narrator::new(std::io::stdout(), std::io::stdout().is_terminal() && !plain)
    }

    fn new(out: impl Write + Send + 'static, colour: bool) -> Narrator {
        Narrator { out: Box::new(out), colour, scenes: 0, kept: 0, broken: Vec::new() }
    }

    pub(super) fn title(&mut self, text: &str) {
        let text = self.paint(BOLD, text);
        self.line(&text);
    }

    /// Opens the next scene.
    pub(super) fn scene(&mut self, title: &str) {
        self.scenes += 1;
        let title = self.paint(BOLD, &format!("{}  {title}", self.scenes));
        self.line("");
        self.line(&title);
    }

    /// Tells what somebody did or said.
    pub(super) fn says(&mut self, who: &str, what: &str) {
        let who = self.paint(DIM, &format!("{who:<8}"));
        self.line(&format!("   {who} {what}"));
    }

    /// Holds a promise against what was found; what was found is shown where it was not kept.
    pub(super) fn promise(&mut self, promise: &str, kept: bool, found: impl std::fmt::Debug) {
        if kept {
            self.kept += 1;
            let mark = self.paint(GREEN, "✓");
            return self.line(&format!("   {mark} {promise}"));
        }
        let mark = self.paint(RED, "✗");
        self.line(&format!("   {mark} {promise}"));
        self.line(&format!("     found: {found:?}"));
        self.broken.push(promise.to_owned());
    }

    /// Shows lines of somebody else's, such as a log.
    pub(super) fn quote<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        for line in lines {
            let line = self.paint(DIM, &format!("     | {line}"));
            self.line(&line);
        }
    }

    /// Ends the story, and tells whether every promise was kept.
    pub(super) fn end(&mut self) -> bool {
        let all = self.kept + self.broken.len();
        self.line("");
        if self.broken.is_empty() {
            let end = self.paint(GREEN, &format!("{all} of {all} promises kept"));
            self.line(&end);
            return true;
        }
        let end = self.paint(RED, &format!("{} of {all} promises broken", self.broken.len()));
        self.line(&end);
        for promise in std::mem::take(&mut self.broken) {
            self.line(&format!("   ✗ {promise}"));
        }
        false
    }

    fn line(&mut self, line: &str) {
        // Whoever closes the pipe has heard enough; the exit code still tells the end.
        let _ = writeln!(self.out, "{line}");
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no writer panics").write(text)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn told(colour: bool, story: impl Fn(&mut Narrator)) -> String {
        let paper = Paper::default();
        story(&mut Narrator::new(paper.clone(), colour));
        let text = paper.0.lock().expect("no writer panics").clone();
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn a_story_is_numbered_and_aligned_and_plain_without_colour() {
        let text = told(false, |narrator| {
            narrator.scene("A shell");
            narrator.says("falco", "saw it");
            narrator.promise("nothing is lost", true, ());
        });
        assert_eq!(text, "\n1  A shell\n   falco    saw it\n   ✓ nothing is lost\n");
    }

    #[test]
    fn colour_is_only_there_where_it_is_wanted() {
        assert!(told(true, |narrator| narrator.scene("A shell")).contains("\x1b["));
        assert!(!told(false, |narrator| narrator.scene("A shell")).contains('\x1b'));
    }

    #[test]
    fn a_broken_promise_is_shown_with_what_was_found_and_fails_the_story() {
        let text = told(false, |narrator| {
            narrator.promise("kept", true, ());
            narrator.promise("one delete", false, 2);
            assert!(!narrator.end());
        });
        assert!(text.contains("✗ one delete\n     found: 2"), "{text}");
        assert!(text.contains("1 of 2 promises broken"), "{text}");
    }
}
