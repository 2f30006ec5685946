//! What goes in comes out, until it is settled.

use std::collections::HashSet;

use brokers::{
    Attempt, Ledger as _, Message, Receiver as _, Settled, contract::Demand, journal::Sequence,
};
use futures::FutureExt;

use crate::support::{config, letter, open};

fn text(message: &Message) -> &str {
    std::str::from_utf8(&message.payload).unwrap()
}

#[tokio::test]
async fn events_come_in_order_with_their_bytes_and_headers() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(&config(folder.path())).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = crate::support::client()
        .post(&journal.url)
        .header("content-type", "application/json")
        .header("traceparent", trace)
        .header("x-else", "not kept")
        .body(" {\"n\": 1.0}\n");
    assert_eq!(request.send().await.unwrap().status(), 200);
    journal.publish("[{\"n\":2},\n {\"n\":3}]").await;

    let first = journal.done().await;
    assert_eq!(text(&first), " {\"n\": 1.0}\n");
    let headers: Vec<_> = first.headers.iter().map(|(n, v)| (n.as_str(), v.as_ref())).collect();
    assert_eq!(
        headers,
        [("content-type", "application/json".as_bytes()), ("traceparent", trace.as_bytes())]
    );
    assert_eq!(first.attempt, Attempt::Exact(1));
    assert!(first.published.is_some());
    let (second, third) = (journal.done().await, journal.done().await);
    assert_eq!((text(&second), text(&third)), ("{\"n\":2}", "{\"n\":3}"));
    assert!(first.id < second.id && second.id < third.id);
    assert_eq!(journal.monitor.depth().unsettled.messages, 0);
    assert_eq!(journal.monitor.depth().unsettled.bytes, 0);
    assert_eq!(journal.monitor.accepted(), 3);
    journal.close().await;
}

#[tokio::test]
async fn what_is_not_settled_comes_again_at_the_next_start_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut journal = open(&config).await;
    for n in 0..6 {
        journal.publish(format!("{{\"n\":{n}}}")).await;
    }
    let mut lent = Vec::new();
    for _ in 0..4 {
        lent.push(journal.next().await);
    }
    // Out of order: 1 and 2 are done, 0 and 3 are not; 4 and 5 were never lent.
    assert_eq!(journal.ledger.ack(&lent[2].1).await, Settled::Durable);
    assert_eq!(journal.ledger.ack(&lent[1].1).await, Settled::Durable);
    let ids: Vec<_> = lent.into_iter().map(|(message, _)| message.id).collect();
    journal.close().await;

    let mut journal = open(&config).await;
    assert_eq!(journal.monitor.depth().unsettled.messages, 4);
    let mut again = Vec::new();
    for _ in 0..4 {
        again.push(journal.done().await);
    }
    let seen: Vec<_> = again.iter().map(|m| (text(m), m.attempt)).collect();
    assert_eq!(
        seen,
        [
            ("{\"n\":0}", Attempt::Exact(2)),
            ("{\"n\":3}", Attempt::Exact(2)),
            ("{\"n\":4}", Attempt::Exact(1)),
            ("{\"n\":5}", Attempt::Exact(1)),
        ]
    );
    assert_eq!((&again[0].id, &again[1].id), (&ids[0], &ids[3]));
    journal.close().await;

    let mut journal = open(&config).await;
    assert!(journal.receiver.next().now_or_never().is_none());
    // A sequence is never given twice.
    journal.publish("{}").await;
    assert!(journal.next().await.0.id > again[3].id);
    journal.close().await;
}

#[tokio::test]
async fn a_released_event_comes_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(&config(folder.path())).await;
    journal.publish("[{\"n\":0},{\"n\":1}]").await;
    let (first, key) = journal.next().await;
    journal.ledger.release(key);
    let (second, key) = journal.next().await;
    let (third, _) = journal.next().await;
    let (first, again, other) = match second.id == first.id {
        true => (first, second, third),
        false => {
            journal.ledger.release(key);
            (first, third, second)
        }
    };
    assert_eq!(first.id, again.id);
    assert_eq!(again.attempt, Attempt::Exact(2));
    assert_ne!(other.id, again.id);
    journal.close().await;
}

#[tokio::test]
async fn skipped_events_leave_without_anybody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut journal = open(&config).await;
    journal.publish(array(500)).await;
    for _ in 0..500 {
        let (_, key) = journal.next().await;
        journal.ledger.skip(key);
    }
    journal.close().await;
    let journal = open(&config).await;
    assert_eq!(journal.monitor.depth().unsettled.messages, 0);
    journal.close().await;
}

#[tokio::test]
async fn skipped_events_leave_while_nothing_else_happens() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(&config(folder.path())).await;
    journal.publish("{}").await;
    let (_, key) = journal.next().await;
    journal.ledger.skip(key);
    while journal.monitor.depth().unsettled.messages > 0 {
        tokio::task::yield_now().await;
    }
    journal.close().await;
}

#[tokio::test]
async fn a_dead_letter_takes_its_events_place_and_survives() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut journal = open(&config).await;
    journal.publish("[{\"n\":0}, {\"n\": 1}, {\"n\":2}]").await;
    journal.done().await;
    let (message, key) = journal.next().await;
    let settled = journal.ledger.dead_letter(&key, &message, &letter("failed")).await.unwrap();
    assert_eq!(settled, Settled::Durable);
    let depth = journal.monitor.depth();
    assert_eq!((depth.unsettled.messages, depth.dead.messages), (1, 1));
    journal.close().await;

    let mut journal = open(&config).await;
    let depth = journal.monitor.depth();
    assert_eq!((depth.unsettled.messages, depth.dead.messages), (1, 1));
    let buried = journal.monitor.dead_letters(Sequence::default(), 10).await.unwrap();
    assert_eq!(buried.len(), 1);
    assert_eq!(
        (&buried[0].message.id, &buried[0].message.payload),
        (&message.id, &message.payload)
    );
    assert_eq!(buried[0].letter, letter("failed"));
    assert!(
        journal
            .monitor
            .dead_letters(buried[0].place.parse().unwrap(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(text(&journal.done().await), "{\"n\":2}");
    journal.close().await;
}

#[tokio::test]
async fn settling_twice_or_after_the_end_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(&config(folder.path())).await;
    journal.publish("[{},{}]").await;
    let (_, key) = journal.next().await;
    assert_eq!(journal.ledger.ack(&key).await, Settled::Durable);
    assert_eq!(journal.ledger.ack(&key).await, Settled::Fenced);
    let (_, late) = journal.next().await;
    let ledger = journal.ledger.clone();
    journal.close().await;
    assert_eq!(ledger.ack(&late).await, Settled::Fenced);
}

#[tokio::test]
async fn a_backlog_beyond_memory_comes_in_order_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(&config(folder.path())).await;
    for _ in 0..5 {
        journal.publish(array(1000)).await;
    }
    let mut last = None;
    let mut seen = HashSet::new();
    for n in 0..5000 {
        let (message, key) = journal.next().await;
        assert!(last < Some(message.id.sequence()), "{n}: {last:?} {}", message.id);
        last = Some(message.id.sequence());
        assert!(seen.insert(message.id.sequence()));
        match n % 50 {
            0 => assert_eq!(journal.ledger.ack(&key).await, Settled::Durable),
            _ => journal.ledger.skip(key),
        }
        if n == 2500 {
            // Arrives behind all the others, while they are still being read.
            journal.publish("{\"last\":1}").await;
        }
    }
    assert_eq!(text(&journal.done().await), "{\"last\":1}");
    journal.close().await;
}

#[tokio::test]
async fn a_paused_receiver_yields_nothing_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(&config(folder.path())).await;
    journal.receiver.demand(Demand::Pause);
    journal.publish("{}").await;
    assert!(journal.receiver.next().now_or_never().is_none());
    journal.receiver.demand(Demand::Flow);
    journal.done().await;
    journal.close().await;
}

#[tokio::test]
async fn a_second_worker_is_refused_and_told_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let journal = open(&config).await;
    let error = brokers::journal::Journal::open(&config, |_| Ok(())).await.unwrap_err();
    assert!(error.is_configuration());
    assert!(error.to_string().contains(config.path.to_str().unwrap()), "{error}");
    journal.close().await;
    open(&config).await.close().await;
}

pub(crate) fn array(events: usize) -> String {
    let events: Vec<_> = (0..events).map(|n| format!("{{\"n\":{n}}}")).collect();
    format!("[{}]", events.join(","))
}
