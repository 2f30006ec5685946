//! Whether an event is recent enough to be answered.

use std::time::Duration;

use jiff::Timestamp;

use crate::act::outcome::{Guardrail, Refusal};

/// How far in the future an event may lie before its clock, or its author, is not to be trusted.
pub(in crate::act) const FUTURE: Duration = Duration::from_secs(60);

/// Refuses an event that is older, at the start of its response, than the action answers.
pub(in crate::act) fn judge_age(
    event: Timestamp,
    started: Timestamp,
    limit: Duration,
) -> Option<Refusal> {
    // In whole nanoseconds: a Timestamp's arithmetic would overflow for the times that an attacker can send.
    let age = started.as_nanosecond() - event.as_nanosecond();
    if age <= i128::try_from(limit.as_nanos()).unwrap_or(i128::MAX) {
        return None;
    }
    let age = Duration::from_secs(u64::try_from(age / 1_000_000_000).unwrap_or(u64::MAX));
    Some(Refusal::new(
        Guardrail::EventAge,
        format!(
            "the event is {} old, more than {}; limits.maxEventAge sets it",
            humantime::format_duration(age),
            humantime::format_duration(limit)
        ),
    ))
}

/// Refuses an event that has not happened yet.
pub(super) fn judge_future(event: Timestamp, now: Timestamp) -> Option<Refusal> {
    let ahead = event.as_nanosecond() - now.as_nanosecond();
    (ahead > FUTURE.as_nanos() as i128).then(|| {
        Refusal::new(
            Guardrail::FutureEvent,
            "the event's time lies more than 60s in the future: are the clocks in step?",
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
    }

    #[test]
    fn an_event_is_answered_up_to_its_limit() {
        let limit = Duration::from_secs(300);
        assert_eq!(judge_age(at(1000), at(1300), limit), None);
        let refusal =
            judge_age(at(1000), at(1301), limit).map(|refusal| (refusal.guardrail, refusal.why));
        assert_eq!(
            refusal,
            Some((
                Guardrail::EventAge,
                "the event is 5m 1s old, more than 5m; limits.maxEventAge sets it".into()
            ))
        );
    }

    #[test]
    fn a_little_ahead_is_a_clock_and_more_is_refused() {
        assert_eq!(judge_future(at(1060), at(1000)), None);
        assert_eq!(
            judge_future(at(1061), at(1000)).map(|refusal| refusal.guardrail),
            Some(Guardrail::FutureEvent)
        );
    }

    proptest! {
        #[test]
        fn no_time_that_can_be_sent_passes_by_overflow(event in -377_705_023_201i64..253_402_207_200, now in 0i64..4_000_000_000) {
            let limit = Duration::from_secs(300);
            prop_assert_eq!(judge_age(at(event), at(now), limit).is_none(), now - event <= 300);
            prop_assert_eq!(judge_future(at(event), at(now)).is_none(), event - now <= 60);
        }
    }
}
