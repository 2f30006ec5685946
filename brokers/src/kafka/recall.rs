//! What the group knows of partitions that become ours, asked before any message of them is received.
//!
//! They come paused. Once it is known what was committed, and what was said beside, it is committed that somebody is at
//! work here: should this worker die, the next one knows. Then they flow.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
    time::Duration,
};

use rdkafka::{
    Offset, consumer::Consumer as _, error::KafkaResult,
    topic_partition_list::TopicPartitionListElem,
};
use tokio::sync::mpsc;

use super::{
    assignments::{Assignments, Epoch, Name, Past, Place},
    commit::Committer,
    context::{Consumer, list},
    note::{Commit, Note, decode},
};

/// How long a broker may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// How long it rests between two tries.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Recall {
    pub(super) assignments: Arc<Assignments>,
    pub(super) committer: Arc<Committer>,
    pub(super) consumer: Weak<Consumer>,
}

/// A partition to be asked about.
struct Strange {
    place: Place,
    epoch: Epoch,
    name: Name,
}

impl Recall {
    /// Serves until the callbacks' end is gone.
    pub(super) async fn serve(self, mut assigned: mpsc::UnboundedReceiver<()>) {
        while assigned.recv().await.is_some() {
            while self.assignments.any_asked() {
                let Some(consumer) = self.consumer.upgrade() else { return };
                let asked = self.ask(&consumer).await;
                drop(consumer);
                if !asked {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Asks about what isn't known, and lets flow what is. False if something is still to be known.
    async fn ask(&self, consumer: &Arc<Consumer>) -> bool {
        let strange = self.assignments.strange().into_iter().filter_map(|(place, epoch)| {
            Some(Strange { place, epoch, name: self.assignments.name(place)? })
        });
        let strange: Vec<_> = strange.collect();
        let (asked, asking) = (strange.len(), consumer.clone());
        let pasts = tokio::task::spawn_blocking(move || pasts(&asking, strange)).await;
        let pasts = match pasts {
            Ok(Ok(pasts)) => pasts,
            Ok(Err(error)) => {
                tracing::debug!(%error, "asking what the group has committed failed; it is asked again");
                return false;
            }
            Err(_) => return false,
        };
        let known = pasts.len();
        for (place, epoch, past) in pasts {
            self.assignments.tell(place, epoch, past);
        }
        if let Err(error) = self.committer.commit().await {
            tracing::debug!(%error, "committing that we are here failed; it is tried again");
            return false;
        }
        self.assignments.begin();
        consumer.context().let_flow(consumer);
        known == asked
    }
}

/// What the group knows of partitions; some may be missing, to be asked about again.
fn pasts(consumer: &Consumer, strange: Vec<Strange>) -> KafkaResult<Vec<(Place, Epoch, Past)>> {
    if strange.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<_> = strange.iter().map(|of| of.name.clone()).collect();
    let committed = consumer.committed_offsets(list(&names), LIMIT)?;
    let mut logs = Logs { consumer, silent: false };
    let past = |Strange { place, epoch, name }: Strange| {
        let element = committed.find_partition(&name.topic, name.partition)?;
        if let Err(error) = element.error() {
            tracing::debug!(%error, %name, "what the group has committed is not known");
            return None;
        }
        let past = match element.offset() {
            Offset::Offset(base) => {
                let note = note(&element, &name, base);
                let suspect = if note.open { logs.of(&name)?.1 } else { 0 };
                Past { base, note, suspect }
            }
            _ => Past { base: logs.of(&name)?.0, ..Past::default() },
        };
        Some((place, epoch, past))
    };
    Ok(strange.into_iter().filter_map(past).collect())
}

/// Asks where logs begin and end, until one doesn't answer.
struct Logs<'a> {
    consumer: &'a Consumer,
    silent: bool,
}

impl Logs<'_> {
    fn of(&mut self, name: &Name) -> Option<(i64, i64)> {
        if self.silent {
            return None;
        }
        let marks = self.consumer.fetch_watermarks(&name.topic, name.partition, LIMIT);
        self.silent = marks.is_err();
        marks.ok()
    }
}

/// What was said beside a commit; nothing, where that isn't ours.
fn note(element: &TopicPartitionListElem<'_>, name: &Name, offset: i64) -> Note {
    // The client library panics on what isn't UTF-8, which another client can have written.
    let text = catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned()));
    let commit = Commit { topic: &name.topic, partition: name.partition, offset };
    match text.as_deref().map(|text| (text, decode(text, commit))) {
        Ok((_, Some(note))) => note,
        Ok(("", None)) => Note::default(),
        _ => {
            tracing::warn!(%name, offset, "what is written beside the group's offset is not ours; what is done above it runs again");
            Note::default()
        }
    }
}
