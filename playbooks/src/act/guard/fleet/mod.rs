//! Budgets of all workers together: the tokens that are out, in a ConfigMap of our own namespace.
//!
//! One object for each playbook, and one that the playbooks with a budget of the whole cluster share. It is changed by
//! compare-and-swap alone, at most once for each new token; a redelivery and a spent budget write nothing.

mod book;
mod ledger;
mod place;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

pub(super) use self::ledger::{Asked, Payer, Purse};
use self::{
    book::{Answer, Book},
    place::Place,
};
use crate::{
    act::api::{Api, Permission},
    decide::{BudgetScope, Playbook},
};

/// The object that the playbooks with a budget of the whole cluster share. No playbook's has this name.
const SHARED: &str = "stoop-budgets";

/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// What one worker knows of the fleet's tokens.
#[derive(Debug)]
pub(super) struct Fleet {
    namespace: String,
    /// By the object's name; as many as there are playbooks with budgets.
    books: Mutex<HashMap<String, Arc<Book>>>,
}

impl Fleet {
    /// Kept in this namespace.
    pub(super) fn new(namespace: String) -> Fleet {
        Fleet { namespace, books: Mutex::default() }
    }

    /// What a playbook's budget takes. A right to create can't be bound to a name.
    pub(super) fn permissions(&self, playbook: &Playbook) -> Vec<Permission> {
        let Some(budget) = playbook.limits.budget else { return Vec::new() };
        let name = object(&playbook.name, budget.scope);
        let on = |verb| Permission::new("", "configmaps", verb).on(&self.namespace, &name);
        let create = Permission::new("", "configmaps", "create").within(&self.namespace);
        vec![create, on("get"), on("update")]
    }

    /// Takes a token, or says why there is none.
    ///
    /// # Errors
    ///
    /// Where it can't be told, or not be written: then there is none either.
    pub(super) async fn take(&self, api: &Api, playbook: &str, asked: &Asked) -> Answer {
        let book = self.book(object(playbook, asked.budget.scope));
        book.take(api, asked).await
    }

    /// How many tokens are out in the purse where most are, as far as was seen here.
    pub(super) fn most(&self, playbook: &str, scope: BudgetScope, now: Timestamp) -> usize {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.get(&object(playbook, scope)).map_or(0, |book| book.most(now))
    }

    fn book(&self, name: String) -> Arc<Book> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let place = Place { namespace: self.namespace.clone(), name: name.clone() };
            Arc::new(Book::new(place))
        };
        Arc::clone(books.entry(name.clone()).or_insert_with(new))
    }
}

/// The object of a playbook's budget.
fn object(playbook: &str, scope: BudgetScope) -> String {
    if scope == BudgetScope::Cluster {
        return SHARED.to_owned();
    }
    // An object of a namespace has a slash in its name; with a mere letter for it, it could take another's budget.
    let name = format!("stoop-budget-{}", playbook.replace('/', "-"));
    if name.len() <= LONGEST_NAME && !playbook.contains('/') {
        return name;
    }
    let (start, _) = name.split_at(name.floor_char_boundary(LONGEST_NAME - 33));
    format!("{}-{}", start.trim_end_matches(['.', '-']), digest(playbook))
}

/// Short, and as good as the text itself for telling two apart.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_playbook_has_an_object_of_its_own() {
        let of = |playbook: &str| object(playbook, BudgetScope::Namespace);
        assert_eq!(of("shell"), "stoop-budget-shell");
        assert_eq!(object("shell", BudgetScope::Cluster), "stoop-budgets");
        let long = |end: &str| format!("{}.{end}", "a".repeat(250));
        assert_ne!(of(&long("a")), of(&long("b")));
        assert!(of(&long("a")).len() <= LONGEST_NAME);
        assert!(of("shop/shell").starts_with("stoop-budget-shop-shell-"));
        assert_ne!(of("shop/shell"), of("shop-shell"));
        assert_ne!(of("a/b-c"), of("a-b/c"));
    }
}
