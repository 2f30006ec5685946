//! Seeing the objects of a kind, as they are and as they change.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _};
use kube::{
    Resource as _,
    runtime::watcher::{self, Event},
};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::{
    gathered::Gathered,
    kind::{Key, PlaybookKind},
    list::PAGE,
    listed::Listed,
    object::PlaybookObject,
};
use crate::act::{
    api::{Api, ApiError},
    outcome::Failure,
};

/// How long it rests before it looks again: doubled each time, up to the longest, until it has seen them for so long.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// How long it rests before it looks again for a kind that the cluster doesn't know.
const UNDEFINED: Duration = Duration::from_secs(5);

/// How long it follows on before it looks at all of them once more, as it was asked to.
const ASKED: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// All that there are of a kind; others are gone. Those of namespaces for which there is no room are without their text.
    All(PlaybookKind, Vec<PlaybookObject>),
    /// One, as it is now.
    Now(PlaybookObject),
    /// One is gone, or going.
    Gone(Key),
    /// The cluster doesn't know the kind. What was seen before isn't said to be gone: an API server that has just started
    /// doesn't know it either.
    Undefined(PlaybookKind),
    /// They can't be seen now, and why. What was seen before may have changed.
    Hidden(PlaybookKind, String),
}

/// Tells of the objects of a kind until nobody listens. It looks at all of them once more, a while after `again` is notified:
/// there is room for one now whose text was let go of. Meanwhile it follows on, and no other word keeps it from ending a look.
pub async fn watch_playbooks(
    api: Api,
    kind: PlaybookKind,
    tell: mpsc::Sender<Seen>,
    again: Arc<Notify>,
) {
    let mut rest = SHORTEST;
    loop {
        let began = Instant::now();
        let end = follow(&api, kind, &tell, &again).await;
        // A list alone is no success: where it may list and not watch it would list without end.
        if began.elapsed() >= LONGEST {
            rest = SHORTEST;
        }
        let (seen, pause) = match end {
            End::Deaf => return,
            End::Undefined => (Some(Seen::Undefined(kind)), UNDEFINED),
            End::Failed(why) => (Some(Seen::Hidden(kind, why)), rest),
            // It has fallen too far behind, and starts over.
            End::Expired => (None, rest),
            End::Asked => continue,
        };
        rest = (rest * 2).min(LONGEST);
        if let Some(seen) = seen
            && tell.send(seen).await.is_err()
        {
            return;
        }
        tokio::select! {
            () = tell.closed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Why it sees no more.
enum End {
    Deaf,
    Undefined,
    Expired,
    Asked,
    Failed(String),
}

async fn follow(api: &Api, kind: PlaybookKind, tell: &mpsc::Sender<Seen>, again: &Notify) -> End {
    match api.served(&[kind.resource()]).await {
        Ok(served) if served.is_empty() => return End::Undefined,
        Ok(_) => {}
        Err(failure) => return End::Failed(failure.why),
    }
    let config = watcher::Config::default().timeout(api.quiet_seconds()).page_size(PAGE);
    let objects = kind.resource().everywhere(api);
    let mut events = pin!(watcher::watcher(objects, config));
    let (mut all, mut is_listed, mut asked) = (Gathered::default(), false, None);
    loop {
        let event = tokio::select! {
            () = tell.closed() => return End::Deaf,
            () = again.notified(), if is_listed && asked.is_none() => {
                asked = Some(Instant::now() + ASKED);
                continue;
            }
            () = until(asked) => return End::Asked,
            event = events.next() => event,
        };
        let seen = match event {
            None => return End::Expired,
            Some(Err(error)) => return ended(error),
            Some(Ok(Event::Init)) => {
                all = Gathered::default();
                continue;
            }
            Some(Ok(Event::InitApply(object))) => {
                PlaybookObject::of(kind, object).into_iter().for_each(|it| all.add(it));
                continue;
            }
            Some(Ok(Event::InitDone)) => {
                is_listed = true;
                // Who asked before is answered with this.
                let _ = again.notified().now_or_never();
                Seen::All(kind, all.take())
            }
            Some(Ok(Event::Apply(object))) => {
                let key = key(kind, &object);
                PlaybookObject::of(kind, object).map_or(Seen::Gone(key), Seen::Now)
            }
            Some(Ok(Event::Delete(object))) => Seen::Gone(key(kind, &object)),
        };
        if tell.send(seen).await.is_err() {
            return End::Deaf;
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn ended(error: watcher::Error) -> End {
    let error = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        watcher::Error::WatchError(status) if status.code == 410 => return End::Expired,
        watcher::Error::WatchError(status) => kube::Error::Api(status),
        error @ watcher::Error::NoResourceVersion => return End::Failed(error.to_string()),
    };
    End::Failed(Failure::from(ApiError::from(error)).why)
}

fn key(kind: PlaybookKind, object: &Listed) -> Key {
    let meta = object.meta();
    let name = meta.name.clone().unwrap_or_default();
    Key { kind, namespace: meta.namespace.clone(), name }
}
