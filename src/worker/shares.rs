//! What each subscription may hold, so that none can starve another.

/// What one subscription may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Messages.
    pub slots: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// Divides a worker's limits among subscriptions that want `wanted` slots each, in proportion to what they want.
///
/// The shares are fixed: what one lends out of its own would have to come back when the other's flood begins, and a playbook
/// can't be hurried. Slots are divided only where all together want more than there are.
pub fn divide(slots: usize, bytes: usize, wanted: &[usize]) -> Vec<Share> {
    let all: usize = wanted.iter().sum();
    let part = |of: usize, wanted: usize| {
        let part = of as u128 * wanted as u128 / all.max(1) as u128;
        usize::try_from(part).unwrap_or(of).max(1)
    };
    let share = |wanted: &usize| Share {
        slots: if all > slots { part(slots, *wanted) } else { *wanted },
        bytes: part(bytes, *wanted),
    };
    wanted.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_alone_gets_what_it_wants_and_all_the_bytes() {
        assert_eq!(divide(256, 64 << 20, &[128]), [Share { slots: 128, bytes: 64 << 20 }]);
    }

    #[test]
    fn those_that_want_more_than_there_is_get_their_part_of_it() {
        let shares = divide(256, 1000, &[128, 128, 256]);
        assert_eq!(shares.iter().map(|share| share.slots).collect::<Vec<_>>(), [64, 64, 128]);
        assert_eq!(shares.iter().map(|share| share.bytes).collect::<Vec<_>>(), [250, 250, 500]);
    }

    proptest! {
        #[test]
        fn everybody_has_something_and_all_together_stay_within_the_limits(
            slots in 20usize..10_000,
            bytes in 10_000usize..1 << 40,
            wanted in prop::collection::vec(1usize..10_000, 1..20),
        ) {
            let shares = divide(slots, bytes, &wanted);
            prop_assert!(shares.iter().all(|share| share.slots >= 1 && share.bytes >= 1));
            // Who would get less than one gets one.
            let most = slots + wanted.len();
            prop_assert!(shares.iter().map(|share| share.slots).sum::<usize>() <= most);
            prop_assert!(shares.iter().map(|share| share.bytes).sum::<usize>() <= bytes + wanted.len());
            for (share, wanted) in shares.iter().zip(&wanted) {
                prop_assert!(share.slots <= *wanted);
            }
        }
    }
}
