//! Which rounds are played, how many at once, and where the report goes.

use std::{
    env, fs,
    io::{self, Write as _},
    panic::AssertUnwindSafe,
};

use futures::{FutureExt as _, StreamExt as _, stream};

use crate::{
    brokers::Kind,
    catalogue,
    report::Report,
    round::{Outcome, Servers, Ticket, play},
    scene::Scale,
};

/// Repeats the campaign of this seed, or with `fault/broker/seed/scale` the one round.
const SEED: &str = "STOOP_FAULTS_SEED";
/// Plays only what has this in `fault/broker`.
const ONLY: &str = "STOOP_FAULTS_ONLY";
/// How many rounds of each fault.
const ROUNDS: &str = "STOOP_FAULTS_ROUNDS";
/// Where the table is written, if anywhere.
const REPORT: &str = "STOOP_FAULTS_REPORT";
/// How many rounds that measure time are played at once.
const ALONE_AT_ONCE: usize = 2 * Kind::ALL.len();

/// How a campaign is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Each fault once, at its short scale.
    Short,
    /// As many rounds as are asked for, the first and every fifth at the long scale.
    Long,
}

impl Length {
    /// Rounds wait most of their time, for sessions to end and servers to start; the long ones longer.
    fn at_once(self) -> usize {
        match self {
            Self::Short => 10,
            Self::Long => 12,
        }
    }
}

/// Plays every fault on every broker that it applies to.
///
/// # Panics
/// Something was violated.
pub async fn run(length: Length) {
    let rounds = match length {
        Length::Short => vec![Scale::Short],
        Length::Long => {
            let rounds = env::var(ROUNDS).map_or(1, |n| n.parse().expect("ROUNDS is a number"));
            (0..rounds).map(|n| if n % 5 == 0 { Scale::Long } else { Scale::Short }).collect()
        }
    };
    let (tickets, seed) = tickets(env::var(SEED).ok().as_deref(), &rounds);
    let only = env::var(ONLY).unwrap_or_default();
    let tickets: Vec<_> =
        tickets.into_iter().filter(|ticket| ticket.to_string().contains(&only)).collect();
    tell(&format!("{} rounds; {SEED}={seed} repeats them", tickets.len()));
    // Whoever was first wins; the clients only want that there is one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let servers = Servers::new(length.at_once());
    let (mut report, count) = (Report::default(), tickets.len());
    // What measures time is played apart: it has little to do.
    let (alone, together): (Vec<_>, Vec<_>) =
        tickets.into_iter().partition(|ticket| ticket.fault.alone);
    for (tickets, at_once) in [(together, length.at_once()), (alone, ALONE_AT_ONCE)] {
        let mut played = stream::iter(tickets)
            .map(async |ticket| (ticket, Box::pin(survive(play(ticket, &servers))).await))
            .buffer_unordered(at_once);
        while let Some((ticket, outcome)) = played.next().await {
            for violation in &outcome.violations {
                tell(&format!("VIOLATED {ticket}: {violation}\n{}", outcome.logs));
            }
            let events = outcome.events;
            report.add(ticket, outcome);
            tell(&format!("{ticket}: {events} events; {} of {count} rounds", report.rounds()));
            // A campaign that somebody ends has something to show.
            if let Some(path) = env::var_os(REPORT) {
                fs::write(path, report.table()).expect("the report can be written");
            }
        }
    }
    tell(&report.table());
    let violations = report.violations();
    assert!(violations.is_empty(), "{SEED}=<round> repeats one:\n{}", violations.join("\n"));
}

/// A round that can't go on is one that was violated: the others have something to tell all the same.
async fn survive(round: impl Future<Output = Outcome>) -> Outcome {
    let broken = |_| Outcome {
        violations: vec!["it panicked: its last words are above".to_owned()],
        ..Outcome::default()
    };
    AssertUnwindSafe(round).catch_unwind().await.unwrap_or_else(broken)
}

/// What is to be played, and the seed that repeats it.
fn tickets(asked: Option<&str>, rounds: &[Scale]) -> (Vec<Ticket>, String) {
    if let Some(ticket) = asked.and_then(one) {
        return (vec![ticket], ticket.to_string());
    }
    let hexadecimal = |asked| {
        u64::from_str_radix(asked, 16).expect("a seed is hexadecimal, or fault/broker/seed/scale")
    };
    let seed = asked.map_or_else(|| fastrand::u64(..), hexadecimal);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut tickets = Vec::new();
    for &scale in rounds {
        for fault in catalogue::all() {
            let ticket = |kind: &Kind| Ticket { fault, kind: *kind, seed: rng.u64(..), scale };
            tickets.extend(fault.kinds.iter().map(ticket));
        }
    }
    (tickets, format!("{seed:016x}"))
}

/// The round that `fault/broker/seed/scale` names.
fn one(asked: &str) -> Option<Ticket> {
    let mut parts = asked.split('/');
    let (name, broker, seed, scale) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let fault = catalogue::all().find(|fault| fault.name == name)?;
    let kind = *fault.kinds.iter().find(|kind| kind.as_str() == broker)?;
    let scale = [Scale::Short, Scale::Long].into_iter().find(|known| known.as_str() == scale)?;
    Some(Ticket { fault, kind, seed: u64::from_str_radix(seed, 16).ok()?, scale })
}

/// Past the capture of the test harness: rounds take long, and a seed that nobody sees repeats nothing.
fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
