//! Which rounds are played, how many at once, and where the report goes.

use std::{
    env, fs,
    io::{self, Write as _},
    path::PathBuf,
};

use futures::{StreamExt as _, stream};

use crate::{
    catalogue,
    report::Report,
    round::{Servers, Ticket, play},
    scene::Scale,
};

/// Repeats the campaign of this seed, or with `fault/broker/seed` the one round.
const SEED: &str = "STOOP_FAULTS_SEED";
/// How many rounds of each fault.
const ROUNDS: &str = "STOOP_FAULTS_ROUNDS";
/// Where the table is written, if anywhere.
const REPORT: &str = "STOOP_FAULTS_REPORT";
/// Rounds wait most of their time, for sessions to end and servers to start.
const AT_ONCE: usize = 8;

/// Every fault on every broker that it applies to, `rounds` times.
pub async fn run(scale: Scale) {
    let rounds = env::var(ROUNDS).map_or(1, |rounds| rounds.parse().expect("ROUNDS is a number"));
    let (tickets, seed) = tickets(env::var(SEED).ok().as_deref(), rounds, scale);
    tell(&format!("{} rounds; {SEED}={seed} repeats them", tickets.len()));
    // Whoever was first wins; the clients only want that there is one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let servers = Servers::new(AT_ONCE);
    let mut report = Report::default();
    // What measures time is played alone.
    let (alone, together): (Vec<_>, Vec<_>) =
        tickets.into_iter().partition(|ticket| ticket.fault.alone);
    for (tickets, at_once) in [(together, AT_ONCE), (alone, 1)] {
        let mut played = stream::iter(tickets)
            .map(async |ticket| (ticket, play(ticket, &servers).await))
            .buffer_unordered(at_once);
        while let Some((ticket, outcome)) = played.next().await {
            for violation in &outcome.violations {
                tell(&format!("VIOLATED {ticket}: {violation}\n{}", outcome.logs));
            }
            tell(&format!("{ticket}: {} events", outcome.events));
            report.add(ticket, outcome);
        }
    }
    let table = report.table();
    tell(&table);
    if let Some(path) = env::var_os(REPORT) {
        fs::write(PathBuf::from(path), &table).expect("the report can be written");
    }
    let violations = report.violations();
    assert!(violations.is_empty(), "{SEED}=<round> repeats one:\n{}", violations.join("\n"));
}

/// What is to be played, and the seed that repeats it.
fn tickets(asked: Option<&str>, rounds: usize, scale: Scale) -> (Vec<Ticket>, String) {
    if let Some(ticket) = asked.and_then(|asked| one(asked, scale)) {
        return (vec![ticket], ticket.to_string());
    }
    let seed = asked.map_or_else(
        || fastrand::u64(..),
        |asked| {
            u64::from_str_radix(asked, 16).expect("a seed is hexadecimal, or fault/broker/seed")
        },
    );
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut tickets = Vec::new();
    for _ in 0..rounds {
        for fault in catalogue::all() {
            let kinds = fault.kinds.iter();
            tickets.extend(kinds.map(|kind| Ticket {
                fault,
                kind: *kind,
                seed: rng.u64(..),
                scale,
            }));
        }
    }
    (tickets, format!("{seed:016x}"))
}

/// The round that `fault/broker/seed` names.
fn one(asked: &str, scale: Scale) -> Option<Ticket> {
    let mut parts = asked.split('/');
    let (name, broker, seed) = (parts.next()?, parts.next()?, parts.next()?);
    let fault = catalogue::all().find(|fault| fault.name == name)?;
    let kind = *fault.kinds.iter().find(|kind| kind.as_str() == broker)?;
    Some(Ticket { fault, kind, seed: u64::from_str_radix(seed, 16).ok()?, scale })
}

/// Past the capture of the test harness: rounds take long, and a seed that nobody sees repeats nothing.
fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
