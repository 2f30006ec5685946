//! What deciding costs beside decoding.
//!
//! Every ratio is the median of pairs measured in turn, A B A B, in this one process.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on should stop")]

mod corpus;

use playbooks::decide::{Event, Matcher, read_text};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Many short rounds: on a busy machine most of them are not interrupted, and the median is of those.
/// Makes the event of a number.
type Make = fn(usize) -> String;

const PAIRS: usize = 401;
const ROUND: Duration = Duration::from_millis(1);

/// Nanoseconds an event.
fn time(events: &[String], mut work: impl FnMut(&[u8])) -> f64 {
    let (start, mut done) = (Instant::now(), 0u32);
    while start.elapsed() < ROUND {
        for event in events {
            work(black_box(event.as_bytes()));
            done += 1;
        }
    }
    start.elapsed().as_nanos() as f64 / f64::from(done)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Medians of both, and of the ratios of the pairs.
fn pairs(events: &[String], mut a: impl FnMut(&[u8]), mut b: impl FnMut(&[u8])) -> (f64, f64, f64) {
    let measured: Vec<(f64, f64)> =
        (0..PAIRS).map(|_| (time(events, &mut a), time(events, &mut b))).collect();
    let of = |number: fn(&(f64, f64)) -> f64| median(measured.iter().map(number).collect());
    (of(|pair| pair.0), of(|pair| pair.1), of(|pair| pair.1 / pair.0))
}

fn decode(payload: &[u8]) {
    black_box(Event::decode(payload).unwrap());
}

fn main() {
    let streams: [(&str, Make); 3] = [
        ("unwanted", corpus::unwanted),
        ("kept, unwanted", corpus::kept),
        ("wanted", corpus::wanted),
    ];
    let mut mixed: Vec<String> = (0..60).map(corpus::unwanted).collect();
    mixed.extend((0..25).map(corpus::kept).chain((0..15).map(corpus::wanted)));
    let bytes = mixed.iter().map(String::len).sum::<usize>() / mixed.len();
    println!("events of {bytes} bytes; medians of {PAIRS} pairs, ns an event\n");
    println!(
        "{:>9}  {:<24} {:>9} {:>15} {:>7} {:>7} {:>9}",
        "playbooks", "events", "decode", "decode + match", "ratio", "wants", "matches"
    );
    for count in [10, 100, 1_000] {
        let matcher = Matcher::new(read_text("corpus", &corpus::playbooks(count)).unwrap());
        let mut table: Vec<(&str, Vec<String>)> =
            vec![("60% / 25% / 15% of these:", mixed.clone())];
        table.extend(streams.iter().map(|(name, make)| (*name, (0..100).map(make).collect())));
        for (name, events) in table {
            let both = |payload: &[u8]| {
                let event = Event::decode(payload).unwrap();
                black_box(matcher.candidates(&event).unwrap());
            };
            let (alone, together, ratio) = pairs(&events, decode, both);
            let wants = median(
                (0..PAIRS)
                    .map(|_| {
                        time(&events, |payload| {
                            black_box(matcher.wants(payload));
                        })
                    })
                    .collect(),
            );
            let found: usize = events
                .iter()
                .map(|text| {
                    matcher.candidates(&Event::decode(text.as_bytes()).unwrap()).unwrap().len()
                })
                .sum();
            println!(
                "{count:>9}  {name:<24} {alone:>9.0} {together:>15.0} {ratio:>7.2} {wants:>7.0} {:>9.2}",
                found as f64 / events.len() as f64
            );
        }
    }
    println!("\nbudget: 1.3 with 100 playbooks, 1.6 with 1000");
}
