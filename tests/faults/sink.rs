//! Where the playbooks have their effect: a webhook outside the workers that writes down what it is told, and by whom.
//!
//! It answers late, never, or with a refusal when it is told to, so that a worker can be met at a chosen point of its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use testbed::proxy::{Flow, Proxy, Way};
use tokio::sync::watch;

use crate::{
    id::Id,
    logs::{Effect, Life, WorkerId},
};

/// How it meets its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The effect, then the answer.
    Answer,
    /// Callers wait before their effect.
    HoldBefore,
    /// The effect, and then callers wait for their answer.
    HoldAfter,
    /// 503, and no effect.
    Away,
}

/// The sink, behind a proxy of its own.
pub struct Sink {
    shared: Arc<Shared>,
    proxy: Proxy,
}

struct Shared {
    manner: watch::Sender<Manner>,
    /// What those of `long` wait for.
    enough: watch::Sender<Enough>,
    book: Mutex<Book>,
}

/// Which long ones have taken long enough.
#[derive(Default)]
struct Enough {
    all: bool,
    these: BTreeSet<Id>,
}

#[derive(Default)]
struct Book {
    effects: Vec<Effect>,
    /// The places of those whose caller has gone before they were done.
    broken_off: BTreeSet<usize>,
    doomed: BTreeSet<Id>,
    long: BTreeSet<Id>,
    slowest: Duration,
    turned_away: BTreeMap<Id, usize>,
}

impl Sink {
    /// Each effect takes a time of its own, up to `slowest`.
    pub async fn start(slowest: Duration) -> Self {
        let shared = Arc::new(Shared {
            manner: watch::Sender::new(Manner::Answer),
            enough: watch::Sender::new(Enough::default()),
            book: Mutex::new(Book { slowest, ..Book::default() }),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router =
            Router::new().route("/{worker}/{number}", post(receive)).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, proxy: Proxy::to(address).await.unwrap() }
    }

    /// Where the playbooks of workers post to: below it at the worker's place, and below that at its life's number.
    pub fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    pub fn meet(&self, manner: Manner) {
        self.shared.manner.send_replace(manner);
    }

    /// Nothing that is sent comes through, and nobody is told.
    pub fn cut(&self) {
        self.proxy.set(Way::ToServer, Flow::Cut);
    }

    /// What was on its way is gone.
    pub fn reset(&self) {
        self.proxy.reset();
    }

    /// Everybody is answered again, those that wait too.
    pub fn recover(&self) {
        self.meet(Manner::Answer);
        self.proxy.heal();
        self.shared.enough.send_modify(|enough| enough.all = true);
    }

    /// This one has taken long enough.
    pub fn finish(&self, id: Id) {
        self.shared.enough.send_modify(|enough| {
            enough.these.insert(id);
        });
    }

    /// These are refused for good.
    pub fn doom(&self, ids: impl IntoIterator<Item = Id>) {
        self.book().doomed.extend(ids);
    }

    /// These take until [`Self::recover`].
    pub fn prolong(&self, ids: impl IntoIterator<Item = Id>) {
        self.book().long.extend(ids);
    }

    pub fn effects(&self) -> Vec<Effect> {
        self.book().effects.clone()
    }

    /// Effects that are on record.
    pub fn done(&self) -> usize {
        self.book().effects.iter().filter(|effect| effect.done.is_some()).count()
    }

    /// When the effect of `id` was on record.
    pub fn done_at(&self, id: Id) -> Option<Instant> {
        self.book().effects.iter().rev().find(|effect| effect.id == id)?.done
    }

    /// Effects of one worker that are on record.
    pub fn done_by(&self, worker: WorkerId) -> usize {
        let theirs = |effect: &&Effect| effect.by.worker == worker && effect.done.is_some();
        self.book().effects.iter().filter(theirs).count()
    }

    /// Whether an effect of `life` is on record that `first` or a later one had.
    pub fn has_done_since(&self, first: Id, life: Life) -> bool {
        let book = self.book();
        book.effects.iter().any(|e| e.by == life && e.id >= first && e.done.is_some())
    }

    /// From now on an effect takes no time.
    pub fn hurry(&self) {
        self.book().slowest = Duration::ZERO;
    }

    /// How often it was refused for now that was refused most often.
    pub fn turned_away(&self) -> usize {
        self.book().turned_away.values().copied().max().unwrap_or_default()
    }

    /// Effects of `worker` that began and aren't on record, while it waits for them.
    pub fn held(&self, worker: WorkerId) -> usize {
        let book = self.book();
        let running = |place: &usize| !book.broken_off.contains(place);
        let theirs = |effect: &Effect| effect.by.worker == worker && effect.done.is_none();
        (0..).zip(&book.effects).filter(|(n, effect)| theirs(effect) && running(n)).count()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.shared.book()
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    Path((worker, number)): Path<(WorkerId, u32)>,
    body: Bytes,
) -> StatusCode {
    let id = Id::of(&body).expect("a notification of the campaign's events");
    if *shared.manner.borrow() == Manner::Away {
        *shared.book().turned_away.entry(id).or_default() += 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let (place, long, takes) = {
        let mut book = shared.book();
        if book.doomed.contains(&id) {
            return StatusCode::BAD_REQUEST;
        }
        let by = Life { worker, number };
        book.effects.push(Effect { id, by, began: Instant::now(), done: None });
        // The same at every call, so that a round repeats.
        let takes = book.slowest.mul_f64(f64::from(id.number() % 16) / 16.0);
        (book.effects.len() - 1, book.long.contains(&id), takes)
    };
    let under_way = UnderWay { shared: shared.clone(), place };
    tokio::time::sleep(takes).await;
    let mut manner = shared.manner.subscribe();
    let _ = manner.wait_for(|manner| *manner != Manner::HoldBefore).await;
    if long {
        let over = |enough: &Enough| enough.all || enough.these.contains(&id);
        let _ = shared.enough.subscribe().wait_for(over).await;
    }
    shared.book().effects[place].done = Some(Instant::now());
    drop(under_way);
    let _ = manner.wait_for(|manner| *manner != Manner::HoldAfter).await;
    StatusCode::OK
}

/// A call; dropped with its connection.
struct UnderWay {
    shared: Arc<Shared>,
    place: usize,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut book = self.shared.book();
        if book.effects[self.place].done.is_none() {
            book.broken_off.insert(self.place);
        }
    }
}
