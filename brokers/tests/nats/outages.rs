//! A server of one's own, killed or stopped in its tracks; streams and consumers deleted under a worker's hands.

use std::{path::Path, time::Duration};

use async_nats::jetstream::{consumer::pull, stream::RetentionPolicy};
use brokers::{
    Demand, Health, Ledger as _, Receiver as _, Settled,
    conformance::{Worker, until},
    nats,
};
use testbed::nats::Nats;

use crate::{
    bench::{Bench, SLOTS},
    staff::{Log, Staff},
};

fn unreachable(health: &Health) -> bool {
    matches!(health, Health::Unavailable(what) if what.contains("no NATS server answers"))
}

fn well(health: &Health) -> bool {
    *health == Health::Connected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_with_work_in_flight_is_waited_for() {
    let mut nats = Nats::start().await.unwrap();
    let bench = Bench::on(nats.url()).await;
    bench.publish_bodies(0..10).await;
    let log = Log::default();
    let staff = Staff::start(&bench.config, SLOTS, Duration::from_secs(1), &log);
    until("all to be in flight", async || staff.kept() == 10).await;
    nats.kill();
    staff.is("it says so", unreachable).await;
    nats.restart().await.unwrap();
    staff.is("back", well).await;
    log.has(10).await;
    until("all to be settled", async || bench.left().await == 0).await;
    bench.publish_bodies(["after"]).await;
    log.has(11).await;
    staff.stop().await;
    assert_eq!(bench.kept(bench.stream.clone()).await, 0);
}

/// A server writes down what it has delivered some time later, and is silent to an ack of what it doesn't know to be
/// delivered. What it would tell of it waits for free slots, and they for its answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgets_what_it_delivered_is_taken_messages_from_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, before) = (folder.path().join("data"), folder.path().join("before"));
    let mut nats = Nats::start_in(folder.path()).await.unwrap();
    let bench = Bench::unmade(nats.url()).await;
    let ack_wait = Duration::from_secs(15);
    bench.create_stream().await;
    bench.create_consumer_as(pull::Config { ack_wait, ..bench.consumer_config() }).await;
    bench.create_dead_letters().await;
    bench.publish_bodies(0..=SLOTS).await;
    // What a server has on its disk it may have written a moment ago.
    nats.restart().await.unwrap();
    nats.pause().unwrap();
    copy(&data, &before);
    nats.resume().unwrap();

    let mut worker = Worker::start(&bench).await;
    let held = worker.take(SLOTS).await;
    nats.kill();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&before, &data).unwrap();
    nats.restart().await.unwrap();
    let acks = futures::future::join_all(held.into_iter().map(|delivery| delivery.ack())).await;
    let passed_over =
        |ack: &Settled| matches!(ack, Settled::Unknown(why) if why.contains("comes again"));
    assert!(acks.iter().any(passed_over), "{acks:?}");
    let again = worker.finish(&bench).await;
    assert!(again.len() > 1, "{again:?}");
    assert_eq!(bench.left().await, 0);
    worker.stop().await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(std::fs::copy(&path, &to).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_at_the_start_is_waited_for() {
    let mut nats = Nats::start().await.unwrap();
    let bench = Bench::on(nats.url()).await;
    bench.publish_bodies(["a"]).await;
    nats.kill();
    let log = Log::default();
    let staff = Staff::start(&bench.config, SLOTS, Duration::ZERO, &log);
    staff.is("it says so", unreachable).await;
    nats.restart().await.unwrap();
    log.has(1).await;
    staff.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_while_disconnected_is_never_durable() {
    let mut nats = Nats::start().await.unwrap();
    let bench = Bench::on(nats.url()).await;
    bench.publish_bodies(["a"]).await;
    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    nats.kill();
    // Ours notices as this client does: nothing is lost in a socket, all would wait for the connection.
    until("the end to be noticed", async || !bench.is_connected()).await;
    let settled = delivery.ack().await;
    assert_eq!(settled, Settled::Fenced);
    nats.restart().await.unwrap();
    assert_eq!(worker.finish(&bench).await, ["a"]);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ack_outlives_a_short_outage() {
    let mut nats = Nats::start().await.unwrap();
    let bench = Bench::on(nats.url()).await;
    bench.publish_bodies(["a"]).await;
    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    nats.kill();
    let ack = tokio::spawn(delivery.ack());
    nats.restart().await.unwrap();
    assert_eq!(ack.await.unwrap(), Settled::Durable);
    assert_eq!(bench.left().await, 0);
    worker.stop().await.unwrap();
}

/// A work queue has forgotten what was confirmed in no more time than it takes to kill it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_right_before_a_kill_never_comes_again() {
    let mut nats = Nats::start().await.unwrap();
    let bench = Bench::on(nats.url()).await;
    bench.publish_bodies(0..SLOTS).await;
    let mut worker = Worker::start(&bench).await;
    let held = worker.take(SLOTS).await;
    let acks = futures::future::join_all(held.into_iter().map(|delivery| delivery.ack())).await;
    nats.kill();
    assert!(acks.iter().all(|ack| *ack == Settled::Durable), "{acks:?}");
    nats.restart().await.unwrap();
    assert_eq!(bench.left().await, 0);
    bench.publish_bodies(["after"]).await;
    let after = worker.next().await;
    assert_eq!(after.message().payload, "after");
    after.ack().await;
    worker.stop().await.unwrap();
}

/// The server delivers to others what it has not heard of; so we have to notice by ourselves that it hears us no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_lost_when_the_server_does_not_answer_and_the_messages_come_again() {
    let nats = Nats::start().await.unwrap();
    let bench = Bench::on(nats.url()).await;
    bench.publish_bodies(["a"]).await;
    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    nats.pause().unwrap();
    delivery.lease().lost().cancelled().await;
    assert_eq!(delivery.ack().await, Settled::Fenced);
    nats.resume().unwrap();
    let again = worker.next().await;
    assert_eq!(again.message().payload, "a");
    again.ack().await;
    until("it to be settled", async || bench.left().await == 0).await;
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_for_longer_than_the_ack_wait_stays_ours() {
    let bench = Bench::on_shared().await;
    bench.publish_bodies(["long", "resting"]).await;
    let mut worker = Worker::start(&bench).await;
    let mut held = worker.take(2).await;
    let resting = held.pop().unwrap();
    let rests = resting.message().payload.clone();
    resting.retry(Bench::ACK_WAIT * 2);
    let back = worker.next().await;
    assert_eq!((back.message().payload.clone(), back.handed()), (rests, 2));
    assert_eq!(bench.redelivered().await, 0);
    for delivery in held.into_iter().chain([back]) {
        assert!(!delivery.lease().is_lost());
        assert_eq!(delivery.ack().await, Settled::Durable);
    }
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_deleted_in_flight_fences_what_is_held_and_is_bound_again_once_it_is_back() {
    let bench = Bench::on_shared().await;
    bench.publish_bodies(["a"]).await;
    let mut worker = Worker::start(&bench).await;
    let delivery = worker.next().await;
    bench.delete_consumer().await;
    let settled = delivery.ack().await;
    assert!(matches!(settled, Settled::Fenced | Settled::Unknown(_)), "{settled:?}");
    bench.create_consumer().await;
    let again = worker.next().await;
    assert_eq!(again.message().payload, "a");
    assert_eq!(again.ack().await, Settled::Durable);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_deleted_in_flight_takes_no_message_of_its_successor_with_it() {
    let bench = Bench::on_shared().await;
    bench.publish_bodies(["old"]).await;
    let mut worker = Worker::start(&bench).await;
    let old = worker.next().await;
    bench.delete_stream(bench.stream.clone()).await;
    old.lease().lost().cancelled().await;
    bench.create_stream().await;
    bench.create_consumer().await;
    bench.publish_bodies(["new"]).await;
    let new = worker.next().await;
    assert_eq!(new.message().id, old.message().id, "the sequence begins anew");
    assert_eq!(old.ack().await, Settled::Fenced);
    assert_eq!(bench.left().await, 1);
    assert_eq!(new.ack().await, Settled::Durable);
    worker.stop().await.unwrap();
}

/// While nothing is asked for, nobody tells that the consumer is gone: it has to be looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_made_anew_behind_a_pause_is_noticed() {
    let bench = Bench::on_shared().await;
    bench.publish_bodies(["a"]).await;
    let (mut receiver, ledger) = nats::connect(&bench.config, SLOTS).unwrap();
    let (_message, key, lease) = receiver.next().await.unwrap();
    receiver.demand(Demand::Pause);
    let paused = tokio::spawn(async move { receiver.next().await.map(drop) });
    until("nothing to be asked for", async || bench.waiting().await == 0).await;
    bench.delete_consumer().await;
    bench.create_consumer().await;
    lease.lost().cancelled().await;
    assert_eq!(ledger.ack(&key).await, Settled::Fenced);
    assert_eq!(bench.left().await, 1);
    paused.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_what_is_held_is_not_worked_on_at_the_same_time() {
    let bench = Bench::on_shared().await;
    bench.publish_bodies(["a"]).await;
    let mut worker = Worker::start(&bench).await;
    let first = worker.next().await;
    bench.ask_for_redelivery(1).await;
    until("it to be delivered again", async || bench.redelivered().await == 1).await;
    bench.publish_bodies(["b"]).await;
    let next = worker.next().await;
    assert_eq!(next.message().payload, "b");
    assert_eq!((first.ack().await, next.ack().await), (Settled::Durable, Settled::Durable));
    assert_eq!(bench.left().await, 0);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_with_all_its_pending_taken_goes_on_once_some_are_acked() {
    let bench = Bench::unmade_on_shared().await;
    bench.create_stream().await;
    let saturated = pull::Config { max_ack_pending: 10, ..bench.consumer_config() };
    bench.create_consumer_as(saturated).await;
    bench.publish_bodies(0..30).await;
    let log = Log::default();
    let fast = Staff::start(&bench.config, 5, Duration::from_millis(50), &log);
    let other = Staff::start(&bench.config, 5, Duration::from_millis(50), &log);
    log.has(30).await;
    fast.stop().await;
    other.stop().await;
    assert_eq!(bench.left().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_without_slots_leaves_what_it_cannot_hold_to_others() {
    let bench = Bench::unmade_on_shared().await;
    bench.create_stream().await;
    // Longer than this test waits: nobody gets anything by our being silent.
    let patient = pull::Config { ack_wait: Duration::from_secs(300), ..bench.consumer_config() };
    bench.create_consumer_as(patient).await;
    bench.publish_bodies(0..40).await;
    let busy_log = Log::default();
    let busy = Staff::start(&bench.config, 2, Duration::from_secs(600), &busy_log);
    until("its slots to be taken", async || busy.kept() == 2).await;
    let log = Log::default();
    let other = Staff::start(&bench.config, SLOTS, Duration::ZERO, &log);
    // Two are worked on, and one waits for a slot.
    log.has(37).await;
    other.stop().await;
    busy.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interest_and_limits_retention_are_served_too() {
    for retention in [RetentionPolicy::Interest, RetentionPolicy::Limits] {
        let bench = Bench::with_retention(retention).await;
        bench.publish_bodies(0..50).await;
        let log = Log::default();
        let staff = Staff::start(&bench.config, SLOTS, Duration::ZERO, &log);
        log.has(50).await;
        staff.stop().await;
        assert_eq!(bench.left().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_backlog_of_large_messages_arrives_whole() {
    let bench = Bench::on_shared().await;
    let body = |n: usize| format!("{n:04}{}", "x".repeat(900_000));
    bench.publish_bodies((0..40).map(body)).await;
    let log = Log::default();
    let staff = Staff::start(&bench.config, SLOTS, Duration::ZERO, &log);
    log.has(40).await;
    staff.stop().await;
    assert_eq!(bench.left().await, 0);
}
