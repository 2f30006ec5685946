//! No fault at all, but work that would like to be in the way of other work.

use std::time::Duration;

use tokio::time::Instant;

use super::{Fault, ONE_WORKER, USUAL};
use crate::scene::Scene;

pub const FAULTS: &[Fault] = &[Fault {
    name: "slots-held",
    stage: |_| ONE_WORKER,
    places: 1,
    load: false,
    alone: true,
    strike: |scene| Box::pin(slots_held(scene)),
    ..USUAL
}];

/// All slots but one hold long playbooks; short ones go through the one that is left.
async fn slots_held(scene: &Scene) -> Result<(), String> {
    let worker = &scene.workers[0];
    scene.sink.hurry();
    let long = scene.ids(scene.stage.slots - 1);
    scene.sink.prolong(long.iter().copied());
    scene.publish_ids(&long).await;
    scene.holds(worker, long.len()).await?;
    let until = Instant::now() + Duration::from_secs(scene.scale.pick(5, 300));
    while Instant::now() < until {
        let before = scene.sink.done();
        let since = Instant::now();
        scene.publish_events(1).await;
        scene.progress_to(before + 1).await?;
        scene.waits.borrow_mut().push(since.elapsed());
    }
    Ok(())
}
