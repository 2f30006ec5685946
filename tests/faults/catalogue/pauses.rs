//! Workers that stand still and don't know it (SIGSTOP), for longer than they are waited for.

use std::time::Duration;

use super::{Fault, USUAL};
use crate::{scene::Scene, scene::Stage, sink::Manner};

pub const FAULTS: &[Fault] = &[Fault {
    name: "freeze-past-the-lease",
    // Somebody else has to take over.
    stage: |rng| Stage { workers: rng.usize(2..=3), ..super::ONE_WORKER },
    strike: |scene| Box::pin(freeze(scene)),
    ..USUAL
}];

async fn freeze(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    let victim = scene.any_worker();
    scene.sink.meet(Manner::HoldBefore);
    scene.publish_events(scene.stage.slots * scene.workers.len() * 2).await;
    scene.holds(victim, 1).await?;
    let begun = scene.disturb([victim]).await;
    victim.freeze();
    scene.sink.recover();
    let lease = scene.broker.lease().unwrap_or(Duration::from_secs(2));
    tokio::time::sleep(lease * scene.scale.pick(1, 2) + lease / 10).await;
    victim.thaw();
    scene.all_ready().await?;
    scene.calm(begun).await?;
    scene.progress(10).await
}
