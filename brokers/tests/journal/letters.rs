//! Dead letters redriven while the journal is worked on, and what it holds as history.

use brokers::{
    Attempt, History as _, Ledger as _, Settled,
    dead_letter::{MAX_AGE, Queue as _, max_age, meant_for},
    journal::{self, Redriven, Sequence},
};
use bytes::Bytes;
use jiff::Timestamp;

use crate::support::{Served, config, letter, open};

/// Publishes an event and gives it up; says where it lies.
async fn bury(journal: &mut Served, body: &'static str) -> Sequence {
    journal.publish(body).await;
    let (message, key) = journal.next().await;
    let settled = journal.ledger.dead_letter(&key, &message, &letter("failed")).await.unwrap();
    assert_eq!(settled, Settled::Durable);
    let all = journal.monitor.dead_letters(Sequence::default(), 100).await.unwrap();
    all.last().unwrap().place.parse().unwrap()
}

#[tokio::test]
async fn a_redriven_letter_comes_behind_all_others_for_those_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut journal = open(&config).await;
    let place = bury(&mut journal, "{\"n\":1}").await;
    journal.publish("{\"n\":2}").await;
    let more = [(MAX_AGE.to_owned(), Bytes::from_static(b"7d"))];
    assert_eq!(journal.monitor.redrive(place, &[], &more).await.unwrap(), Redriven::Done);
    assert_eq!(journal.monitor.redrive(place, &[], &more).await.unwrap(), Redriven::NotThere);
    let depth = journal.monitor.depth();
    assert_eq!((depth.unsettled.messages, depth.dead.messages), (2, 0));
    assert_eq!(journal.done().await.payload, "{\"n\":2}");
    let (again, _) = journal.next().await;
    assert_eq!((again.payload.as_ref(), again.attempt), (&b"{\"n\":1}"[..], Attempt::Exact(1)));
    assert_eq!(meant_for(&again), Some(vec!["a"]));
    assert!(max_age(&again).is_some());
    journal.close().await;

    // Unsettled it comes again, and says the same.
    let mut journal = open(&config).await;
    let again = journal.done().await;
    assert_eq!((meant_for(&again), again.attempt), (Some(vec!["a"]), Attempt::Exact(2)));
    journal.publish("{\"n\":3}").await;
    let next = journal.done().await;
    assert_eq!(meant_for(&next), None, "an event of its own");
    assert!(next.id.sequence() > again.id.sequence());
    journal.close().await;
}

#[tokio::test]
async fn a_dropped_letter_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(&config(folder.path())).await;
    let place = bury(&mut journal, "{}").await;
    assert!(journal.monitor.remove(place).await.unwrap());
    assert!(!journal.monitor.remove(place).await.unwrap());
    assert!(journal.monitor.dead_letter(place).await.unwrap().is_none());
    assert_eq!(journal.monitor.depth().dead.bytes, 0);
    journal.close().await;
}

#[tokio::test]
async fn the_file_is_read_when_nobody_works_on_it_and_what_is_done_there_is_met_later() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let missing = journal::dead_letters(&config).await.unwrap_err();
    assert!(missing.is_configuration() && !config.path.exists(), "{missing}");

    let mut journal = open(&config).await;
    for body in ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"] {
        bury(&mut journal, body).await;
    }
    journal.publish("{\"n\":4}").await;
    let used = journal::dead_letters(&config).await.unwrap_err();
    assert!(used.to_string().contains("in use by another worker"), "{used}");
    journal.close().await;

    let mut history = journal::history(&config, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(history.total(), Some(4));
    let mut bodies = Vec::new();
    while let Some(message) = history.next().await.unwrap() {
        bodies.push(message.payload);
    }
    assert_eq!(bodies, ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}", "{\"n\":4}"]);
    drop(history);
    let later = Timestamp::now() + std::time::Duration::from_secs(60);
    let mut none = journal::history(&config, later).await.unwrap();
    assert!(none.next().await.unwrap().is_none());
    drop(none);

    let mut queue = journal::dead_letters(&config).await.unwrap();
    let first = queue.next().await.unwrap().unwrap();
    let second = queue.next().await.unwrap().unwrap();
    queue.redrive(&first, &[]).await.unwrap();
    queue.redrive(&first, &[]).await.unwrap();
    queue.remove(&second).await.unwrap();
    drop(queue);

    let mut journal = reopen(&config).await;
    assert_eq!(journal.monitor.depth().dead.messages, 1);
    assert_eq!(journal.done().await.payload, "{\"n\":4}");
    assert_eq!(journal.done().await.payload, "{\"n\":1}");
    journal.close().await;
}

/// Once the tool has let go of the file.
async fn reopen(config: &journal::Config) -> Served {
    loop {
        match journal::Journal::open(config, crate::support::object).await {
            Ok(parts) => return crate::support::serve(parts),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
