//! The controllers whose effect a client sees, run after every write until nothing changes any more.
//!
//! A cluster converges in seconds; this one has converged before the write is answered, so that a test need not wait.

mod budgets;
mod garbage;
mod nodes;
mod replicas;

use super::store::Store;

pub(super) fn settle(store: &mut Store) {
    loop {
        let before = store.revision();
        garbage::collect(store);
        replicas::reconcile(store);
        nodes::run(store);
        budgets::judge(store);
        if store.revision() == before {
            return;
        }
    }
}
