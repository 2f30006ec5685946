//! The suite that every broker passes.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;

use super::{
    super::{Ledger, Receiver, Sequence},
    bench::Bench,
    disk::Health,
};
use crate::{
    conformance::{Harness, Record},
    dead_letter::Buried,
};

crate::conformance!(Bench);

#[async_trait]
impl Harness for Bench {
    type Receiver = Receiver;
    type Ledger = Ledger;
    const LEASES_END: bool = false;
    const KEEPS_KEY_AND_HEADERS: bool = false;

    async fn fresh() -> Self {
        Self::new()
    }

    async fn connect(&self) -> (Receiver, Arc<Ledger>) {
        self.reopen().await
    }

    async fn publish(&self, records: Vec<Record>) {
        if self.monitor().await.keeper.shared.inbox.ended().is_some() {
            self.reopen().await;
        }
        for record in records {
            assert_eq!(self.post(record.payload).await, 200);
        }
    }

    async fn unsettled(&self) -> u64 {
        self.monitor().await.depth().unsettled.messages
    }

    async fn dead_letters(&self) -> Vec<Record> {
        // The worker is gone, and has closed the journal.
        let _parts = self.reopen().await;
        let buried = self.monitor().await.dead_letters(Sequence::default(), 100).await.unwrap();
        let record = |dead: Buried| Record {
            headers: dead.letter.headers(&dead.message),
            payload: dead.message.payload,
            key: None,
        };
        buried.into_iter().map(record).collect()
    }

    /// They are kept in the same file as the events: it fails.
    async fn set_dead_letters_down(&self, down: bool) {
        self.disk.set(if down { Health::Full } else { Health::Good });
    }

    async fn revoke(&self) -> Box<dyn Any + Send> {
        unreachable!("a journal's lease is its process")
    }

    async fn lose(&self) -> Box<dyn Any + Send> {
        unreachable!("a journal's lease is its process")
    }
}
