//! No fault at all, but work that would like to be in the way of other work.

use std::time::{Duration, Instant};

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

/// A worker without a free slot stops taking in after a second.
const STOPPED: Duration = Duration::from_secs(2);

/// All slots hold long playbooks, and then all but one; short ones go through the one that is left.
async fn slots_held(scene: &Scene) -> Result<(), String> {
    let worker = &scene.workers[0];
    scene.sink.hurry();
    let long = scene.ids(scene.stage.slots);
    scene.sink.prolong(long.iter().copied());
    let held = scene.publish_ids(&long).await;
    scene.holds(worker, held).await?;
    let waiting = scene.publish_events(1).await;
    tokio::time::sleep(STOPPED).await;
    scene.sink.finish(long[0]);
    scene.progress_to(waiting + 1).await?;
    let until = Instant::now() + Duration::from_secs(scene.scale.pick(5, 300));
    while Instant::now() < until {
        let (short, since) = (scene.ids(1), Instant::now());
        scene.publish_ids(&short).await;
        let done = async || scene.sink.done_at(short[0]).ok_or_else(|| "it isn't".to_owned());
        let done = scene.until("a short event is done", done).await?;
        scene.waits.borrow_mut().push(done.duration_since(since));
    }
    Ok(())
}
