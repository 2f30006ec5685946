//! A network that swallows, resets or delays, on the way to the broker and on the way to the sink.

use std::time::Duration;

use testbed::proxy::{Flow, Way};

use super::{Fault, USUAL};
use crate::{brokers::journal, scene::Scene, sink::Manner, worker::ATTEMPTS};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "cut-to-broker",
        strike: |scene| Box::pin(cut(scene, &[Way::ToServer])),
        ..USUAL
    },
    Fault {
        name: "cut-from-broker",
        strike: |scene| Box::pin(cut(scene, &[Way::ToClient])),
        ..USUAL
    },
    Fault {
        name: "cut-both-ways",
        strike: |scene| Box::pin(cut(scene, &[Way::ToServer, Way::ToClient])),
        ..USUAL
    },
    Fault { name: "resets", strike: |scene| Box::pin(resets(scene)), ..USUAL },
    Fault { name: "slow-network", strike: |scene| Box::pin(slow(scene)), ..USUAL },
    Fault { name: "sink-unavailable", strike: |scene| Box::pin(unavailable(scene)), ..USUAL },
    Fault { name: "sink-silent", strike: |scene| Box::pin(silent(scene)), ..USUAL },
];

/// Shorter than a lease, or longer: then others take over, and what was in flight is fenced.
async fn cut(scene: &Scene, ways: &[Way]) -> Result<(), String> {
    let time = match scene.broker.lease() {
        Some(lease) if scene.flip() => lease * scene.scale.pick(4, 8) / 3,
        Some(lease) => lease / scene.scale.pick(6, 2),
        // Longer than its publishers wait.
        None => journal::ANSWER + Duration::from_secs(1),
    };
    scene.progress(10).await?;
    let begun = scene.disturb(scene.detoured()).await;
    ways.iter().for_each(|way| scene.broker.proxy().set(*way, Flow::Cut));
    tokio::time::sleep(time).await;
    scene.broker.proxy().heal();
    scene.all_ready().await?;
    scene.calm(begun).await?;
    scene.progress(10).await
}

/// They are connected anew before anybody is missed: there is no reason to do anything twice, once everybody has joined. A
/// member that is cut off while a group makes room for another is out of it.
async fn resets(scene: &Scene) -> Result<(), String> {
    scene.have_work(&scene.workers).await?;
    for _ in 0..scene.scale.pick(5, 30) {
        scene.progress(scene.choose(1..10)).await?;
        scene.broker.proxy().reset();
    }
    scene.all_ready().await?;
    scene.progress(10).await
}

/// Late, and never lost: there is no reason to do anything twice.
async fn slow(scene: &Scene) -> Result<(), String> {
    for way in [Way::ToServer, Way::ToClient] {
        let late = Duration::from_millis(scene.choose(10..100) as u64);
        scene.broker.proxy().set(way, Flow::Slow(late));
    }
    let goal = scene.sink.done() + 100;
    scene.publish_events(100).await;
    scene.progress_to(goal).await
}

/// Turned away more often than a playbook has attempts: none of them may be used up.
async fn unavailable(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    scene.sink.meet(Manner::Away);
    scene.publish_events(scene.stage.slots).await;
    let often = 2 * ATTEMPTS;
    scene
        .until("the sink is asked again and again", async || match scene.sink.turned_away() {
            asked if asked >= often => Ok(()),
            asked => Err(format!("{asked} of {often} times")),
        })
        .await?;
    scene.sink.recover();
    scene.progress(10).await
}

async fn silent(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    scene.sink.cut();
    scene.publish_events(scene.stage.slots * 2).await;
    tokio::time::sleep(Duration::from_secs(scene.scale.pick(3, 45))).await;
    scene.sink.recover();
    scene.progress(10).await
}
