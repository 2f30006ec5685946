//! Where the audit lines of a test go, and a pager: what the worker has told of itself.

use std::{
    io::{Error, Write},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use playbooks::act::{Failure, Notification, Sink};
use serde_json::Value;

/// An audit log that can be full.
#[derive(Clone, Default)]
pub struct Paper(Arc<Mutex<Sheet>>);

#[derive(Default)]
struct Sheet {
    text: Vec<u8>,
    full: bool,
    refused: usize,
}

impl Paper {
    pub fn lines(&self) -> Vec<Value> {
        let sheet = self.0.lock().unwrap();
        serde_json::Deserializer::from_slice(&sheet.text).into_iter().map(Result::unwrap).collect()
    }

    pub fn set_full(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    /// How many lines did not get through.
    pub fn refused(&self) -> usize {
        self.0.lock().unwrap().refused
    }
}

impl Write for Paper {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut sheet = self.0.lock().unwrap();
        if sheet.full {
            sheet.refused += 1;
            return Err(Error::other("no space left on the paper"));
        }
        sheet.text.extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The default notifier: whoever has to be told when a containment did not happen.
#[derive(Clone, Default)]
pub struct Pager(Arc<Mutex<Calls>>);

#[derive(Default)]
struct Calls {
    told: Vec<String>,
    crashes: bool,
}

impl Pager {
    /// The playbooks that it was told of.
    pub fn told(&self) -> Vec<String> {
        self.0.lock().unwrap().told.clone()
    }

    /// From now on whoever calls it breaks.
    pub fn crash(&self) {
        self.0.lock().unwrap().crashes = true;
    }
}

#[async_trait]
impl Sink for Pager {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        let crashes = {
            let mut calls = self.0.lock().unwrap();
            calls.told.push(message.playbook.to_string());
            calls.crashes
        };
        assert!(!crashes, "the pager breaks the worker, as it was told to");
        Ok(())
    }
}
