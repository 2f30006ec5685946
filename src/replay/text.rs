//! A report for reading.

use std::fmt::{self, Display, Formatter};

use super::report::{Playbook, Report};

/// How many targets, namespaces and rules are printed.
const MOST: usize = 10;
/// The longest bar of a day.
const BAR: u64 = 30;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let messages = &self.messages;
        write!(f, "{}: {}", self.source, counted(messages.read, "message"))?;
        if let (Some(from), Some(until)) = (self.from, self.until) {
            write!(f, ", events of {} to {}", minute(from), minute(until))?;
        }
        writeln!(f)?;
        let (matched, unmatched) = (messages.matched, messages.unmatched);
        write!(f, "  {matched} concern a playbook, {unmatched} none")?;
        for (count, what) in [
            (messages.internal, "about Falco itself"),
            (messages.foreign_cluster, "of another cluster"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        let malformed: u64 = messages.malformed.values().sum();
        if malformed > 0 {
            let kinds = messages.malformed.iter().map(|(kind, count)| format!("{count} {kind}"));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            write!(f, "\n  {malformed} are no events and would be dead letters: {kinds}")?;
        }
        writeln!(f)?;
        for playbook in self.playbooks.iter().filter(|playbook| playbook.events > 0) {
            write!(f, "\n{playbook}")?;
        }
        self.fmt_never(f)?;
        self.fmt_unanswered(f)?;
        writeln!(f, "\nwhat no rehearsal can tell")?;
        self.limits.iter().try_for_each(|limit| writeln!(f, "  {limit}"))
    }
}

impl Report {
    fn fmt_never(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let never: Vec<_> = self.playbooks.iter().filter(|playbook| playbook.events == 0).collect();
        if never.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nplaybooks that concern none of these events")?;
        for playbook in never {
            writeln!(f, "  {} ({})", playbook.name, playbook.mode)?;
            playbook.never.iter().try_for_each(|why| writeln!(f, "    {}", safe(why)))?;
        }
        Ok(())
    }

    fn fmt_unanswered(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.unanswered.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nevents that no playbook answers, by rule")?;
        for rule in self.unanswered.iter().take(MOST) {
            write!(f, "  {:>8}  {}", rule.events, safe(&rule.rule))?;
            match rule.answered {
                0 => writeln!(f)?,
                answered => writeln!(f, " (and {answered} that are answered)")?,
            }
        }
        more(f, self.unanswered.len())
    }
}

impl Display for Playbook {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.mode)?;
        if self.mode != "enforce" {
            write!(f, "; told as if it were enforce")?;
        }
        writeln!(f, "): {}", self.actions.join(", then "))?;
        writeln!(
            f,
            "  {} about {}, for {}; {} of them shared an answer (cooldown {})",
            counted(self.answers, "answer"),
            counted(self.targets, "target"),
            counted(self.answers + self.joined, "event"),
            self.joined,
            self.cooldown
        )?;
        if !self.namespaces.is_empty() {
            writeln!(f, "  by namespace{:>23} {:>8} {:>8}", "targets", "answers", "events")?;
        }
        for share in self.namespaces.iter().take(MOST) {
            let name = share.namespace.as_deref().unwrap_or("(none claimed)");
            let (targets, answers) = (share.targets, share.answers);
            writeln!(f, "    {:<27} {targets:>5} {answers:>8} {:>8}", safe(name), share.events)?;
        }
        more(f, self.namespaces.len())?;
        let most = self.days.iter().map(|day| day.answers).max().unwrap_or_default();
        if !self.days.is_empty() {
            writeln!(f, "  by day")?;
        }
        for day in &self.days {
            let bar = (day.answers * BAR).div_ceil(most.max(1));
            let bar = "▇".repeat(usize::try_from(bar).unwrap_or_default());
            writeln!(f, "    {} {:>6} {bar}", day.day, day.answers)?;
        }
        if !self.to_whom.is_empty() {
            writeln!(f, "  to whom{:>33} {:>8}  from .. to", "answers", "events")?;
        }
        for target in self.to_whom.iter().take(MOST) {
            let (first, last) = (minute(target.first), minute(target.last));
            let (name, answers) = (safe(&target.target), target.answers);
            writeln!(f, "    {name:<30} {answers:>5} {:>8}  {first} .. {last}", target.events)?;
        }
        more(
            f,
            usize::try_from(self.targets).unwrap_or(usize::MAX).min(self.to_whom.len().max(MOST)),
        )?;
        if !self.held.is_empty() {
            writeln!(f, "  would be held back")?;
        }
        for held in &self.held {
            writeln!(f, "    {:>6} {:<20} {}", held.events, held.by, safe(&held.why))?;
        }
        if !self.live_checks.is_empty() {
            writeln!(f, "  only a live look tells")?;
        }
        self.live_checks.iter().try_for_each(|check| writeln!(f, "    {check}"))
    }
}

fn more(f: &mut Formatter<'_>, count: usize) -> fmt::Result {
    match count.checked_sub(MOST) {
        None | Some(0) => Ok(()),
        Some(rest) => writeln!(f, "    … and {rest} more: --output json has them"),
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn minute(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Events name things as they like: nothing of it moves a terminal's cursor.
fn safe(text: &str) -> String {
    crate::cli::safe(text).replace('\n', "\\n")
}
