//! Which detours of a broker are free.

use std::{cell::RefCell, rc::Rc};

/// The detours of a broker that nobody uses.
#[derive(Clone)]
pub struct Detours(Rc<RefCell<Vec<usize>>>);

/// A detour of one's own; it is free again when this is dropped.
pub struct Detour {
    pub number: usize,
    free: Detours,
}

impl Detours {
    /// Of a broker that has so many.
    pub fn of(count: usize) -> Self {
        Self(Rc::new(RefCell::new((0..count).collect())))
    }

    /// # Panics
    /// All are taken.
    pub fn take(&self) -> Detour {
        let number = self.0.borrow_mut().pop().expect("there is a detour for each round");
        Detour { number, free: self.clone() }
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.free.0.borrow_mut().push(self.number);
    }
}
