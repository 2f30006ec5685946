//! The table of what was done and what came of it.

use std::fmt::Write as _;

use crate::{
    catalogue,
    invariants::within,
    round::{Outcome, Ticket},
};

/// A row for each fault and broker.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    violations: Vec<String>,
}

struct Row {
    fault: &'static str,
    broker: &'static str,
    rounds: usize,
    broken: usize,
    sum: Outcome,
}

impl Report {
    pub fn add(&mut self, ticket: Ticket, outcome: Outcome) {
        let (fault, broker) = (ticket.fault.name, ticket.kind.as_str());
        let place = self.rows.iter().position(|row| (row.fault, row.broker) == (fault, broker));
        let row = match place {
            Some(place) => &mut self.rows[place],
            None => {
                let sum = Outcome::default();
                self.rows.push(Row { fault, broker, rounds: 0, broken: 0, sum });
                self.rows.last_mut().expect("it was pushed")
            }
        };
        row.rounds += 1;
        row.broken += usize::from(!outcome.violations.is_empty());
        row.sum.events += outcome.events;
        row.sum.lost += outcome.lost;
        row.sum.duplicates += outcome.duplicates;
        row.sum.bound += outcome.bound;
        row.sum.waits.extend(outcome.waits);
        row.sum.peak_bytes = row.sum.peak_bytes.max(outcome.peak_bytes);
        for violation in outcome.violations {
            self.violations.push(format!("{ticket}: {violation}"));
        }
    }

    /// How many there were.
    pub fn rounds(&self) -> usize {
        self.rows.iter().map(|row| row.rounds).sum()
    }

    /// What was violated, and by which round.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// A Markdown table, in the catalogue's order.
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| fault | broker | rounds | events | lost | duplicates | bound | peak memory | violated |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        let place = |row: &&Row| {
            let fault = catalogue::all().position(|fault| fault.name == row.fault);
            (fault, row.broker)
        };
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(place);
        for Row { fault, broker, rounds, broken, sum } in &rows {
            let Outcome { events, lost, duplicates, bound, peak_bytes, .. } = sum;
            let mib = peak_bytes >> 20;
            // Writing to a string can't fail.
            let _ = writeln!(
                table,
                "| {fault} | {broker} | {rounds} | {events} | {lost} | {duplicates} | {bound} | {mib} MiB | {broken} |"
            );
        }
        for Row { fault, broker, sum: Outcome { waits, .. }, .. } in rows {
            let milliseconds = |part| within(waits, part).map(|wait| wait.as_millis());
            let told = (milliseconds(0.5), milliseconds(0.99), milliseconds(1.0));
            if let (Some(half), Some(most), Some(all)) = told {
                let _ = write!(
                    table,
                    "\n{fault} on {broker}: of {} short events half were done within {half} ms, 99 of 100 within {most} ms, \
                     and all within {all} ms.\n",
                    waits.len()
                );
            }
        }
        table
    }
}
