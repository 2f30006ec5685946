//! How many messages are asked for, and how many of those have not come.

use std::time::Duration;

use async_nats::jetstream::consumer::{self, pull::BatchConfig};

/// Asked for even where hardly a slot is free: most messages are skipped.
const LEAST: usize = 16;

/// Never asked for at once: more brings no speed.
const MOST: usize = 512;

/// The bytes that a request may bring, so that large bodies don't add up: half a dozen of the usual limit of one.
const BYTES: usize = 6 << 20;

/// How long a request stands.
const EXPIRES: Duration = Duration::from_secs(30);

/// What the consumer allows a request to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    batch: usize,
    bytes: usize,
    expires: Duration,
}

impl Limits {
    pub(super) fn of(config: &consumer::Config) -> Self {
        let limit = |most: i64, ours: usize| match usize::try_from(most) {
            Ok(most) if most > 0 => ours.min(most),
            _ => ours,
        };
        let expires = match config.max_expires {
            Duration::ZERO => EXPIRES,
            most => EXPIRES.min(most),
        };
        Self {
            batch: limit(config.max_batch, MOST),
            bytes: limit(config.max_bytes, BYTES),
            expires,
        }
    }

    /// How long the server may be silent while a request stands.
    pub(super) fn silence(&self) -> Duration {
        self.heartbeat() * 2
    }

    /// The server wants it to be less than half of the request's time.
    fn heartbeat(&self) -> Duration {
        (self.expires / 4).min(Duration::from_secs(5))
    }
}

/// The accounts of one subscription's requests.
#[derive(Debug)]
pub(super) struct Window {
    limits: Limits,
    /// Asked for, and neither come nor given back.
    open: usize,
    /// The next message is larger than a request's bytes: it is asked for alone.
    oversize: bool,
}

impl Window {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, open: 0, oversize: false }
    }

    /// What to ask for now, if anything: twice the free slots, since most messages need none, once half of that has come.
    pub(super) fn wanted(&self, free: usize) -> Option<BatchConfig> {
        let size = free.saturating_mul(2).max(LEAST).min(self.limits.batch);
        let (batch, max_bytes) = match self.oversize {
            true => (1, 0),
            false => (size.saturating_sub(self.open), self.limits.bytes),
        };
        if !self.oversize && (self.open > size / 2 || batch == 0) {
            return None;
        }
        Some(BatchConfig {
            batch,
            expires: Some(self.limits.expires),
            max_bytes,
            idle_heartbeat: self.limits.heartbeat(),
            ..BatchConfig::default()
        })
    }

    /// So many were asked for.
    pub(super) fn asked(&mut self, batch: usize) {
        self.open += batch;
        self.oversize = false;
    }

    /// A message has come.
    pub(super) fn came(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// A request has ended with so many still to come.
    pub(super) fn ended(&mut self, missing: usize) {
        self.open = self.open.saturating_sub(missing);
    }

    /// A request has ended before a message that is larger than its bytes.
    pub(super) fn too_large(&mut self, missing: usize) {
        self.ended(missing);
        self.oversize = true;
    }

    /// Nothing that was asked for stands any more.
    pub(super) fn reset(&mut self) {
        self.open = 0;
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window() -> Window {
        Window::new(Limits::of(&consumer::Config::default()))
    }

    fn ask(window: &mut Window, free: usize) -> Option<BatchConfig> {
        let wanted = window.wanted(free)?;
        window.asked(wanted.batch);
        Some(wanted)
    }

    #[test]
    fn it_refills_at_half() {
        let mut window = window();
        assert_eq!(ask(&mut window, 50).unwrap().batch, 100);
        assert!(ask(&mut window, 50).is_none());
        for _ in 0..50 {
            window.came();
        }
        assert_eq!(ask(&mut window, 50).unwrap().batch, 50);
    }

    #[test]
    fn it_asks_for_what_slots_are_free_and_for_a_few_where_none_is() {
        assert_eq!(ask(&mut window(), 200).unwrap().batch, 400);
        assert_eq!(ask(&mut window(), 0).unwrap().batch, LEAST);
        assert_eq!(ask(&mut window(), 1_000_000).unwrap().batch, MOST);
    }

    #[test]
    fn a_message_larger_than_a_request_is_asked_for_alone() {
        let mut window = window();
        let asked = ask(&mut window, 100).unwrap();
        assert!(asked.max_bytes > 0);
        window.too_large(asked.batch);
        let alone = ask(&mut window, 100).unwrap();
        assert_eq!((alone.batch, alone.max_bytes), (1, 0));
    }

    #[test]
    fn the_consumers_own_limits_are_kept() {
        let config = consumer::Config {
            max_batch: 10,
            max_bytes: 1000,
            max_expires: Duration::from_secs(4),
            ..consumer::Config::default()
        };
        let mut window = Window::new(Limits::of(&config));
        let asked = ask(&mut window, 100).unwrap();
        assert_eq!((asked.batch, asked.max_bytes), (10, 1000));
        assert_eq!(asked.expires, Some(Duration::from_secs(4)));
        assert!(asked.idle_heartbeat * 2 < Duration::from_secs(4));
    }

    proptest! {
        #[test]
        fn what_is_open_is_bounded_and_never_stuck_at_nothing(
            steps in prop::collection::vec((0..4_u8, 0..600_usize), 1..200)
        ) {
            let mut window = window();
            for (step, n) in steps {
                match step {
                    0 => drop(ask(&mut window, n)),
                    1 => window.came(),
                    2 => window.ended(n),
                    _ => window.too_large(n),
                }
                prop_assert!(window.open <= MOST + 1);
            }
            window.reset();
            prop_assert!(window.wanted(0).is_some());
        }
    }
}
