//! Bodies that are no events, or as large as can be.

use super::{Fault, USUAL};
use crate::{brokers::Message, id::Id, scene::Scene};

pub const FAULTS: &[Fault] =
    &[Fault { name: "bad-bodies", strike: |scene| Box::pin(bad_bodies(scene)), ..USUAL }];

/// Nearly what the brokers take at most.
const GREATEST: usize = 2_000_000;

async fn bad_bodies(scene: &Scene) -> Result<(), String> {
    let makers: [fn(Id) -> Vec<u8>; 8] = [
        |id| format!("not json {id}").into_bytes(),
        |id| format!("[\"{id}\"]").into_bytes(),
        |id| format!("{{\"output\": \"{id}\"}}").into_bytes(),
        |id| id.event().split_last().map(|(_, cut)| cut.to_vec()).unwrap_or_default(),
        |id| [id.to_string().into_bytes(), vec![0xff, 0xfe, 0]].concat(),
        |id| format!("{{\"output\": \"{id}\", \"x\": {}", "[".repeat(100_000)).into_bytes(),
        |id| format!("{id} {}", "x".repeat(GREATEST)).into_bytes(),
        |id| id.padded_event(GREATEST),
    ];
    let mut messages = vec![Message { id: Id::EMPTY, body: Vec::new() }];
    for _ in 0..scene.scale.pick(1, 4) {
        for (id, make) in scene.ids(makers.len()).into_iter().zip(makers) {
            messages.push(Message { id, body: make(id) });
        }
    }
    // In an order of its own for each seed.
    for last in (1..messages.len()).rev() {
        messages.swap(last, scene.choose(0..last + 1));
    }
    scene.publish(messages).await;
    scene.progress(10).await
}
