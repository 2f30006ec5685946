//! What is made of each object: pure, from what was seen to what is in force and what is to be told.
//!
//! What was written into one is held until it is found good: as far as there is room for it, and no further.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use playbooks::act::{Key, NoRoom, Place, Plan, PlaybookObject, Seen, places};

use super::refused::{Reason, Refused};

/// Judges one object: the plan that it makes, or every fault in it.
pub type Judge<'a> = &'a dyn Fn(&PlaybookObject) -> Result<Arc<Plan>, String>;

/// How much is kept of why one can't be used, in characters.
const LONGEST: usize = 2048;

/// The objects that were seen, each judged for itself.
#[derive(Default)]
pub struct Book {
    pages: BTreeMap<Key, Page>,
    /// Whether one that was in force is gone.
    has_lost: bool,
}

/// One object.
struct Page {
    object: PlaybookObject,
    /// What is made of it as it is written now.
    made: Made,
    /// The last one that was good, of this very object.
    good: Option<Good>,
    /// The file whose playbook has its name.
    file: Option<String>,
}

enum Made {
    /// Nothing yet.
    Unread,
    /// It was judged, and this is what is wrong with it, if anything is.
    Judged(Option<String>),
    NoRoom(NoRoom),
}

struct Good {
    plan: Arc<Plan>,
    /// What it takes in memory, in bytes.
    cost: usize,
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
    /// There is no room for it, and nothing of it is in force.
    NoRoom(NoRoom),
    /// There is room for it by now, and it is read once more.
    Unread,
}

/// What changed with all that was seen together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Whether other playbooks are in force than before.
    pub in_force: bool,
    /// The objects that were refused now, why, and whether an earlier good one stays.
    pub refused: Vec<(Key, String, bool)>,
    /// Whether there is room for one by now whose text was let go of: all are to be looked at once more.
    pub is_unread: bool,
}

impl Book {
    /// Takes note of what was seen. It is judged when it is [settled](Book::settle).
    pub fn see(&mut self, seen: Seen) {
        match seen {
            Seen::All(kind, objects) => {
                let there: BTreeSet<_> = objects.iter().map(|it| it.key.clone()).collect();
                self.keep(|key| key.kind != kind || there.contains(key));
                objects.into_iter().for_each(|object| self.put(object));
            }
            Seen::Now(object) => self.put(object),
            Seen::Gone(gone) => self.keep(|key| *key != gone),
            Seen::Undefined(_) | Seen::Hidden(..) => {}
        }
    }

    fn keep(&mut self, is_there: impl Fn(&Key) -> bool) {
        let Book { pages, has_lost } = self;
        pages.retain(|key, page| {
            let is_there = is_there(key);
            *has_lost |= !is_there && page.good.is_some();
            is_there
        });
    }

    fn put(&mut self, object: PlaybookObject) {
        // Of another of the same name nothing is kept.
        let known = self.pages.get_mut(&object.key).filter(|page| page.object.uid == object.uid);
        let Some(page) = known else {
            let page = Page { object, made: Made::Unread, good: None, file: None };
            let before = self.pages.insert(page.object.key.clone(), page);
            self.has_lost |= before.is_some_and(|before| before.good.is_some());
            return;
        };
        // What is older than what is known says nothing, and of the same generation the status alone is another.
        if object.generation > page.object.generation {
            page.made = Made::Unread;
        }
        if object.generation >= page.object.generation {
            page.object = object;
        }
        if matches!(page.made, Made::Judged(None)) {
            page.object.let_go();
        }
    }

    /// Judges anew what was refused, for what it needs may be there now. Says whether other playbooks are in force than before.
    pub fn judge_again(&mut self, judge: Judge<'_>) -> bool {
        let mut change = Change::default();
        let refused =
            self.pages.values_mut().filter(|page| matches!(page.made, Made::Judged(Some(_))));
        refused.for_each(|page| page.judge(judge, &mut change));
        change.in_force
    }

    /// Judges what was seen and wasn't yet, as far as there is room for it.
    pub fn settle(&mut self, judge: Judge<'_>) -> Change {
        let mut change = Change::default();
        // What is in force of one by now may take less than what was before, and another has room by that.
        if self.settle_once(judge, &mut change) {
            self.settle_once(judge, &mut change);
        }
        change.in_force |= mem::take(&mut self.has_lost);
        change
    }

    /// Says whether any was judged.
    fn settle_once(&mut self, judge: Judge<'_>, change: &mut Change) -> bool {
        let (full, mut has_judged) = (self.full(), false);
        for (key, page) in &mut self.pages {
            match (full.get(key), &page.made) {
                (Some(why), _) => page.put_out(*why, change),
                (None, Made::Judged(None)) => {}
                (None, Made::Judged(Some(_))) if page.object.has_text() => {}
                (None, _) if !page.object.has_text() => {
                    page.made = Made::Unread;
                    change.is_unread = true;
                }
                (None, _) => {
                    page.judge(judge, change);
                    has_judged = true;
                }
            }
        }
        has_judged
    }

    /// Those for which there is no room. What there are too many of to know is forgotten.
    fn full(&mut self) -> BTreeMap<Key, NoRoom> {
        let mut all: Vec<_> = self.pages.values().collect();
        all.sort_by(|one, other| one.object.age().cmp(&other.object.age()));
        let places = places(all.iter().map(|page| (&page.object.key, page.cost())));
        let (mut full, mut forgotten) = (BTreeMap::new(), BTreeSet::new());
        for (page, place) in all.into_iter().zip(places) {
            let key = &page.object.key;
            match place {
                Place::Read => {}
                Place::Known(why) => drop(full.insert(key.clone(), why)),
                Place::Forgotten => drop(forgotten.insert(key.clone())),
            }
        }
        if !forgotten.is_empty() {
            self.keep(|key| !forgotten.contains(key));
        }
        full
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
        self.pages.values().filter_map(Page::plan).collect()
    }

    /// Those that are not in force as they are written.
    pub fn refused(&self) -> Refused {
        let mut refused = Refused::default();
        for (key, page) in &self.pages {
            let reason = match (&page.file, &page.made) {
                (Some(_), _) => Reason::NameTaken,
                (None, Made::Judged(Some(_))) => Reason::Refused,
                // What is unread had none a moment ago.
                (None, Made::NoRoom(_) | Made::Unread) => Reason::NoRoom,
                (None, Made::Judged(None)) => continue,
            };
            refused.add(key, reason);
        }
        refused
    }

    /// How each stands.
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |page: &Page| Entry {
            object: page.object.clone(),
            plan: page.plan(),
            standing: page.standing(),
        };
        self.pages.values().map(entry).collect()
    }
}

impl Page {
    fn judge(&mut self, judge: Judge<'_>, change: &mut Change) {
        let fault = match judge(&self.object) {
            Ok(plan) => {
                self.good = Some(Good { plan, cost: self.object.cost() });
                change.in_force = true;
                None
            }
            Err(why) => {
                let why: String = why.chars().take(LONGEST).collect();
                let key = self.object.key.clone();
                change.refused.push((key, why.clone(), self.good.is_some()));
                Some(why)
            }
        };
        if fault.is_none() {
            self.object.let_go();
        }
        self.made = Made::Judged(fault);
    }

    fn put_out(&mut self, why: NoRoom, change: &mut Change) {
        if !matches!(self.made, Made::NoRoom(_)) {
            change.refused.push((self.object.key.clone(), why.to_string(), false));
        }
        change.in_force |= self.good.take().is_some();
        self.made = Made::NoRoom(why);
        self.object.let_go();
    }

    /// What is in force of it counts as what is written in it does: whoever makes it shorter has not given that back.
    fn cost(&self) -> usize {
        self.good.as_ref().map_or(0, |good| good.cost).max(self.object.cost())
    }

    fn plan(&self) -> Option<Arc<Plan>> {
        self.good.as_ref().filter(|_| self.file.is_none()).map(|good| good.plan.clone())
    }

    fn standing(&self) -> Standing {
        match (&self.file, &self.made) {
            (Some(file), _) => Standing::NameTaken(file.clone()),
            (None, Made::Judged(Some(why))) => Standing::Refused(why.clone()),
            (None, Made::Judged(None)) => Standing::InForce,
            (None, Made::NoRoom(why)) => Standing::NoRoom(*why),
            (None, Made::Unread) => Standing::Unread,
        }
    }
}
