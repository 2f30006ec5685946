//! Brokers that die, stand still, turn workers away, or have no room left on their disk.

use std::time::Duration;

use super::{Fault, ONE_WORKER, SERVERS, USUAL};
use crate::{
    brokers::{Kafka, Kind, Server, Wanted},
    scene::Scene,
    sink::Manner,
};

const OWN: Wanted =
    Wanted { partitions: 4, dead_letters: true, own: true, small_disk: false, tokens: false };

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "broker-killed",
        kinds: SERVERS,
        wants: |_| OWN,
        strike: |scene| Box::pin(killed(scene)),
        ..USUAL
    },
    Fault {
        name: "broker-frozen",
        kinds: SERVERS,
        wants: |_| OWN,
        strike: |scene| Box::pin(frozen(scene)),
        ..USUAL
    },
    Fault {
        name: "token-expired",
        kinds: &[Kind::Kafka],
        wants: |_| Wanted { tokens: true, ..OWN },
        strike: |scene| Box::pin(token_expired(scene)),
        ..USUAL
    },
    Fault {
        name: "disk-full",
        kinds: &[Kind::Journal],
        wants: |_| Wanted { small_disk: true, ..OWN },
        stage: |_| ONE_WORKER,
        strike: |scene| Box::pin(disk_full(scene)),
        ..USUAL
    },
];

fn server(scene: &Scene) -> Result<&dyn Server, String> {
    scene.broker.server().ok_or_else(|| "the broker has no process".to_owned())
}

/// Shorter than a lease, or longer.
fn while_away(scene: &Scene) -> Duration {
    let lease = scene.broker.lease().unwrap_or(Duration::from_secs(5));
    if scene.flip() { lease / 4 } else { lease * scene.scale.pick(1, 3) / 2 }
}

/// With work in flight, which ends while the broker is away.
async fn killed(scene: &Scene) -> Result<(), String> {
    let server = server(scene)?;
    scene.progress(10).await?;
    scene.sink.meet(Manner::HoldBefore);
    scene.publish_events(scene.stage.slots * 2).await;
    scene.anybody_holds().await?;
    let begun = scene.disturb(&scene.workers).await;
    server.kill().await;
    scene.sink.recover();
    tokio::time::sleep(while_away(scene)).await;
    server.restart().await;
    scene.all_ready().await?;
    scene.calm(begun).await?;
    scene.progress(10).await
}

async fn frozen(scene: &Scene) -> Result<(), String> {
    let server = server(scene)?;
    scene.progress(10).await?;
    let begun = scene.disturb(&scene.workers).await;
    server.freeze().await;
    tokio::time::sleep(while_away(scene)).await;
    server.thaw().await;
    scene.all_ready().await?;
    scene.calm(begun).await?;
    scene.progress(10).await
}

/// Nobody renews what workers show the broker, which ends their connections, for less or more than a lease.
async fn token_expired(scene: &Scene) -> Result<(), String> {
    let keeper =
        scene.broker.kafka().and_then(Kafka::keeper).ok_or("the broker wants no tokens")?;
    scene.progress(10).await?;
    let begun = scene.disturb(&scene.workers).await;
    keeper.fall_asleep();
    scene.told_unready().await?;
    tokio::time::sleep(while_away(scene)).await;
    keeper.wake_up();
    scene.all_ready().await?;
    scene.calm(begun).await?;
    scene.progress(10).await
}

/// Nothing is confirmed that isn't on the disk; and once there is room it goes on, after a kill too.
async fn disk_full(scene: &Scene) -> Result<(), String> {
    let disk = scene.broker.disk().ok_or_else(|| "the broker has no disk of its own".to_owned())?;
    let worker = scene.any_worker();
    scene.progress(10).await?;
    let begun = scene.disturb([worker]).await;
    disk.fill();
    scene
        .until("nothing is taken any more", async || match scene.publish_events(8).await {
            0 => Ok(()),
            taken => Err(format!("{taken} taken")),
        })
        .await?;
    let killed = scene.flip();
    if killed {
        worker.kill().await;
    }
    disk.clear();
    if killed {
        worker.start();
    }
    scene.all_ready().await?;
    scene
        .until("events are taken again", async || match scene.publish_events(1).await {
            0 => Err("none is".to_owned()),
            _ => Ok(()),
        })
        .await?;
    scene.calm(begun).await?;
    scene.progress(10).await
}
