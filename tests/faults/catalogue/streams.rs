//! A stream or a consumer that somebody deletes while workers hold messages of it.

use super::{Fault, USUAL};
use crate::{
    brokers::{Kind, Nats},
    scene::Scene,
    sink::Manner,
};

const NATS: &[Kind] = &[Kind::Nats];

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "consumer-deleted",
        kinds: NATS,
        strike: |scene| Box::pin(consumer_deleted(scene)),
        ..USUAL
    },
    Fault {
        name: "stream-deleted",
        kinds: NATS,
        load: false,
        strike: |scene| Box::pin(stream_deleted(scene)),
        ..USUAL
    },
];

fn nats(scene: &Scene) -> Result<&Nats, String> {
    scene.broker.nats().ok_or_else(|| "the broker is no NATS".to_owned())
}

/// What a consumer made anew delivers is everything that isn't acknowledged, in flight or not.
async fn consumer_deleted(scene: &Scene) -> Result<(), String> {
    let nats = nats(scene)?;
    scene.progress(10).await?;
    scene.sink.meet(Manner::HoldBefore);
    scene.publish_events(scene.stage.slots * 2).await;
    scene.anybody_holds().await?;
    let begun = scene.disturb(&scene.workers).await;
    nats.delete_consumer().await;
    // What is acknowledged now is not taken.
    scene.sink.recover();
    scene.told_unready().await?;
    nats.create_consumer().await;
    scene.all_ready().await?;
    scene.calm(begun).await?;
    scene.progress(10).await
}

/// Whoever deletes the stream deletes the events; those that come after it was made anew are answered.
async fn stream_deleted(scene: &Scene) -> Result<(), String> {
    let nats = nats(scene)?;
    scene.publish_events(20).await;
    scene.progress_to(20).await?;
    scene.sink.meet(Manner::HoldBefore);
    scene.publish_events(scene.stage.slots * 2).await;
    scene.anybody_holds().await?;
    nats.delete_stream().await;
    scene.sink.recover();
    scene.told_unready().await?;
    scene.forget_unanswered();
    nats.create_stream().await;
    scene.all_ready().await?;
    let goal = scene.sink.done() + 20;
    scene.publish_events(20).await;
    scene.progress_to(goal).await
}
