//! A message as text, for sinks whose readers may take Markdown, HTML or mentions in it for what they are.

use super::Notification;
use crate::act::text::clean;
pub(super) use crate::act::text::inert;

/// How much is shown of what was done in a message that goes along.
const ALONG: usize = 200;

/// What it is about, on one short line.
pub(super) fn title(message: &Notification<'_>) -> String {
    let more = match message.more.len() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    inert(&format!("stoop {}: {} on {}{more}", message.result(), message.rule, message.about()))
}

/// All of it, and what goes along with it: a line each.
pub(super) fn text(message: &Notification<'_>) -> String {
    let mut lines = vec![inert(&format!(
        "{} {} on {}: {}",
        message.priority,
        message.rule,
        message.about(),
        message.result()
    ))];
    lines.extend(
        message.steps.iter().map(|step| inert(&format!("{}: {}", step.words(), step.detail))),
    );
    lines.extend(question(message));
    if !message.output.is_empty() {
        lines.push(inert(&message.output));
    }
    lines.push(inert(&format!("playbook {}, event {}", message.playbook, message.event_id)));
    lines.extend(more(message));
    lines.join("\n")
}

/// Where it may be let through: the one link that stays one.
pub(super) fn question(message: &Notification<'_>) -> Option<String> {
    message.link.as_ref().map(|link| format!("approve or deny: {link}"))
}

/// What was done, and where the rest may be let through.
pub(super) fn done(message: &Notification<'_>) -> String {
    with_question(inert(&message.done()), message)
}

/// What goes along with it.
pub(super) fn more(message: &Notification<'_>) -> Vec<String> {
    message.more.iter().map(|other| with_question(along(other), other)).collect()
}

/// One that goes along, without its link.
pub(super) fn along(other: &Notification<'_>) -> String {
    let (result, done) = (other.result(), clean(&other.done(), ALONG));
    inert(&format!("and {} on {}, {result}: {done}", other.rule, other.about()))
}

fn with_question(text: String, message: &Notification<'_>) -> String {
    match question(message) {
        Some(question) => format!("{text}; {question}"),
        None => text,
    }
}
