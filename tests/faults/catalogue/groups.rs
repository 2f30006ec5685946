//! Partitions that change hands while there is work in them.

use std::time::Duration;

use super::{Fault, ONE_WORKER, SERVERS, USUAL};
use crate::{brokers::Wanted, scene::Scene, scene::Stage};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "rebalance-1-5-1",
        kinds: SERVERS,
        wants: |rng| Wanted { partitions: rng.i32(5..=8), ..Wanted::default() },
        stage: |_| ONE_WORKER,
        places: 5,
        strike: |scene| Box::pin(one_five_one(scene)),
        ..USUAL
    },
    Fault {
        name: "rolling-update",
        kinds: SERVERS,
        stage: |_| Stage { workers: 2, ..ONE_WORKER },
        strike: |scene| Box::pin(rolling_update(scene)),
        ..USUAL
    },
    Fault {
        name: "one-of-four-killed-again",
        kinds: SERVERS,
        wants: |_| Wanted { partitions: 8, ..Wanted::default() },
        stage: |_| Stage { workers: 4, ..ONE_WORKER },
        places: 4,
        strike: |scene| Box::pin(one_of_four(scene)),
        ..USUAL
    },
    Fault {
        name: "leave-unsettled-group",
        kinds: SERVERS,
        stage: |_| Stage { workers: 2, ..ONE_WORKER },
        strike: |scene| Box::pin(leave_unsettled_group(scene)),
        ..USUAL
    },
    Fault {
        name: "long-playbook-revoked",
        kinds: SERVERS,
        stage: |_| ONE_WORKER,
        places: 2,
        strike: |scene| Box::pin(long_playbook(scene)),
        ..USUAL
    },
    Fault {
        name: "stuck-head",
        wants: |_| Wanted { partitions: 1, ..Wanted::default() },
        stage: |_| Stage { slots: 64, ..ONE_WORKER },
        places: 1,
        load: false,
        strike: |scene| Box::pin(stuck_head(scene)),
        ..USUAL
    },
];

/// What is asked back is finished and committed first, so nothing is done twice.
async fn one_five_one(scene: &Scene) -> Result<(), String> {
    for _ in 0..scene.scale.pick(1, 3) {
        scene.progress(10).await?;
        let (_, others) = scene.workers.split_first().ok_or("there is no worker")?;
        others.iter().for_each(|worker| worker.start());
        scene.all_ready().await?;
        scene.have_work(others).await?;
        for worker in others {
            worker.terminate().await?;
        }
        for worker in others {
            worker.left().await?;
        }
        scene.progress(20).await?;
    }
    Ok(())
}

/// One comes and another goes, at the same time. Nothing is done twice, and nobody fails to leave.
async fn rolling_update(scene: &Scene) -> Result<(), String> {
    for _ in 0..scene.scale.pick(3, 10) {
        scene.progress(10).await?;
        let leaving = scene.any_worker();
        let coming =
            scene.workers.iter().find(|worker| !worker.runs()).ok_or("there is no room")?;
        coming.start();
        tokio::time::sleep(Duration::from_millis(scene.choose(0..1_000) as u64)).await;
        leaving.terminate().await?;
        leaving.left().await?;
    }
    scene.all_ready().await?;
    scene.progress(10).await
}

/// A fleet of four that is never left alone: as soon as it gets on again, another one of it is killed.
async fn one_of_four(scene: &Scene) -> Result<(), String> {
    for _ in 0..scene.scale.pick(4, 40) {
        scene.publish_events(scene.stage.slots * scene.workers.len()).await;
        scene.progress(scene.choose(1..20)).await?;
        let victim = scene.any_worker();
        scene.kill(victim).await;
        scene.start(victim).await?;
    }
    scene.all_ready().await?;
    scene.progress(10).await
}

/// One is told to leave while the group waits for a member that stands still, and another joins.
async fn leave_unsettled_group(scene: &Scene) -> Result<(), String> {
    let [leaving, still, coming] = &scene.workers[..] else { return Err("too few".to_owned()) };
    scene.progress(10).await?;
    let begun = scene.disturb([leaving, still]).await;
    still.freeze();
    coming.start();
    let lease = scene.broker.lease().unwrap_or_default();
    tokio::time::sleep(lease.mul_f64(scene.choose(1..12) as f64 / 10.0)).await;
    leaving.terminate().await?;
    let left = leaving.left().await;
    still.thaw();
    scene.all_ready().await?;
    scene.calm(begun).await?;
    left?;
    scene.progress(10).await
}

/// Shorter than the drain it may finish, longer it is fenced and done again.
async fn long_playbook(scene: &Scene) -> Result<(), String> {
    let (first, second) = (&scene.workers[0], &scene.workers[1]);
    let ids = scene.ids(scene.choose(1..5));
    scene.sink.prolong(ids.iter().copied());
    scene.publish_ids(&ids).await;
    scene.holds(first, ids.len()).await?;
    let begun = scene.disturb([first]).await;
    second.start();
    tokio::time::sleep(Duration::from_secs(scene.scale.pick(6, 300))).await;
    scene.sink.recover();
    scene.all_ready().await?;
    scene.calm(begun).await?;
    scene.progress(10).await
}

/// One event holds back what was done after it, and then its worker dies.
async fn stuck_head(scene: &Scene) -> Result<(), String> {
    let worker = &scene.workers[0];
    scene.sink.hurry();
    let head = scene.ids(1);
    scene.sink.prolong(head.iter().copied());
    scene.publish_ids(&head).await;
    scene.holds(worker, 1).await?;
    let above = scene.scale.pick(2_000, 100_000);
    for _ in 0..above / 1_000 {
        scene.publish_events(1_000).await;
        scene.progress_to(scene.confirmed().len() - 1).await?;
    }
    scene.kill(worker).await;
    scene.start(worker).await
}
