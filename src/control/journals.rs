//! The journals that this worker has open, by the name of their subscription.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use brokers::journal::Monitor;

use super::{Refusal, wire};

/// The open journals.
#[derive(Debug, Default)]
pub struct Journals(Mutex<BTreeMap<String, Open>>);

#[derive(Clone, Debug)]
struct Open {
    path: PathBuf,
    monitor: Monitor,
}

/// Keeps a journal among the open ones. Dropping it takes it out, and lets go of the journal.
#[derive(Debug)]
pub struct Listed {
    journals: Arc<Journals>,
    name: String,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.journals.lock().remove(&self.name);
    }
}

impl Journals {
    /// Takes a journal in, for as long as the returned value lives.
    pub fn list_open(self: &Arc<Self>, name: &str, path: &Path, monitor: Monitor) -> Listed {
        // Tools elsewhere tell journals apart by it, from other working directories.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.lock().insert(name.to_owned(), Open { path, monitor });
        Listed { journals: self.clone(), name: name.to_owned() }
    }

    pub(super) fn list(&self) -> Vec<wire::Journal> {
        let open = self.lock();
        let journal = |(name, open): (&String, &Open)| wire::Journal {
            name: name.clone(),
            path: open.path.clone(),
        };
        open.iter().map(journal).collect()
    }

    pub(super) fn monitor(&self, name: &str) -> Result<Monitor, Refusal> {
        let open = self.lock().get(name).map(|open| open.monitor.clone());
        open.ok_or_else(|| Refusal::not_found(format!("no journal called {name} is open here")))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
