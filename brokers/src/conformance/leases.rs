//! Leases that end before their worker does.

use std::time::Duration;

use futures::future::select_all;

use crate::{contract::Settled, delivery::Delivery};

use super::{Harness, Record, Worker, harness::within};

/// Enough that whatever part of a subscription a broker takes back holds two of them.
const MESSAGES: usize = 16;

async fn take_all<H: Harness>(bench: &H, worker: &mut Worker) -> Vec<Delivery> {
    bench.publish((0..MESSAGES).map(|n| Record::new(format!("{n}"))).collect()).await;
    worker.take(MESSAGES).await
}

/// Asked back is not taken: what runs may finish, what doesn't comes again.
pub async fn what_is_asked_back_can_still_be_settled<H: Harness>() {
    if !H::ASKS_BACK {
        return;
    }
    let bench = H::fresh().await;
    let mut worker = Worker::start(&bench).await;
    let held = take_all(&bench, &mut worker).await;
    let revoked = within("the revoke", bench.revoke()).await;
    let closing = held.iter().map(|delivery| Box::pin(delivery.lease().closing().cancelled()));
    within("a lease to close", select_all(closing)).await;
    let (mut closing, kept): (Vec<_>, Vec<_>) =
        held.into_iter().partition(|delivery| delivery.lease().is_closing());
    let given_back = closing.pop().expect("a lease has closed");
    let body = given_back.message().payload.clone();
    given_back.retry(Duration::ZERO);
    for delivery in closing.into_iter().chain(kept) {
        let settled = delivery.ack().await;
        assert!(matches!(settled, Settled::Durable | Settled::Accepted), "{settled:?}");
    }
    drop(revoked);
    let seen = worker.finish(&bench).await;
    assert!(seen.contains(&body), "{seen:?}");
    worker.stop().await.expect("a clean end");
}

/// It is told, what it settles has no effect, and the message comes again.
pub async fn a_handler_that_outlives_its_lease_is_fenced<H: Harness>() {
    if !H::LEASES_END {
        return;
    }
    let bench = H::fresh().await;
    let mut worker = Worker::start(&bench).await;
    let held = take_all(&bench, &mut worker).await;
    let taken = within("the loss", bench.lose()).await;
    let lost = held.iter().map(|delivery| Box::pin(delivery.lease().lost().cancelled()));
    within("a lease to be lost", select_all(lost)).await;
    let mut fenced = Vec::new();
    for delivery in held {
        let (lost, body) = (delivery.lease().is_lost(), delivery.message().payload.clone());
        let settled = delivery.ack().await;
        if lost {
            assert_eq!(settled, Settled::Fenced);
            fenced.push(body);
        }
    }
    drop(taken);
    let seen = worker.finish(&bench).await;
    assert!(fenced.iter().all(|body| seen.contains(body)), "{fenced:?} of {seen:?}");
    worker.stop().await.expect("a clean end");
}
