//! What no emulator does: calls that fail and heal again.

use std::{sync::Arc, time::Duration};

use brokers::{
    Borrowed as _, DeadLetter, DeadLetterError, Health, Ledger as _, Receiver as _, Settled,
    conformance::until,
    dead_letter::Queue as _,
    pubsub::{self, Config, Ledger, Receiver},
};
use jiff::Timestamp;
use testbed::pubsub::fake::{Code, Fake, Faults};

use crate::bench::LIMITS;

pub(crate) fn config(fake: &Fake) -> Config {
    // Somebody else's process-wide choice is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = serde_json::json!({
        "project": "fake", "subscription": "stoop", "topic": "falco", "deadLetters": "falco-dead",
        "ackDeadline": "10s", "endpoint": format!("http://{}", fake.address()),
    });
    serde_json::from_value(config).unwrap()
}

async fn connected(exactly_once: bool) -> (Fake, Receiver, Arc<Ledger>) {
    let fake = Fake::start(exactly_once).await.unwrap();
    let (receiver, ledger) = pubsub::connect(&config(&fake), LIMITS).await.unwrap();
    (fake, receiver, ledger)
}

async fn says(ledger: &Ledger, what: &str) {
    let mut health = ledger.health();
    let wanted = |h: &Health| matches!(h, Health::Unavailable(said) if said.contains(what));
    let waited = tokio::time::timeout(Duration::from_secs(30), health.wait_for(wanted)).await;
    assert!(waited.is_ok(), "{what}: it is {:?}", *ledger.health().borrow());
}

async fn is_well(ledger: &Ledger) {
    let mut health = ledger.health();
    let well = health.wait_for(|health| *health == Health::Connected);
    tokio::time::timeout(Duration::from_secs(60), well).await.expect("well again").unwrap();
}

fn letter() -> DeadLetter {
    DeadLetter {
        reason: "failed".into(),
        error: "no".into(),
        attempts: 1,
        first_failed: Timestamp::UNIX_EPOCH,
        last_failed: Timestamp::UNIX_EPOCH,
        failed: Vec::new(),
        worker: "w".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_is_revoked_is_named_and_work_goes_on_once_it_is_back() {
    let (fake, mut receiver, ledger) = connected(false).await;
    for (code, what) in [
        (Code::PermissionDenied, "roles/pubsub.subscriber"),
        (Code::Unauthenticated, "renew them"),
        (Code::NotFound, "stoop setup"),
    ] {
        fake.fail(Faults { pull: Some(code), ..Faults::default() });
        says(&ledger, what).await;
        fake.fail(Faults::default());
        is_well(&ledger).await;
        fake.publish("a");
        let (record, key, _) = receiver.next().await.unwrap();
        assert_eq!(record.payload(), b"a");
        assert_eq!(ledger.ack(&key).await, Settled::Accepted);
    }
    until("all to be settled", async || fake.unsettled() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_through_a_refusal_can_still_be_settled() {
    let (fake, mut receiver, ledger) = connected(true).await;
    fake.publish("a");
    let (_, key, lease) = receiver.next().await.unwrap();
    fake.fail(Faults { pull: Some(Code::PermissionDenied), ..Faults::default() });
    says(&ledger, "roles/pubsub.subscriber").await;
    assert!(!lease.is_closing());
    assert_eq!(ledger.ack(&key).await, Settled::Durable);
    assert_eq!(fake.unsettled(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_lose_nothing_and_need_no_health() {
    let (fake, mut receiver, ledger) = connected(true).await;
    is_well(&ledger).await;
    for n in 0..20 {
        fake.publish(format!("{n}"));
        let (_, key, _) = receiver.next().await.unwrap();
        fake.reset_streams();
        assert_eq!(ledger.ack(&key).await, Settled::Durable);
        assert_eq!(*ledger.health().borrow(), Health::Connected);
    }
    assert_eq!(fake.unsettled(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_that_is_not_taken_at_first_is_confirmed_later_and_not_before() {
    let (fake, mut receiver, ledger) = connected(true).await;
    fake.publish("a");
    let (_, key, _) = receiver.next().await.unwrap();
    fake.fail(Faults { acknowledge: Some(Code::Unavailable), ..Faults::default() });
    let ack = ledger.ack(&key);
    tokio::pin!(ack);
    let early = tokio::time::timeout(Duration::from_millis(500), &mut ack).await;
    assert!(early.is_err(), "{early:?} while nothing is acknowledged");
    fake.fail(Faults::default());
    assert_eq!(ack.await, Settled::Durable);
    assert_eq!(fake.unsettled(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_that_is_refused_for_good_is_not_called_done() {
    let (fake, mut receiver, ledger) = connected(true).await;
    fake.publish("a");
    let (_, key, _) = receiver.next().await.unwrap();
    fake.fail(Faults { acknowledge: Some(Code::PermissionDenied), ..Faults::default() });
    let settled = ledger.ack(&key).await;
    assert!(matches!(settled, Settled::Unknown(_)), "{settled:?}");
    assert_eq!(ledger.ack(&key).await, Settled::Fenced, "a key settles once");
    assert_eq!(fake.unsettled(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_cannot_be_published_is_not_acked() {
    let (fake, mut receiver, ledger) = connected(true).await;
    fake.publish("a");
    let (record, key, _) = receiver.next().await.unwrap();
    let message = record.detach();
    for (code, says) in
        [(Code::NotFound, "stoop setup"), (Code::PermissionDenied, "roles/pubsub.publisher")]
    {
        fake.fail(Faults { publish: Some(code), ..Faults::default() });
        match ledger.dead_letter(&key, &message, &letter()).await {
            Err(DeadLetterError::Unavailable(why)) => {
                assert!(why.to_string().contains(says), "{why}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(fake.unsettled(), 1);
    }
    fake.fail(Faults::default());
    assert_eq!(ledger.dead_letter(&key, &message, &letter()).await.unwrap(), Settled::Durable);
    assert_eq!((fake.unsettled(), fake.publications().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_read_but_not_look_is_served_with_what_is_certain() {
    let fake = Fake::start(true).await.unwrap();
    fake.fail(Faults { get: Some(Code::PermissionDenied), ..Faults::default() });
    let (mut receiver, ledger) = pubsub::connect(&config(&fake), LIMITS).await.unwrap();
    assert_eq!(ledger.capabilities().ack, brokers::AckStrength::Accepted);
    is_well(&ledger).await;
    fake.publish("a");
    let (_, key, _) = receiver.next().await.unwrap();
    assert_eq!(ledger.ack(&key).await, Settled::Durable, "the stream says that it confirms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_here_is_bounded_though_the_server_sends_without_end() {
    let (fake, mut receiver, ledger) = connected(false).await;
    receiver.demand(brokers::Demand::Pause);
    fake.flood(vec![b'x'; 1 << 20], 200);
    until("the store to fill", async || ledger.lag().waiting >= 15).await;
    // As much again is on its way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(ledger.lag().waiting <= 17, "{:?}", ledger.lag());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_sends_the_last_acks_and_hands_back_what_nobody_took() {
    let (fake, mut receiver, ledger) = connected(false).await;
    for n in 0..10 {
        fake.publish(format!("{n}"));
    }
    for _ in 0..5 {
        let (_, key, _) = receiver.next().await.unwrap();
        ledger.ack(&key).await;
    }
    until("the rest to wait here", async || ledger.lag().waiting == 5).await;
    drop(receiver);
    let by = tokio::time::Instant::now() + Duration::from_secs(10);
    ledger.close(by).await.unwrap();
    assert_eq!(fake.unsettled(), 5);
    until("what nobody took to be handed back", async || fake.leased() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_at_a_worker_that_drains_goes_to_others_and_what_runs_there_does_not() {
    let (fake, mut first, ledger) = connected(true).await;
    // More than one frame, so that some of it waits in the client.
    for n in 0..1200 {
        fake.publish(format!("{n}"));
    }
    let (_, key, lease) = first.next().await.unwrap();
    until("the store to be full", async || ledger.lag().waiting >= 1000).await;
    first.drain();
    let (mut second, others) = pubsub::connect(&config(&fake), LIMITS).await.unwrap();
    let taken = async {
        for _ in 0..1199 {
            let (_, key, _) = second.next().await.unwrap();
            others.skip(key);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), taken).await.expect("all others come");
    until("one to be left", async || fake.unsettled() == 1).await;
    assert!(!lease.is_closing());
    assert_eq!(ledger.ack(&key).await, Settled::Durable);
    assert_eq!(fake.unsettled(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_that_were_only_looked_at_are_handed_back() {
    let fake = Fake::start(true).await.unwrap();
    for body in ["a", "b", "c"] {
        fake.publish(body);
    }
    let mut queue = pubsub::dead_letters(&config(&fake)).await.unwrap();
    let first = queue.next().await.unwrap().unwrap();
    assert_eq!(first.letter.reason, "unknown", "somebody else wrote it");
    queue.remove(&first).await.unwrap();
    assert!(queue.next().await.unwrap().is_some());
    drop(queue);
    until("all to be handed back", async || fake.leased() == 0).await;
    assert_eq!(fake.unsettled(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_does_not_confirm_is_no_place_to_take_dead_letters_out_of() {
    let fake = Fake::start(false).await.unwrap();
    fake.publish("a");
    let mut queue = pubsub::dead_letters(&config(&fake)).await.unwrap();
    let letter = queue.next().await.unwrap().unwrap();
    for refused in [queue.redrive(&letter, &[]).await, queue.remove(&letter).await] {
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains("--enable-exactly-once-delivery"), "{refused}");
    }
    assert_eq!((fake.unsettled(), fake.publications().len()), (1, 0));
}
