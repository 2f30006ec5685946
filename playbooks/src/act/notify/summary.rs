//! A message as text, for sinks whose readers may take Markdown, HTML or mentions in it for what they are.

use super::Notification;
pub(super) use crate::act::text::inert;

/// What it is about, on one short line.
pub(super) fn title(message: &Notification<'_>) -> String {
    inert(&format!("stoop {}: {} on {}", message.result(), message.rule, message.about()))
}

/// All of it, and what goes along with it: a line each.
pub(super) fn text(message: &Notification<'_>) -> String {
    let mut lines = vec![format!(
        "{} {} on {}: {}",
        message.priority,
        message.rule,
        message.about(),
        message.done()
    )];
    lines.extend(message.steps.iter().map(|step| format!("{}: {}", step.action, step.detail)));
    if !message.output.is_empty() {
        lines.push(message.output.clone());
    }
    lines.push(format!("playbook {}, event {}", message.playbook, message.event_id));
    lines.extend(more(message));
    lines.iter().map(|line| inert(line)).collect::<Vec<_>>().join("\n")
}

/// What goes along with it.
pub(super) fn more(message: &Notification<'_>) -> Vec<String> {
    let others = message.more.iter().map(|other| {
        let result = other.result();
        format!("and {} on {}, {result}: {}", other.rule, other.about(), other.done())
    });
    others.collect()
}
