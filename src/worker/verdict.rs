//! What becomes of an event once every playbook that wanted it has answered: a pure decision.

use std::{sync::Arc, time::Duration};

use brokers::DeadLetter;
use jiff::Timestamp;
use playbooks::act::Occurrence;

use super::bursts::Ending;

/// How one playbook's answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The playbook's name.
    pub playbook: Arc<str>,
    /// How it ended.
    pub end: End,
    /// The time of the event that it was about.
    pub event_time: Timestamp,
    /// What it said at the end.
    pub why: String,
    /// Tries of the response, outages aside.
    pub attempts: u32,
    /// When it was first tried.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// How a response ended, as far as its events are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Done, found done, or rightly passed over.
    Well,
    /// A guardrail said no to the target, whatever the event. It is on record, and that is all there is to do.
    Declined,
    /// A guardrail said no to this event.
    Refused,
    /// The event was too old, and so are those before it.
    TooOld,
    /// A guardrail said no, and may say yes to a redrive.
    Redo,
    /// It failed for good, or attempts or time were used up.
    Failed,
}

impl Ending for Arc<Answer> {
    fn well(&self) -> bool {
        matches!(self.end, End::Well | End::Declined)
    }
}

impl Answer {
    /// Whether it answers this event too, which joined while it ran.
    pub fn holds_for(&self, occurrence: &Occurrence) -> bool {
        self.holds_at(occurrence.time, occurrence.max_age)
    }

    /// Whether somebody has to look at it.
    pub fn has_failed(&self) -> bool {
        self.end == End::Failed
    }

    fn holds_at(&self, time: Timestamp, allowed_age: Option<Duration>) -> bool {
        match self.end {
            End::Well | End::Declined | End::Redo | End::Failed => true,
            // Somebody may have allowed this one to be older.
            End::TooOld => time <= self.event_time && allowed_age.is_none(),
            End::Refused => false,
        }
    }
}

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every answer is durable where it needs to be.
    Ack,
    /// Some playbooks have to be run again by a person's word.
    DeadLetter(DeadLetter),
}

/// Why events go to the dead letters: a closed set, for metrics and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not a Falco event.
    Malformed,
    /// A playbook failed for good.
    Failed,
    /// A guardrail held a playbook back that may be right tomorrow.
    HeldBack,
    /// The worker itself broke on it, again and again.
    Crashed,
}

impl Reason {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::Failed, Self::HeldBack, Self::Crashed];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Failed => "failed",
            Self::HeldBack => "held-back",
            Self::Crashed => "crashed",
        }
    }
}

/// Judges an event by its answers. Only the playbooks that failed are named, and only they are
/// redriven.
pub fn judge(answers: &[Arc<Answer>], worker: &str) -> Verdict {
    let open = |answer: &&Arc<Answer>| matches!(answer.end, End::Failed | End::Redo);
    let unfinished: Vec<_> = answers.iter().filter(open).collect();
    let (Some(began), Some(ended)) =
        (unfinished.iter().map(|a| a.began).min(), unfinished.iter().map(|a| a.ended).max())
    else {
        return Verdict::Ack;
    };
    let failed = unfinished.iter().any(|a| a.end == End::Failed);
    let reason = if failed { Reason::Failed } else { Reason::HeldBack };
    let why = |a: &&Arc<Answer>| format!("{}: {}", a.playbook, a.why);
    Verdict::DeadLetter(DeadLetter {
        reason: reason.as_str().to_owned(),
        error: unfinished.iter().map(why).collect::<Vec<_>>().join("; "),
        attempts: unfinished.iter().map(|a| a.attempts).max().unwrap_or_default(),
        first_failed: began,
        last_failed: ended,
        failed: unfinished.iter().map(|a| a.playbook.to_string()).collect(),
        worker: worker.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(playbook: &str, end: End, began: i64, ended: i64) -> Arc<Answer> {
        let at = |second| Timestamp::from_second(second).unwrap();
        let answer = Answer {
            playbook: playbook.into(),
            end,
            event_time: at(0),
            why: format!("{end:?}"),
            attempts: 2,
            began: at(began),
            ended: at(ended),
        };
        Arc::new(answer)
    }

    #[test]
    fn answers_that_need_nothing_more_are_acknowledged() {
        let answers = [answer("a", End::Well, 1, 2), answer("b", End::Refused, 1, 2)];
        assert_eq!(judge(&answers, "w"), Verdict::Ack);
        assert_eq!(judge(&[], "w"), Verdict::Ack);
    }

    #[test]
    fn a_refusal_is_shared_only_with_those_whom_it_holds_for() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let holds = |end, time| answer("a", end, 1, 2).holds_at(at(time), None);
        let allowed = |end| answer("a", end, 1, 2).holds_at(at(0), Some(Duration::from_secs(1)));
        assert!(!allowed(End::TooOld) && allowed(End::Declined));
        assert!(holds(End::Declined, 5));
        assert!(holds(End::TooOld, 0) && !holds(End::TooOld, 1));
        assert!(!holds(End::Refused, 0));
        assert!(answer("a", End::Declined, 1, 2).well());
        assert!(!answer("a", End::TooOld, 1, 2).well());
    }

    #[test]
    fn a_dead_letter_names_only_the_playbooks_that_are_to_run_again() {
        let answers = [
            answer("a", End::Well, 1, 9),
            answer("b", End::Failed, 3, 5),
            answer("c", End::Redo, 2, 4),
        ];
        let Verdict::DeadLetter(letter) = judge(&answers, "w") else { panic!("acknowledged") };
        assert_eq!(letter.failed, ["b", "c"]);
        assert_eq!(letter.reason, "failed");
        assert_eq!(letter.error, "b: Failed; c: Redo");
        assert_eq!((letter.first_failed.as_second(), letter.last_failed.as_second()), (2, 5));
    }

    #[test]
    fn what_is_only_held_back_says_so() {
        let Verdict::DeadLetter(letter) = judge(&[answer("c", End::Redo, 2, 4)], "w") else {
            panic!("acknowledged")
        };
        assert_eq!(letter.reason, "held-back");
    }
}
