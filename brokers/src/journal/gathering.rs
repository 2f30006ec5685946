//! Whether a transaction waits a little, so that more publishers get into it.

use std::time::Duration;

/// How long at most a transaction waits for publishers who were just answered.
const GATHER: Duration = Duration::from_millis(2);

/// For how many transactions half of them are enough after one has waited for all in vain.
const DISCOURAGED: u32 = 32;

/// How long to wait for publishers who were just answered: they come back at once as a rule, and a transaction for the
/// first of them is one that all the others have to wait out.
///
/// Where the disk is slower than they are, all of them get into one. Where it is not, half of them come back while the
/// transaction of the other half runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gathering {
    /// How many publishers the last transaction answered, and how long it took.
    answered: usize,
    took: Duration,
    /// How many are expected for the next one: those, and who was waiting already.
    expected: usize,
    /// For so many transactions more it is not tried to get all.
    discouraged: u32,
}

impl Gathering {
    /// How many publishers to wait for.
    pub(super) fn target(&self) -> usize {
        match self.discouraged {
            0 => self.expected,
            _ => self.expected / 2,
        }
    }

    /// How much longer to wait when `come` have come, and `since` has passed since the last transaction.
    pub(super) fn patience(&self, come: usize, since: Duration) -> Duration {
        match come < self.target() {
            true => (self.took / 2).min(GATHER).saturating_sub(since),
            false => Duration::ZERO,
        }
    }

    /// The last transaction took so long.
    pub(super) fn ended(&mut self, took: Duration) {
        self.took = took;
    }

    /// The wait for the next one begins, with so many publishers waiting already.
    pub(super) fn expect(&mut self, waiting: usize) {
        self.expected = self.answered + waiting;
    }

    /// A transaction begins for the publishers that have come.
    pub(super) fn begin(&mut self, come: usize) {
        self.discouraged = match self.discouraged {
            0 if come < self.expected => DISCOURAGED,
            discouraged => discouraged.saturating_sub(1),
        };
        self.answered = come;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(3);

    /// After a transaction for `answered` publishers while `waiting` others came.
    fn after(answered: usize, waiting: usize) -> Gathering {
        let mut gathering = Gathering::default();
        gathering.begin(answered);
        gathering.ended(TOOK);
        gathering.expect(waiting);
        gathering
    }

    #[test]
    fn it_waits_for_those_just_answered_half_of_what_a_transaction_takes() {
        let gathering = after(40, 24);
        assert_eq!(gathering.target(), 64);
        assert_eq!(gathering.patience(24, Duration::ZERO), TOOK / 2);
        assert_eq!(gathering.patience(63, TOOK / 4), TOOK / 4);
        assert_eq!(gathering.patience(63, TOOK / 2), Duration::ZERO);
        assert_eq!(gathering.patience(64, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_lone_settlement_waits_for_nobody() {
        assert_eq!(after(0, 0).patience(0, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn after_a_wait_in_vain_half_are_enough_for_a_while() {
        let mut gathering = after(64, 0);
        gathering.begin(40);
        for _ in 0..DISCOURAGED {
            gathering.expect(24);
            assert_eq!(gathering.target(), 32);
            gathering.begin(40);
        }
        gathering.expect(24);
        assert_eq!(gathering.target(), 64);
    }

    #[test]
    fn a_lone_publisher_who_takes_his_time_keeps_nobody_waiting() {
        let mut gathering = after(1, 0);
        gathering.begin(0);
        gathering.begin(1);
        gathering.expect(0);
        assert_eq!(gathering.patience(0, Duration::ZERO), Duration::ZERO);
    }
}
