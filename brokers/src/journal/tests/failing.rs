//! A disk that is full, or that loses what it was given.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{
    super::{Key, Receiver, intake::Rejection},
    bench::Bench,
    disk::Health,
    letter,
};
use crate::{
    contract::{Ledger as _, Receiver as _, Settled},
    dead_letter::DeadLetterError,
    lease::Lease,
    message::{Borrowed, Message},
};

async fn next(receiver: &mut Receiver) -> (Message, Key, Lease) {
    let next = timeout(Duration::from_secs(20), receiver.next()).await.unwrap();
    let (lent, key, lease) = next.unwrap();
    (lent.detach(), key, lease)
}

/// Everything stops, and stays so: a later flush that succeeds proves nothing about the one that failed.
async fn stops_for_good(health: Health) {
    let bench = Bench::new();
    let (mut receiver, ledger) = bench.reopen().await;
    for body in ["first", "second", "third"] {
        assert_eq!(bench.post(Bytes::from(body)).await, 200);
    }
    let (first, first_key, lease) = next(&mut receiver).await;
    let (_, second_key, _) = next(&mut receiver).await;
    assert_eq!(ledger.ack(&second_key).await, Settled::Durable);

    bench.disk.set(health);
    assert_eq!(bench.post(Bytes::from("lost")).await, 500);
    bench.disk.set(Health::Good);
    assert_eq!(bench.post(Bytes::from("late")).await, 500);
    let monitor = bench.monitor().await;
    let failed = monitor.rejected().find(|(rejection, _)| *rejection == Rejection::Failed);
    assert_eq!(failed, Some((Rejection::Failed, 2)));
    assert!(
        matches!(ledger.ack(&first_key).await, Settled::Unknown(why) if why.contains("journal"))
    );
    assert!(matches!(
        ledger.dead_letter(&first_key, &first, &letter()).await,
        Err(DeadLetterError::Unavailable(_))
    ));
    timeout(Duration::from_secs(20), lease.lost().cancelled()).await.unwrap();
    let ended = async { while receiver.next().await.is_ok() {} };
    timeout(Duration::from_secs(20), ended).await.expect("the receiver ends");
    assert!(ledger.close(Instant::now() + Duration::from_secs(20)).await.is_err());
    drop((receiver, ledger));

    let (mut receiver, _ledger) = bench.reopen().await;
    let mut left = Vec::new();
    for _ in 0..bench.monitor().await.depth().unsettled.messages {
        left.push(next(&mut receiver).await.0.payload);
    }
    // What was answered with an error may be there all the same, what was confirmed has to be.
    assert!(left.starts_with(&[Bytes::from("first"), Bytes::from("third")]), "{left:?}");
    assert!(!left.contains(&Bytes::from("second")) && !left.contains(&Bytes::from("late")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_journal_for_good() {
    stops_for_good(Health::Full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_flush_stops_the_journal_for_good() {
    stops_for_good(Health::FlushFails).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_disk_does_not_take_is_not_settled() {
    for bury in [false, true] {
        let bench = Bench::new();
        let (mut receiver, ledger) = bench.reopen().await;
        assert_eq!(bench.post(Bytes::from("event")).await, 200);
        let (message, key, _) = next(&mut receiver).await;
        bench.disk.set(Health::FlushFails);
        match bury {
            false => assert!(matches!(ledger.ack(&key).await, Settled::Unknown(_))),
            true => assert!(matches!(
                ledger.dead_letter(&key, &message, &letter()).await,
                Err(DeadLetterError::Unavailable(_))
            )),
        }
    }
}
