//! A topic and its group in the hands of others: notes that no worker wrote, and another log under the same name.

use super::{Fault, USUAL};
use crate::{
    brokers::{Commit, Kafka, Kind},
    scene::Scene,
};

const KAFKA: &[Kind] = &[Kind::Kafka];

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "foreign-metadata",
        kinds: KAFKA,
        strike: |scene| Box::pin(foreign_metadata(scene)),
        ..USUAL
    },
    Fault {
        name: "topic-recreated",
        kinds: KAFKA,
        load: false,
        strike: |scene| Box::pin(topic_recreated(scene)),
        ..USUAL
    },
];

fn kafka(scene: &Scene) -> Result<&Kafka, String> {
    scene.broker.kafka().ok_or_else(|| "the broker is no Kafka".to_owned())
}

/// While no worker is there somebody writes beside the group's offsets. What only stood there is done again, and no more.
async fn foreign_metadata(scene: &Scene) -> Result<(), String> {
    let kafka = kafka(scene)?;
    scene.progress(10).await?;
    let stuck = scene.ids(scene.stage.slots / 2);
    scene.sink.prolong(stuck.iter().copied());
    scene.publish_ids(&stuck).await;
    scene.progress(scene.stage.slots * 3).await?;
    let fleet = leave(scene).await?;
    let notes: Vec<_> = kafka.commits().await?;
    let forged =
        notes.iter().map(|ours| Commit { note: forge(scene, ours, &notes), ..ours.clone() });
    kafka.commit_as_another(&forged.collect::<Vec<_>>()).await?;
    // Only what the broker tells from now on is settled.
    let seen = scene.look().await?;
    scene.seen.borrow_mut().push(seen);
    scene.ended(scene.disturb(fleet.iter().copied()).await);
    scene.sink.recover();
    fleet.iter().for_each(|worker| worker.start());
    scene.all_ready().await?;
    scene.progress(10).await
}

/// Another program's, a tool's, one cut off, one with a wrong bit, or that of another partition.
fn forge(scene: &Scene, ours: &Commit, all: &[Commit]) -> String {
    let mut flipped = ours.note.clone().into_bytes();
    if let Some(byte) = flipped.get_mut(scene.choose(0..8)) {
        *byte ^= 1;
    }
    let cut = ours.note.get(1..).unwrap_or_default();
    let of_another = &all[scene.choose(0..all.len())].note;
    let forgeries = [
        "consumed by legacy",
        "{\"offset\": 7}",
        "é🦅",
        "AQ",
        &"x".repeat(4000),
        cut,
        &String::from_utf8(flipped).unwrap_or_default(),
        of_another,
    ];
    match forgeries[scene.choose(0..forgeries.len())] {
        // That is no forgery.
        same if same == ours.note => "AQ".to_owned(),
        forged => forged.to_owned(),
    }
}

/// Whoever deletes the topic deletes the events; those that come after it was made anew are answered, though they have the
/// offsets of others that are done. Kafka forgets with a topic what groups have committed of it; a tool has written it back.
async fn topic_recreated(scene: &Scene) -> Result<(), String> {
    let kafka = kafka(scene)?;
    // At the head of each partition, so that nothing is committed but what is done above it.
    let heads = scene.ids(scene.broker.most_workers());
    scene.sink.prolong(heads.iter().copied());
    scene.publish_ids(&heads).await;
    let above = scene.publish_events(scene.choose(10..60)).await;
    scene.progress_to(above).await?;
    let fleet = leave(scene).await?;
    let stale = kafka.commits().await?;
    kafka.delete_topic().await?;
    scene.sink.recover();
    scene.forget_unanswered();
    kafka.create_topic().await?;
    kafka.commit_as_another(&stale).await?;
    scene.publish_events(scene.choose(10..120)).await;
    fleet.iter().for_each(|worker| worker.start());
    scene.all_ready().await
}

/// Everybody leaves in good order.
async fn leave(scene: &Scene) -> Result<Vec<&crate::worker::Worker>, String> {
    let fleet = scene.running();
    for worker in &fleet {
        worker.terminate().await?;
    }
    for worker in &fleet {
        worker.left().await?;
    }
    Ok(fleet)
}
