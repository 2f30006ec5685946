//! Playbooks that are objects of the cluster: in force as they are written, beside those of the files.
//!
//! Each is judged for itself, and a bad one changes nothing but what its status says. What is seen together takes effect
//! together, in one exchange of the rules, and an event belongs to those that it was read by. As long as it isn't known
//! which there are, nothing is taken in, nor before their kinds are defined: what only one of them wants would be acknowledged as nobody's.

mod book;
mod guard;
mod refused;
mod tell;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use playbooks::{
    act::{Dependency, PlaybookKind, PlaybookObject, Seen, watch_playbooks},
    decide::PlaybookErrors,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use book::{Book, Change, Entry, Judge, Standing};
use guard::guard;
pub use refused::{Reason, Refused};

use super::{
    Worker,
    outage::Waiter,
    readiness::Readiness,
    responses::{self, Kept},
};

/// For how long what is seen is gathered before it takes effect.
const TOGETHER: Duration = Duration::from_millis(200);

/// How far apart changes take effect, at least: whoever writes an object all the time costs no more than that.
const APART: Duration = Duration::from_secs(2);

/// How often it is asked whether the cluster keeps Responses by now, where one was refused for want of them or may be.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long a start waits for them before it goes on without taking anything in.
const LOOK: Duration = Duration::from_secs(3);

/// Why a kind that isn't defined is not seen. An API server that has just started may not know it either, though there are
/// objects of it: that is no answer to which there are.
const UNDEFINED: &str = "the cluster has no such kind: define it with `stoop crds | kubectl apply -f -`, or start the workers without `playbookObjects`";

/// How many changes may wait to be looked at, each with all that was written into an object, and how many are looked at
/// together.
const BACKLOG: usize = 64;

/// How many refusals are logged of those that are seen together.
const LOGGED: usize = 20;

/// What is known of the kinds as wholes.
#[derive(Default)]
struct View {
    /// Why they aren't seen, by kind; `None` where they are.
    kinds: BTreeMap<PlaybookKind, Option<String>>,
}

/// How the objects are seen.
pub struct Sight {
    /// What is seen, in order.
    pub seen: mpsc::Receiver<Seen>,
    /// Has all `Playbook` objects looked at once more.
    pub again: Arc<Notify>,
}

impl Worker {
    /// Follows the objects of the cluster until stopped. It returns once they were seen, or after a while, and then nothing
    /// is taken in until they are.
    pub async fn begin_objects(
        self: &Arc<Self>,
        readiness: Arc<Readiness>,
        stop: CancellationToken,
    ) {
        let Some(api) = self.engine.api() else { return };
        let (tell, seen) = mpsc::channel(BACKLOG);
        let again = Arc::new(Notify::new());
        let mut following = JoinSet::new();
        for kind in PlaybookKind::ALL {
            let again = match kind {
                PlaybookKind::Playbook => again.clone(),
                // There is always room for these.
                PlaybookKind::ClusterPlaybook => Arc::default(),
            };
            following.spawn(watch_playbooks(api.clone(), kind, tell.clone(), again));
        }
        let (all, mut all_seen) = oneshot::channel();
        let sight = Sight { seen, again };
        following.spawn(self.clone().follow_objects(sight, readiness, all, stop.clone()));
        let seen = tokio::time::timeout(LOOK, &mut all_seen).await;
        let hold = || {
            let why = "which Playbook and ClusterPlaybook objects there are is not known yet";
            self.outages.enter(Dependency::KubernetesApi, why)
        };
        let mut waiter = (!matches!(seen, Ok(Ok(())))).then(hold);
        let outages = self.outages.clone();
        tokio::spawn(async move {
            // Whoever has answered is not asked again.
            if seen.is_err() && all_seen.await.is_ok() {
                waiter.take().into_iter().for_each(Waiter::recovered);
            }
            guard(following, &outages, &stop).await;
        });
    }

    /// Puts in force what is seen, until stopped. `all` hears of it once every kind was.
    pub async fn follow_objects(
        self: Arc<Self>,
        mut sight: Sight,
        readiness: Arc<Readiness>,
        all: oneshot::Sender<()>,
        stop: CancellationToken,
    ) {
        let (mut view, mut all) = (View::default(), Some(all));
        let (mut earliest, mut keeps) = (Instant::now(), true);
        loop {
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                first = sight.seen.recv() => first,
                () = tokio::time::sleep(ASK_AGAIN), if !keeps => {
                    keeps = self.take_objects(Vec::new(), keeps, &sight.again, &readiness).await;
                    continue;
                }
            };
            let Some(first) = first else { return };
            let mut together = vec![first];
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(earliest.max(Instant::now() + TOGETHER)) => {}
            }
            while together.len() < BACKLOG
                && let Ok(more) = sight.seen.try_recv()
            {
                together.push(more);
            }
            for seen in &together {
                view.note(seen);
            }
            keeps = self.take_objects(together, keeps, &sight.again, &readiness).await;
            readiness.objects_hidden(view.hidden());
            if all.is_none() {
                earliest = Instant::now() + APART;
            }
            if view.is_whole()
                && let Some(all) = all.take()
            {
                // Nobody may be waiting any more.
                let _ = all.send(());
            }
        }
    }

    /// Says whether the cluster keeps Responses, as it did or didn't before. `again` hears of it if all are to be looked at once
    /// more.
    async fn take_objects(
        &self,
        together: Vec<Seen>,
        kept: bool,
        again: &Notify,
        readiness: &Readiness,
    ) -> bool {
        let keeps = match responses::keeps(&self.engine).await {
            Kept::No => false,
            // As for files: who needs it waits.
            Kept::Yes | Kept::Unknown(_) => true,
        };
        let judge = |object: &PlaybookObject| {
            self.judge_object(object, keeps).map_err(|errors| errors.to_string())
        };
        let mut sources = self.rules.sources().await;
        let is_more = keeps && !kept && sources.objects.judge_again(&judge);
        together.into_iter().for_each(|seen| sources.objects.see(seen));
        let Change { in_force, refused, is_unread } = sources.objects.settle(&judge);
        self.metrics.playbook_changes.with_label_values(&["refused"]).inc_by(refused.len() as u64);
        for (object, why, stays) in refused.iter().take(LOGGED) {
            let stands =
                if *stays { "its last good one stays in force" } else { "it is not in force" };
            tracing::error!(%object, why, "{object} can't be used as it is written: {stands}");
        }
        if refused.len() > LOGGED {
            let more = refused.len() - LOGGED;
            tracing::error!(more, "so it is with more objects: their status says why");
        }
        if in_force || is_more {
            let count = self.rules.put_in_force(&mut sources);
            self.forget_others();
            tracing::info!(
                playbooks = count,
                "the playbooks that are objects have changed, and are in force"
            );
            self.metrics.playbook_changes.with_label_values(&["taken"]).inc();
        }
        // While nobody else changes them: a later word is of a later time.
        readiness.objects_refused(sources.objects.refused());
        if is_unread {
            again.notify_one();
        }
        keeps
    }

    fn judge_object(
        &self,
        object: &PlaybookObject,
        keeps: bool,
    ) -> Result<Arc<playbooks::act::Plan>, PlaybookErrors> {
        let plan = self.rules.bind(&Arc::new(object.read()?))?;
        if !keeps {
            responses::refuse(std::slice::from_ref(&plan))?;
        }
        Ok(plan)
    }
}

impl View {
    /// Takes note, and says what is new of it in the log: once, however often it is seen.
    fn note(&mut self, seen: &Seen) {
        let (kind, hidden) = match seen {
            Seen::All(kind, _) => {
                if matches!(self.kinds.get(kind), Some(Some(_))) {
                    tracing::info!(%kind, "these objects are seen again");
                }
                (*kind, None)
            }
            Seen::Undefined(kind) => (*kind, Some(UNDEFINED)),
            Seen::Hidden(kind, why) => (*kind, Some(why.as_str())),
            Seen::Now(_) | Seen::Gone(_) => return,
        };
        if let Some(why) = hidden
            && self.kinds.get(&kind).and_then(Option::as_deref) != hidden
        {
            tracing::error!(%kind, why, "these objects can't be seen now: what was in force of them stays so");
        }
        self.kinds.insert(kind, hidden.map(str::to_owned));
    }

    /// Why not all of them are seen.
    fn hidden(&self) -> Option<String> {
        let hidden = self.kinds.iter().filter_map(|(kind, why)| Some((kind, why.as_ref()?)));
        let lines: Vec<_> = hidden.map(|(kind, why)| format!("{kind}: {why}")).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// Whether each kind was seen.
    fn is_whole(&self) -> bool {
        PlaybookKind::ALL.iter().all(|kind| matches!(self.kinds.get(kind), Some(None)))
    }
}
