//! Workers that stand still and don't know it (SIGSTOP), for longer than they are waited for.

use std::time::Duration;

use super::{Fault, USUAL};
use crate::{brokers::Kind, scene::Scene, scene::Stage, sink::Manner};

pub const FAULTS: &[Fault] = &[Fault {
    name: "freeze-past-the-lease",
    // Somebody else has to take over.
    stage: |rng| Stage { workers: rng.usize(2..=3), ..super::ONE_WORKER },
    strike: |scene| Box::pin(freeze(scene)),
    ..USUAL
}];

/// The group waits 30 s for a member that it doesn't hear of.
const SESSION: Duration = Duration::from_secs(30);

async fn freeze(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    let victim = scene.any_worker();
    scene.sink.meet(Manner::HoldBefore);
    scene.publish_events(scene.stage.slots * scene.workers.len() * 2).await;
    scene.holds(victim, 1).await?;
    let begun = scene.disturb([victim]).await;
    victim.freeze();
    scene.sink.recover();
    let lease = match scene.broker.kind() {
        Kind::Kafka => SESSION,
        // It has none that could end.
        Kind::Journal => Duration::from_secs(2),
    };
    tokio::time::sleep(lease * scale(scene) + lease / 10).await;
    victim.thaw();
    scene.all_ready().await?;
    scene.calm(begun);
    scene.progress(10).await
}

fn scale(scene: &Scene) -> u32 {
    scene.scale.pick(1, 2)
}
