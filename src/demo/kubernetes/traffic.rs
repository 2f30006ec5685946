//! What goes over the wire: every request that came in, and what was made to go wrong with it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::watch;

/// A request that came in, in the words of the wire.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Its query, without the question mark; empty if there is none.
    pub query: String,
    /// Its body; null if there is none or it is no JSON.
    pub body: Value,
    /// The status of the answer; none while the answer is out.
    pub answered: Option<StatusCode>,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not carried out and answered with this status.
    Answer(StatusCode),
    /// It is not carried out and never answered.
    Hang,
    /// It is carried out and never answered.
    LoseAnswer,
}

type FaultRule = Box<dyn Fn(&Request) -> Option<Fault> + Send>;

pub(super) struct Traffic {
    faults: Mutex<FaultRule>,
    /// In order of arrival; a watch, so that whoever waits for a request is woken by it.
    requests: watch::Sender<Vec<Request>>,
    open: Mutex<Open>,
    delay: Mutex<Duration>,
}

/// Requests that somebody waits for the answer of.
#[derive(Default)]
struct Open {
    now: usize,
    most: usize,
}

/// Which request of the record an answer belongs to. It is dropped when whoever asked goes away.
pub(super) struct Ticket<'a> {
    traffic: &'a Traffic,
    index: usize,
}

impl Ticket<'_> {
    pub(super) fn answered(self, status: StatusCode) {
        self.traffic.requests.send_modify(|requests| {
            if let Some(request) = requests.get_mut(self.index) {
                request.answered = Some(status);
            }
        });
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.traffic.open().now -= 1;
    }
}

impl Traffic {
    pub(super) fn new() -> Traffic {
        let (requests, open, delay) = Default::default();
        Traffic { faults: Mutex::new(Box::new(|_| None)), requests, open, delay }
    }

    pub(super) fn disturb(&self, rule: FaultRule) {
        // A rule that panicked in another request is replaced all the same.
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = rule;
    }

    pub(super) fn answer_after(&self, delay: Duration) {
        *self.delay.lock().unwrap_or_else(PoisonError::into_inner) = delay;
    }

    pub(super) fn delay(&self) -> Duration {
        *self.delay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the request and tells what is to go wrong with it.
    pub(super) fn received(&self, request: Request) -> (Ticket<'_>, Option<Fault>) {
        let fault = self.faults.lock().unwrap_or_else(PoisonError::into_inner)(&request);
        {
            let mut open = self.open();
            open.now += 1;
            open.most = open.most.max(open.now);
        }
        let mut index = 0;
        self.requests.send_modify(|requests| {
            index = requests.len();
            requests.push(request);
        });
        (Ticket { traffic: self, index }, fault)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.open().most
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn saw(&self, wanted: impl Fn(&Request) -> bool) -> Request {
        let mut requests = self.requests.subscribe();
        loop {
            if let Some(found) = requests.borrow_and_update().iter().find(|seen| wanted(seen)) {
                return found.clone();
            }
            // Can't fail: the sender lives as long as `self`.
            drop(requests.changed().await);
        }
    }
}
