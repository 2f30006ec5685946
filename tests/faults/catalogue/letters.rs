//! Dead letters that can't be written: then nothing is given up, and nothing is acknowledged.

use super::{Fault, USUAL};
use crate::{brokers::Wanted, scene::Scene};

pub const FAULTS: &[Fault] = &[Fault {
    name: "dead-letters-down",
    wants: |_| Wanted { dead_letters: false, ..Wanted::default() },
    strike: |scene| Box::pin(down(scene)),
    load: false,
    ..USUAL
}];

async fn down(scene: &Scene) -> Result<(), String> {
    let before = scene.publish_events(20).await;
    scene.progress_to(before).await?;
    // Not all at once: a journal takes no more than it has room for, and there is as little for events as for dead letters.
    let (mut doomed, enough) = (Vec::new(), scene.confirmed().len() + 40);
    scene
        .until("enough events are taken that fail", async || {
            doomed.extend(scene.publish_doomed(8).await);
            match enough.saturating_sub(scene.confirmed().len()) {
                0 => Ok(()),
                missing => Err(format!("{missing} are missing")),
            }
        })
        .await?;
    scene
        .until("a worker says that they are away", async || {
            for worker in scene.running() {
                if worker.ready().await.is_err_and(|why| why.contains("dead letters")) {
                    return Ok(());
                }
            }
            Err("all are ready".to_owned())
        })
        .await?;
    let seen = scene.look().await?;
    if let Some(acked) = doomed.iter().find(|id| seen.settled.has(id)) {
        return Err(format!("{acked} is settled, and there is no place for its dead letter"));
    }
    scene.broker.mend_dead_letters().await;
    // Where the room for them is a setting, it takes a new start.
    for worker in scene.running() {
        let begun = scene.disturb([worker]).await;
        worker.terminate().await?;
        worker.left().await?;
        scene.ended(begun);
        worker.configure(scene.settings(worker.id));
        worker.start();
    }
    scene.all_ready().await
}
