//! Redriving and dropping, on dead letters that a test holds in its hands.

use async_trait::async_trait;
use brokers::{Attempt, Error, Message, MessageId};

use super::*;

/// Dead letters 1 to n; those of `refused` can't be redriven or dropped.
#[derive(Debug, Default)]
struct Shelf {
    letters: Vec<Buried>,
    next: usize,
    refused: BTreeSet<String>,
    done: Vec<String>,
    /// Fires with the first one that is done.
    interrupt: CancellationToken,
}

fn buried(place: usize, failed: &str) -> Buried {
    let headers = [("stoop-reason", "failed"), ("stoop-failed", failed)];
    let headers = headers.map(|(name, value)| (name.to_owned(), Bytes::from(value.to_owned())));
    let message = Message {
        id: MessageId::in_stream("s".into(), place as u64),
        payload: Bytes::new(),
        key: None,
        headers: headers.into(),
        published: None,
        attempt: Attempt::Unknown,
    };
    Buried::read(place.to_string(), message)
}

impl Shelf {
    fn with(count: usize, refused: &[usize]) -> Self {
        let letters = (1..=count).map(|place| buried(place, "a,b")).collect();
        Self { letters, refused: refused.iter().map(usize::to_string).collect(), ..Self::default() }
    }

    fn settle(&mut self, what: String, place: &str) -> Result<(), Error> {
        if self.refused.contains(place) {
            return Err(Error::client("no", "way"));
        }
        self.done.push(what);
        Ok(())
    }
}

#[async_trait]
impl Queue for Shelf {
    async fn next(&mut self) -> Result<Option<Buried>, Error> {
        self.next += 1;
        Ok(self.letters.get(self.next - 1).cloned())
    }

    async fn redrive(&mut self, buried: &Buried, _: &[(String, Bytes)]) -> Result<(), Error> {
        self.interrupt.cancel();
        self.settle(buried.place.clone(), &buried.place)
    }

    async fn redrive_for(
        &mut self,
        buried: &Buried,
        handlers: &[String],
        _: &[(String, Bytes)],
    ) -> Result<(), Error> {
        self.settle(format!("{}:{}", buried.place, handlers.join(",")), &buried.place)
    }

    async fn remove(&mut self, buried: &Buried) -> Result<(), Error> {
        self.settle(format!("-{}", buried.place), &buried.place)
    }
}

fn places(places: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    places.into_iter().map(|place| place.to_string()).collect()
}

fn redrive(playbook: Option<&str>) -> Deed {
    Deed::Redrive { playbook: playbook.map(str::to_owned), more: Vec::new() }
}

#[tokio::test]
async fn only_those_that_were_chosen_are_settled() {
    let mut shelf = Shelf::with(5, &[]);
    let (none, filter) = (BTreeSet::new(), Filter::default());
    let choice = choose(&mut shelf, &filter, &none, 3, true).await.unwrap();
    assert_eq!((choice.places.clone(), choice.rows.len()), (places(1..=3), 3));
    let mut shelf = Shelf::with(5, &[]);
    let choice = choose(&mut shelf, &filter, &places([2, 4, 9]), usize::MAX, false).await.unwrap();
    assert_eq!((choice.places.clone(), choice.rows.len()), (places([2, 4]), 0));
    shelf.next = 0;
    let never = CancellationToken::new();
    let tally = settle(&mut shelf, choice.places, &redrive(None), &never).await.unwrap();
    assert_eq!(tally, Tally { done: 2, ..Tally::default() });
    assert_eq!(shelf.done, ["2", "4"]);
    shelf.next = 0;
    settle(&mut shelf, places([5]), &Deed::Drop, &never).await.unwrap();
    assert_eq!(shelf.done, ["2", "4", "-5"]);
}

#[tokio::test]
async fn an_interruption_ends_after_the_current_one() {
    let mut shelf = Shelf::with(5, &[]);
    let stop = shelf.interrupt.clone();
    let tally = settle(&mut shelf, places(1..=5), &redrive(None), &stop).await.unwrap();
    assert_eq!(shelf.done, ["1"]);
    assert_eq!((tally.done, tally.left, tally.is_complete()), (1, 4, false));
    assert_eq!(tally.told(&redrive(None)), "1 redriven, 4 left as they were: interrupted");
}

#[tokio::test]
async fn one_that_fails_stays_and_the_others_go_on_until_all_do() {
    let never = CancellationToken::new();
    let mut shelf = Shelf::with(4, &[2]);
    let tally = settle(&mut shelf, places(1..=4), &redrive(None), &never).await.unwrap();
    assert_eq!((tally.done, tally.failed, tally.is_complete()), (3, 1, false));
    let mut shelf = Shelf::with(9, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let tally = settle(&mut shelf, places(1..=9), &Deed::Drop, &never).await.unwrap();
    assert_eq!((tally.done, tally.failed, tally.left), (0, OUTAGE, 4));
}

#[tokio::test]
async fn a_playbook_narrows_a_redrive_and_the_letter_stays_for_the_others() {
    let never = CancellationToken::new();
    let mut shelf = Shelf::with(1, &[]);
    shelf.letters.push(buried(2, "a"));
    settle(&mut shelf, places([1, 2]), &redrive(Some("a")), &never).await.unwrap();
    assert_eq!(shelf.done, ["1:a", "2"]);
}

#[tokio::test]
async fn what_somebody_else_settled_meanwhile_is_said() {
    let never = CancellationToken::new();
    let mut shelf = Shelf::with(1, &[]);
    let tally = settle(&mut shelf, places([1, 7]), &Deed::Drop, &never).await.unwrap();
    assert_eq!(tally.told(&Deed::Drop), "1 dropped, 1 were gone already");
}
