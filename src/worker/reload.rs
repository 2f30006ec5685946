//! The playbooks in force, and how others take their place.
//!
//! Their files are looked at every two seconds, for a mounted ConfigMap changes by a link that no watch of a file sees.
//! What they say is taken once two looks in a row find the same, so that a file that is still being written is not taken
//! for a whole one; and it is taken whole or not at all. An event belongs to the rules by which it was read, to its end.
//! Playbooks that are objects stand beside them, see `objects`: whichever change, all are exchanged at once.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use playbooks::{
    act::{Plan, Registry, Resources},
    decide::{Playbook, PlaybookErrors, Texts},
};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::{
    Worker,
    objects::Book,
    readiness::Readiness,
    responses::{self, Kept},
    rules::Rules,
};

/// How long it rests between two looks at the files.
const REST: Duration = Duration::from_secs(2);

/// The rules in force, and where they come from.
pub struct InForce {
    rules: ArcSwap<Rules>,
    sources: Mutex<Sources>,
    paths: Vec<PathBuf>,
    registry: Registry,
    resources: Resources,
    /// What the files said when the worker was put together.
    first: Texts,
}

/// What the rules in force are made of: whoever changes it puts them in force before anybody else does.
#[derive(Default)]
pub struct Sources {
    files: Vec<Arc<Plan>>,
    /// Those of the cluster.
    pub objects: Book,
}

/// Why others don't take their place.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Playbooks(#[from] PlaybookErrors),
    /// What they need may be kept some day.
    #[error(transparent)]
    Unkept(PlaybookErrors),
    #[error(
        "no playbook is left, and what nobody wants is acknowledged: put one back, or start the worker anew if none is meant"
    )]
    Nothing,
    #[error(
        "playbook {0} acts on pods, and this worker was started without a cluster: start it anew"
    )]
    Cluster(String),
}

impl InForce {
    /// Those that the files of `paths` say now.
    ///
    /// # Errors
    /// Every fault of every file, each with its place and the fix.
    pub fn read(
        paths: &[PathBuf],
        registry: &Registry,
        resources: &Resources,
    ) -> Result<Self, PlaybookErrors> {
        let first = Texts::of(paths);
        let rules = Rules::of(first.read()?, registry, resources)?;
        let sources = Sources { files: rules.plans().to_vec(), objects: Book::default() };
        Ok(Self {
            rules: ArcSwap::from_pointee(rules),
            sources: Mutex::new(sources),
            paths: paths.to_owned(),
            registry: registry.clone(),
            resources: resources.clone(),
            first,
        })
    }

    /// Those of this moment: whoever asks once for each event sees no change in the middle of it.
    pub fn now(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// What they are made of, which nobody else changes meanwhile.
    pub async fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().await
    }

    /// Puts in force what they are made of now, and says how many that are.
    pub fn put_in_force(&self, sources: &mut Sources) -> usize {
        let objects = sources.objects.beside(&sources.files);
        let plans = sources.files.iter().cloned().chain(objects).collect();
        let rules = Rules::joining(plans, Some(&self.rules.load()));
        let count = rules.plans().len();
        self.rules.store(Arc::new(rules));
        count
    }

    /// Configures the actions of one more.
    ///
    /// # Errors
    /// Every fault of every action.
    pub fn bind(&self, playbook: &Arc<Playbook>) -> Result<Arc<Plan>, PlaybookErrors> {
        self.registry.bind(playbook, &self.resources).map(Arc::new)
    }
}

impl Worker {
    /// Follows the files of the playbooks until stopped. Where they can't be used the last good ones stay in force, and
    /// `readiness` says why.
    pub async fn follow_playbooks(
        self: Arc<Self>,
        readiness: Arc<Readiness>,
        stop: CancellationToken,
    ) {
        // What was decided about, and what is decided about once it is seen again.
        let (mut known, mut seen) = (self.rules.first.clone(), None);
        let mut waits_for_definition = false;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REST) => {}
            }
            let paths = self.rules.paths.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || Texts::of(&paths)).await else {
                return;
            };
            if found == known {
                seen = None;
                if waits_for_definition && matches!(responses::keeps(&self.engine).await, Kept::Yes)
                {
                    waits_for_definition = self.follow(&known, &readiness).await;
                }
            } else if seen.as_ref() == Some(&found) {
                waits_for_definition = self.follow(&found, &readiness).await;
                (known, seen) = (found, None);
            } else {
                seen = Some(found);
            }
        }
    }

    /// Says whether they can be used once the cluster keeps what they need.
    async fn follow(&self, texts: &Texts, readiness: &Readiness) -> bool {
        let taken = self.take(texts, readiness).await;
        let is_unkept = matches!(taken, Err(Refused::Unkept(_)));
        let (result, why) = match taken {
            Ok(count) => {
                tracing::info!(playbooks = count, "the playbooks were read anew and are in force");
                ("taken", None)
            }
            Err(refused) => {
                tracing::error!(why = %refused, "the playbooks can't be used as they are now: the last good ones stay in force");
                ("refused", Some(refused.to_string()))
            }
        };
        self.metrics.playbook_changes.with_label_values(&[result]).inc();
        readiness.playbooks_refused(why);
        is_unkept
    }

    async fn take(&self, texts: &Texts, readiness: &Readiness) -> Result<usize, Refused> {
        let InForce { registry, resources, .. } = &self.rules;
        let rules = Rules::of(texts.read()?, registry, resources)?;
        // A volume that is gone looks like that, too.
        let mut sources = self.rules.sources().await;
        if rules.plans().is_empty() && !sources.files.is_empty() {
            return Err(Refused::Nothing);
        }
        let homeless = rules.plans().iter().find(|plan| plan.needs_target());
        if let (None, Some(plan)) = (self.engine.api(), homeless) {
            return Err(Refused::Cluster(plan.playbook.name.clone()));
        }
        match responses::look(&self.engine, &rules).await.map_err(Refused::Unkept)? {
            Kept::Yes => {}
            Kept::No => tracing::warn!("{}", responses::WITHOUT),
            // As at the start: who needs it waits.
            Kept::Unknown(failure) => {
                tracing::warn!(why = %failure, "whether the cluster keeps Responses can't be told now");
            }
        }
        sources.files = rules.plans().to_vec();
        let count = self.rules.put_in_force(&mut sources);
        self.forget_others();
        // Files may have the names of others now.
        readiness.objects_refused(sources.objects.refused());
        Ok(count)
    }

    /// Forgets what is counted by playbooks that are no longer in force.
    pub(super) fn forget_others(&self) {
        let rules = self.rules.now();
        let in_force = rules.plans().iter().map(|plan| plan.playbook.name.as_str()).collect();
        self.feed.forget_others(&in_force);
        self.metrics.forget_others(&in_force);
    }
}
