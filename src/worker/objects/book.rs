//! What is made of each object: pure, from what was seen to what is in force and what is to be told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use playbooks::act::{Key, Plan, PlaybookObject, Seen};

use super::refused::{Reason, Refused};

/// Judges one object: the plan that it makes, or every fault in it.
pub type Judge<'a> = &'a dyn Fn(&PlaybookObject) -> Result<Arc<Plan>, String>;

/// The objects that were seen, each judged for itself.
#[derive(Default)]
pub struct Book {
    pages: BTreeMap<Key, Page>,
}

/// One object.
struct Page {
    object: PlaybookObject,
    /// The last one that was good, of this very object.
    good: Option<Arc<Plan>>,
    /// Why it isn't the one that is written now.
    fault: Option<String>,
    /// The file whose playbook has its name.
    file: Option<String>,
}

/// How one object stands.
#[derive(Clone)]
pub struct Entry {
    /// The object, as it was seen last.
    pub object: PlaybookObject,
    /// What is in force of it.
    pub plan: Option<Arc<Plan>>,
    /// Whether that is what is written in it now.
    pub standing: Standing,
}

/// What is made of an object as it is written now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is in force.
    InForce,
    /// It can't be used; what was in force of it stays so.
    Refused(String),
    /// A file's playbook has its name, and stands.
    NameTaken(String),
}

/// What changed with something that was seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Whether other playbooks are in force than before.
    pub in_force: bool,
    /// The objects that were refused now, why, and whether an earlier good one stays.
    pub refused: Vec<(Key, String, bool)>,
}

impl Book {
    /// Takes note of what was seen.
    pub fn see(&mut self, seen: Seen, judge: Judge<'_>) -> Change {
        let mut change = Change::default();
        match seen {
            Seen::All(kind, objects) => {
                let there: BTreeSet<_> = objects.iter().map(|it| it.key.clone()).collect();
                let gone = |key: &Key| key.kind == kind && !there.contains(key);
                let before = self.pages.len();
                self.pages.retain(|key, _| !gone(key));
                change.in_force |= self.pages.len() < before;
                for object in objects {
                    self.put(object, judge, &mut change);
                }
            }
            Seen::Now(object) => self.put(object, judge, &mut change),
            Seen::Gone(key) => change.in_force |= self.pages.remove(&key).is_some(),
            Seen::Undefined(_) | Seen::Hidden(..) => {}
        }
        change
    }

    /// Judges anew what was refused, for what it needs may be there now. Says whether other playbooks are in force than before.
    pub fn judge_again(&mut self, judge: Judge<'_>) -> bool {
        let mut is_changed = false;
        for page in self.pages.values_mut().filter(|page| page.fault.is_some()) {
            match judge(&page.object) {
                Ok(plan) => {
                    (page.good, page.fault) = (Some(plan), None);
                    is_changed = true;
                }
                Err(why) => page.fault = Some(why),
            }
        }
        is_changed
    }

    fn put(&mut self, object: PlaybookObject, judge: Judge<'_>, change: &mut Change) {
        // Of another of the same name nothing is kept.
        let known = self.pages.get_mut(&object.key).filter(|page| page.object.uid == object.uid);
        if let Some(page) = known {
            if object.generation <= page.object.generation {
                // Its status alone is another, unless it is older than what is known.
                if object.generation == page.object.generation {
                    page.object = object;
                }
                return;
            }
            match judge(&object) {
                Ok(plan) => {
                    (page.good, page.fault) = (Some(plan), None);
                    change.in_force = true;
                }
                Err(why) => {
                    change.refused.push((object.key.clone(), why.clone(), page.good.is_some()));
                    page.fault = Some(why);
                }
            }
            page.object = object;
            return;
        }
        let (good, fault) = match judge(&object) {
            Ok(plan) => (Some(plan), None),
            Err(why) => {
                change.refused.push((object.key.clone(), why.clone(), false));
                (None, Some(why))
            }
        };
        change.in_force |= good.is_some();
        let page = Page { object, good, fault, file: None };
        let before = self.pages.insert(page.object.key.clone(), page);
        change.in_force |= before.is_some_and(|before| before.good.is_some());
    }

    /// The plans in force beside those of files, which stand where an object has the name of one.
    pub fn beside(&mut self, files: &[Arc<Plan>]) -> Vec<Arc<Plan>> {
        let files: BTreeMap<_, _> = files
            .iter()
            .map(|plan| (plan.playbook.name.as_str(), plan.playbook.source.name()))
            .collect();
        for (key, page) in &mut self.pages {
            let file = files.get(key.name.as_str());
            // A name in a namespace is never a file's.
            page.file = file.filter(|_| key.namespace.is_none()).map(|&file| file.to_owned());
        }
        let free = self.pages.values().filter(|page| page.file.is_none());
        free.filter_map(|page| page.good.clone()).collect()
    }

    /// Those that are not in force as they are written.
    pub fn refused(&self) -> Refused {
        let mut refused = Refused::default();
        for (key, page) in &self.pages {
            match page.standing() {
                Standing::InForce => {}
                Standing::Refused(_) => refused.add(key, Reason::Refused),
                Standing::NameTaken(_) => refused.add(key, Reason::NameTaken),
            }
        }
        refused
    }

    /// How each stands.
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |page: &Page| Entry {
            object: page.object.clone(),
            plan: page.good.clone().filter(|_| page.file.is_none()),
            standing: page.standing(),
        };
        self.pages.values().map(entry).collect()
    }
}

impl Page {
    fn standing(&self) -> Standing {
        match (&self.file, &self.fault) {
            (Some(file), _) => Standing::NameTaken(file.clone()),
            (None, Some(why)) => Standing::Refused(why.clone()),
            (None, None) => Standing::InForce,
        }
    }
}
