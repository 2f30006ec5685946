//! Workers that end without a word (SIGKILL) at a chosen point of an event's way, or with too little time.

use std::time::Duration;

use super::{Fault, ONE_WORKER, USUAL};
use crate::{
    scene::{Scene, Stage},
    sink::Manner,
    worker::Worker,
};

pub const FAULTS: &[Fault] = &[
    Fault { name: "kill-received", strike: |scene| Box::pin(received(scene)), ..USUAL },
    Fault { name: "kill-mid-playbook", strike: |scene| Box::pin(mid_playbook(scene)), ..USUAL },
    Fault { name: "kill-after-effect", strike: |scene| Box::pin(after_effect(scene)), ..USUAL },
    Fault { name: "kill-unflushed", strike: |scene| Box::pin(unflushed(scene)), ..USUAL },
    Fault {
        name: "kill-after-dead-letter",
        strike: |scene| Box::pin(after_dead_letter(scene)),
        ..USUAL
    },
    Fault { name: "kill-during-drain", strike: |scene| Box::pin(during_drain(scene)), ..USUAL },
    Fault {
        name: "term-with-less-grace",
        stage: |rng| Stage {
            workers: rng.usize(1..=3),
            drain: Duration::from_secs(1),
            ..ONE_WORKER
        },
        strike: |scene| Box::pin(less_grace(scene)),
        ..USUAL
    },
];

/// Between two commits of a worker on Kafka.
const COMMIT: Duration = Duration::from_secs(1);

/// One of the fleet or all of it, as the seed has it.
fn victims(scene: &Scene) -> Vec<&Worker> {
    if scene.flip() { scene.running() } else { vec![scene.any_worker()] }
}

/// Kills them, and starts them again or leaves it to the others, as the seed has it.
async fn kill(scene: &Scene, victims: Vec<&Worker>) {
    let begun = scene.disturb(victims.iter().copied()).await;
    for victim in &victims {
        victim.kill().await;
    }
    scene.ended(begun);
    if scene.flip() {
        victims.iter().for_each(|victim| victim.start());
    }
}

/// For as long as a worker takes between two commits, or not: what is wrongly settled gets out.
async fn dwell(scene: &Scene) {
    let intervals = [0, 1, 1, 2][scene.choose(0..4)];
    tokio::time::sleep(COMMIT * intervals).await;
}

/// Enough for every worker to have its hands full.
async fn publish_plenty(scene: &Scene) {
    scene.publish_events(scene.stage.slots * scene.workers.len() * 2).await;
}

/// It has them, and their playbooks' requests are on their way to nowhere.
async fn received(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    scene.sink.cut();
    publish_plenty(scene).await;
    let victims = victims(scene);
    for victim in &victims {
        scene
            .until("a worker has received", async || {
                match victim.metric("stoop_in_flight").await? {
                    0 => Err("nothing is in flight".to_owned()),
                    _ => Ok(()),
                }
            })
            .await?;
    }
    for worker in scene.running() {
        scene.holds_nothing(worker).await?;
    }
    dwell(scene).await;
    kill(scene, victims).await;
    // What they have sent goes with them.
    scene.sink.reset();
    Ok(())
}

/// Some of its playbooks take long, and others, begun later, are done already.
async fn mid_playbook(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    let ids = scene.ids(scene.stage.slots * scene.workers.len() * 2);
    let long = ids.iter().copied().filter(|_| scene.flip());
    // Fewer than a worker has slots, so that there is progress.
    scene.sink.prolong(long.take(scene.stage.slots / 2));
    scene.publish_ids(&ids).await;
    scene.progress(scene.stage.slots).await?;
    scene.anybody_holds().await?;
    dwell(scene).await;
    let busy = scene.running().into_iter().filter(|worker| scene.sink.held(worker.id) > 0);
    let victims = if scene.flip() { scene.running() } else { busy.take(1).collect() };
    kill(scene, victims).await;
    Ok(())
}

/// The effect is there, and its worker hasn't been told.
async fn after_effect(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    let victims = victims(scene);
    let before: Vec<_> = victims.iter().map(|victim| scene.sink.done_by(victim.id)).collect();
    scene.sink.meet(Manner::HoldAfter);
    publish_plenty(scene).await;
    for (victim, before) in victims.iter().zip(before) {
        scene
            .until("there is an effect", async || match scene.sink.done_by(victim.id) {
                done if done > before => Ok(()),
                done => Err(format!("{done} effects, as before")),
            })
            .await?;
    }
    dwell(scene).await;
    kill(scene, victims).await;
    Ok(())
}

/// The worker has been told, and what it settles may not be durable yet.
async fn unflushed(scene: &Scene) -> Result<(), String> {
    publish_plenty(scene).await;
    scene.progress(scene.choose(1..30)).await?;
    kill(scene, victims(scene)).await;
    Ok(())
}

async fn after_dead_letter(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    let before = scene.letters().await?;
    scene.publish_doomed(scene.stage.slots).await;
    scene
        .until("there is a dead letter", async || match scene.letters().await? {
            letters if letters > before => Ok(()),
            letters => Err(format!("{letters} dead letters, as before")),
        })
        .await?;
    // Whose it is doesn't show in time.
    kill(scene, scene.running()).await;
    Ok(())
}

async fn during_drain(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    scene.sink.meet(Manner::HoldBefore);
    publish_plenty(scene).await;
    let victims = victims(scene);
    for victim in &victims {
        scene.holds(victim, 1).await?;
        let begun = scene.disturb([*victim]).await;
        victim.terminate().await?;
        scene
            .until("the worker drains", async || match victim.log().contains("draining") {
                true => Ok(()),
                false => Err("it doesn't say so".to_owned()),
            })
            .await?;
        scene.ended(begun);
    }
    kill(scene, victims).await;
    Ok(())
}

async fn less_grace(scene: &Scene) -> Result<(), String> {
    scene.progress(10).await?;
    scene.sink.meet(Manner::HoldBefore);
    publish_plenty(scene).await;
    let victims = victims(scene);
    for victim in &victims {
        scene.holds(victim, 1).await?;
    }
    let begun = scene.disturb(victims.iter().copied()).await;
    for victim in &victims {
        victim.terminate().await?;
    }
    for victim in victims {
        victim.left().await?;
    }
    scene.ended(begun);
    Ok(())
}
