//! Core NATS: what it can't promise is said, and what it can is kept.

use std::{collections::BTreeSet, time::Duration};

use brokers::{
    AckStrength, Health, Ledger as _,
    nats::{self, Config, Publisher},
};
use bytes::Bytes;
use testbed::nats::Nats;

use crate::{
    bench::shared,
    staff::{Log, Staff},
};

fn config(url: &str) -> Config {
    let name = format!("core-{:016x}", fastrand::u64(..));
    let config = serde_json::json!({
        "servers": [url], "subject": format!("{name}.*.*"), "queue": name, "acceptLoss": true,
        "deadLetters": format!("{name}.dead"),
    });
    serde_json::from_value(config).unwrap()
}

async fn connected(staff: &Staff) {
    staff.is("connected", |health| *health == Health::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_that_there_are_no_acks() {
    let (_receiver, ledger) = nats::connect(&config(shared().await), 1).unwrap();
    assert_eq!(ledger.capabilities().ack, AckStrength::None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_group_shares_the_messages() {
    let config = config(shared().await);
    let log = Log::default();
    let staff = [0, 1].map(|_| Staff::start(&config, 100, Duration::ZERO, &log));
    for staff in &staff {
        connected(staff).await;
    }
    let publisher = Publisher::new(&config).unwrap();
    for n in 0..50 {
        publisher.publish(None, n.to_string().as_bytes(), &[]).await.unwrap();
    }
    log.has(50).await;
    let kept: u64 = staff.iter().map(Staff::kept).sum();
    assert_eq!(kept, 50, "each came once");
    for staff in staff {
        staff.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_again_after_an_outage() {
    let mut server = Nats::start().await.unwrap();
    let config = config(server.url());
    let log = Log::default();
    let staff = Staff::start(&config, 100, Duration::ZERO, &log);
    connected(&staff).await;
    server.kill();
    staff.is("it says so", |health| matches!(health, Health::Unavailable(_))).await;
    server.restart().await.unwrap();
    connected(&staff).await;
    let publisher = Publisher::new(&config).unwrap();
    brokers::conformance::until("a message to come", async || {
        publisher.publish(None, b"after", &[]).await.unwrap();
        !log.bodies().is_empty()
    })
    .await;
    assert_eq!(log.bodies(), BTreeSet::from([Bytes::from_static(b"after")]));
    staff.stop().await;
}
