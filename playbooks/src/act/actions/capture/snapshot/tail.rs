//! The end of a stream, in bounded memory: what was logged last is nearest to the event.

/// Keeps the last bytes of what it is given.
pub(super) struct Tail {
    held: Vec<u8>,
    most: usize,
    cut: bool,
}

impl Tail {
    /// Holds up to twice as much for a moment.
    pub(super) fn new(most: usize) -> Tail {
        Tail { held: Vec::new(), most, cut: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        if self.held.len() > self.most.saturating_mul(2) {
            self.drop_beginning();
        }
    }

    /// The end, from a line's beginning on, and whether anything was dropped.
    pub(super) fn end(mut self) -> (Vec<u8>, bool) {
        self.drop_beginning();
        if self.cut
            && let Some(end) = self.held.iter().position(|byte| *byte == b'\n')
        {
            self.held.drain(..=end);
        }
        (self.held, self.cut)
    }

    fn drop_beginning(&mut self) {
        let over = self.held.len().saturating_sub(self.most);
        self.cut |= over > 0;
        self.held.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_whole_lines_are_kept() {
        let mut tail = Tail::new(10);
        tail.push(b"first line\nsecond\n");
        tail.push(b"3rd\n");
        assert_eq!(tail.end(), (b"3rd\n".to_vec(), true));
        let mut short = Tail::new(10);
        short.push(b"one\ntwo");
        assert_eq!(short.end(), (b"one\ntwo".to_vec(), false));
    }

    proptest! {
        #[test]
        fn it_is_the_end_of_what_came_and_never_more_than_asked_for(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20),
            most in 0usize..100,
        ) {
            let mut tail = Tail::new(most);
            for chunk in &chunks {
                tail.push(chunk);
                prop_assert!(tail.held.len() <= 2 * most);
            }
            let whole = chunks.concat();
            let (end, cut) = tail.end();
            prop_assert!(end.len() <= most);
            prop_assert!(whole.ends_with(&end));
            prop_assert_eq!(cut, whole.len() > most);
        }
    }
}
