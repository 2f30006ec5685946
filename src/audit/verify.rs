//! Whether lines are a whole chain, and if not, what was done to them: a pure decision, line by line.

use std::fmt;

use super::chain::{self, About, Found, Hash, Link, Tip};

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: std::sync::Arc<str>,
    /// From 1 on.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first line is not the chain's first, nor the one after the hash that was named.
    Beginning(u64),
    /// The line is not as it was written, or was never written by stoop.
    Changed,
    /// Somebody else has written the line, under a running worker.
    Foreign,
    /// The last line stops in its middle.
    Cut,
    /// Lines are missing before it: the first and the last of them.
    Gap(u64, u64),
    /// The line was there already, or belongs further up.
    Reordered(u64),
    /// Its number is the next, but it follows another line than the one before it.
    Follows(Hash),
    /// It tells of lines before it that are no links, and they are not there as they were.
    FoundGone,
    /// No line has the hash that was named.
    HeadMissing(Hash),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning(seq) => write!(
                f,
                "begins with line {seq} of the chain: name the files before it as well, or with --after the hash of line {}",
                seq.saturating_sub(1)
            ),
            Self::Changed => {
                f.write_str("changed, or never written by stoop: its hash is not that of its text")
            }
            Self::Foreign => {
                f.write_str("not written by stoop: the worker found it in its log, and the line after it says so")
            }
            Self::Cut => f.write_str("cut in the middle of its last line"),
            Self::Gap(from, to) if from == to => {
                write!(f, "line {from} of the chain is missing before it")
            }
            Self::Gap(from, to) => {
                write!(f, "lines {from} to {to} of the chain are missing before it")
            }
            Self::Reordered(seq) => {
                write!(f, "line {seq} of the chain stands where it doesn't belong")
            }
            Self::Follows(prev) => {
                write!(f, "follows a line with the hash {prev}, which is not the one before it")
            }
            Self::FoundGone => f.write_str(
                "tells of an unfinished or foreign line before it, which is not there as it was",
            ),
            Self::HeadMissing(hash) => {
                write!(f, "cut, or written anew: no line has the hash {hash}")
            }
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many lines were read.
    pub lines: u64,
    /// The number of the first, where there is one.
    pub first: Option<u64>,
    /// How far the chain comes.
    pub head: Tip,
    /// How many unfinished lines there are that a later line tells of.
    pub torn: u64,
    /// What is wrong, and where.
    pub faults: Vec<(Place, Fault)>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Reads the lines of a chain one after the other, over all of its files.
#[derive(Debug)]
pub struct Verifier {
    after: Option<Hash>,
    head: Option<Hash>,
    /// The last link.
    tip: Option<Tip>,
    first: Option<u64>,
    lines: u64,
    torn: u64,
    /// Lines that are no links, until one tells whether they were found so.
    strange: Vec<(Place, Vec<u8>)>,
    cut: bool,
    last: Option<Place>,
    faults: Vec<(Place, Fault)>,
}

impl Verifier {
    /// Of a chain that begins after the line with the hash `after`, or with its first; it has to have a line with the hash
    /// `head`, where one is named.
    pub fn new(after: Option<Hash>, head: Option<Hash>) -> Self {
        let head = head.filter(|head| Some(*head) != after);
        Self {
            after,
            head,
            tip: None,
            first: None,
            lines: 0,
            torn: 0,
            strange: Vec::new(),
            cut: false,
            last: None,
            faults: Vec::new(),
        }
    }

    /// The next line, with its line break unless the file ends without one.
    pub fn line(&mut self, place: Place, line: &[u8]) {
        self.lines += 1;
        self.last = Some(place.clone());
        let text = line.strip_suffix(b"\n");
        self.cut = text.is_none();
        let text = text.unwrap_or(line);
        let Some(link) = chain::read(text) else {
            self.strange.push((place, text.to_vec()));
            return;
        };
        let strange = self.explain(&place, &link);
        self.follow(&place, &link, strange);
        if self.head == Some(link.tip.hash) {
            self.head = None;
        }
        self.first.get_or_insert(link.tip.seq);
        self.tip = Some(link.tip);
    }

    /// What there is to say of the lines before `link` that are no links. Returns how many were links once, for all one can
    /// tell.
    fn explain(&mut self, place: &Place, link: &Link) -> u64 {
        let strange = std::mem::take(&mut self.strange);
        if let Some(About::Torn(found) | About::Foreign(found)) = link.about {
            let bytes: Vec<&[u8]> = strange.iter().map(|(_, text)| text.as_slice()).collect();
            let is_there = !strange.is_empty() && Found::of(&bytes.join(&b'\n')) == found;
            match link.about {
                Some(About::Torn(_)) if is_there => {
                    self.torn += 1;
                    return 0;
                }
                _ if is_there => {
                    let foreign = strange.into_iter().map(|(place, _)| (place, Fault::Foreign));
                    self.faults.extend(foreign);
                    return 0;
                }
                _ => self.faults.push((place.clone(), Fault::FoundGone)),
            }
        }
        let count = strange.len() as u64;
        self.faults.extend(strange.into_iter().map(|(place, _)| (place, Fault::Changed)));
        count
    }

    /// Whether `link` is the next one, after so many that can't be read.
    fn follow(&mut self, place: &Place, link: &Link, unreadable: u64) {
        let Tip { seq, .. } = link.tip;
        let fault = match (self.tip, self.after) {
            (None, Some(after)) => {
                (unreadable == 0 && link.prev != after).then_some(Fault::Beginning(seq))
            }
            (None, None) if seq == 1 + unreadable => (unreadable == 0
                && link.prev != Tip::START.hash)
                .then_some(Fault::Follows(link.prev)),
            (None, None) => Some(Fault::Beginning(seq)),
            (Some(tip), _) => {
                let next = tip.seq + 1;
                match seq {
                    _ if seq < next => Some(Fault::Reordered(seq)),
                    _ if seq == next => {
                        (link.prev != tip.hash).then_some(Fault::Follows(link.prev))
                    }
                    _ if seq <= next + unreadable => None,
                    _ => Some(Fault::Gap(next + unreadable, seq - 1)),
                }
            }
        };
        self.faults.extend(fault.map(|fault| (place.clone(), fault)));
    }

    /// After the last line.
    pub fn end(mut self) -> Verdict {
        let strange = std::mem::take(&mut self.strange);
        let count = strange.len();
        for (position, (place, _)) in strange.into_iter().enumerate() {
            let is_last = position + 1 == count;
            self.faults
                .push((place, if is_last && self.cut { Fault::Cut } else { Fault::Changed }));
        }
        if let Some(head) = self.head {
            let nowhere = || Place { file: "".into(), line: 0 };
            self.faults.push((self.last.clone().unwrap_or_else(nowhere), Fault::HeadMissing(head)));
        }
        Verdict {
            lines: self.lines,
            first: self.first,
            head: self.tip.unwrap_or(Tip::START),
            torn: self.torn,
            faults: self.faults,
        }
    }
}
